"""Read values of a plan file; each mistake gives one line with file, key and remedy."""

import math
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from ibn_seg.errors import EnvError, UserError, unknown

if TYPE_CHECKING:
    import yaml

# Text that people mean as a number: YAML 1.1 reads 1e-3 as text, and 1.0e-3 as a number.
_NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)")
_NAME = re.compile(r"[\w.+-]+")


def read_yaml(path: Path, what: str = "plan") -> Any:
    """Return the content of a YAML file; a key that is given twice is an error.

    Args:
        path: The file.
        what: What it should be, for messages.

    Raises:
        UserError: The file is missing, is not YAML, or repeats a key.
        EnvError: PyYAML is not installed.
    """
    try:
        import yaml
    except ModuleNotFoundError as error:
        raise EnvError("the package PyYAML is missing", "pip install 'ibn_seg[cli]'") from error

    try:
        text = path.read_text(encoding="utf-8")
        tree = yaml.compose(text, Loader=yaml.SafeLoader)
        _refuse_duplicates(tree, path)
        return yaml.safe_load(text)
    except FileNotFoundError as error:
        raise UserError(f"{path}: no such {what}", "give a YAML file") from error
    except IsADirectoryError as error:
        raise UserError(f"{path}: is a folder", "give a YAML file") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f"{path}, line {mark.line + 1}" if mark else str(path)
        reason = getattr(error, "problem", None) or " ".join(str(error).split())
        raise UserError(f"{where}: not YAML ({reason})", "mend the file") from error


def _refuse_duplicates(
    node: "yaml.Node | None", path: Path, where: str = "", known: set[int] | None = None
) -> None:
    """Raise UserError for a key given twice in one mapping; PyYAML would use the last.

    Args:
        node: The tree, or a part of it.
        path: The file, for messages.
        where: The dotted key of the part.
        known: The parts that were looked at; by its aliases a part may even hold itself.
    """
    known = set() if known is None else known
    if node is None or isinstance(node.value, str) or id(node) in known:
        return
    known.add(id(node))
    seen: set[str] = set()
    for item in node.value:
        key, value = item if isinstance(item, tuple) else (None, item)
        name = str(key.value) if key is not None else ""
        below = ".".join(filter(None, (where, name)))
        if key is not None and name in seen:
            line = key.start_mark.line + 1
            raise UserError(f"{path}, line {line}: {below} is given twice", "leave one out")
        seen.add(name)
        _refuse_duplicates(value, path, below, known)


class Reader:
    """Reads values of a plan file and checks them.

    Args:
        file: The plan file, for messages.
    """

    def __init__(self, file: Path) -> None:
        self.file = file

    def fail(self, key: str, problem: str, fix: str) -> NoReturn:
        """Raise the error for a key, written as its dotted path."""
        raise UserError(f"{self.file}: {key}: {problem}", fix)

    def choice(self, value: Any, key: str, kind: str, allowed: Iterable[str]) -> str:
        """Return a value that must be one of a few."""
        names = list(allowed)
        if value not in names:
            raise UserError(f"{self.file}: {key}: {unknown(kind, value, names)}")
        return value

    def mapping(
        self, value: Any, key: str, allowed: Iterable[str] | None = None, example: str = ""
    ) -> dict[str, Any]:
        """Return a mapping with text keys; `allowed` are all keys that it may have."""
        if not isinstance(value, Mapping):
            self.fail(key or "the plan", f"is {_kind(value)}", f"expected a mapping{example}")
        for name in value:
            where = f"{key}.{name}" if key else str(name)
            if not isinstance(name, str):
                self.fail(where, f"this key is {_kind(name)}", "write it in quotes")
            if allowed is not None:
                self.choice(name, where, "key", allowed)
        return dict(value)

    def items(self, value: Any, key: str, example: str) -> list:
        """Return a list with at least one item."""
        if not isinstance(value, list) or not value:
            self.fail(key, f"is {_kind(value)}", f"expected a list such as {example}")
        return value

    def unique(self, value: Any, key: str, example: str) -> list:
        """Return a list with at least one item and no item twice."""
        items = self.items(value, key, example)
        for index, item in enumerate(items):
            if item in items[:index]:
                self.fail(f"{key}.{index}", f"{item!r} is given twice", "leave one out")
        return items

    def size(self, value: Any, key: str) -> tuple[int, int]:
        """Return width and height in pixels."""
        sides = self.items(value, key, "[256, 128]")
        if len(sides) != 2:
            self.fail(key, f"has {len(sides)} numbers", "expected [256, 128]")
        return self.whole(sides[0], key, 1), self.whole(sides[1], key, 1)

    def text(self, value: Any, key: str, example: str) -> str:
        """Return a text that is not empty."""
        if not isinstance(value, str) or not value.strip():
            self.fail(key, f"is {_kind(value)}", f"expected a text such as {example}")
        return value.strip()

    def name(self, value: Any, key: str, example: str) -> str:
        """Return a text that can be part of a file name."""
        text = self.text(value, key, example)
        if not _NAME.fullmatch(text):
            self.fail(key, f"is {text!r}", "allowed: letters, digits and . _ + -")
        return text

    def whole(self, value: Any, key: str, least: int) -> int:
        """Return a whole number of at least `least`."""
        if not isinstance(value, int) or isinstance(value, bool) or value < least:
            self.fail(key, f"is {_kind(value)}", f"expected a whole number of {least} or more")
        return value

    def number(self, value: Any, key: str) -> float:
        """Return a finite number above 0."""
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if not number or not math.isfinite(value) or value <= 0:
            self.fail(key, f"is {_kind(value)}", "expected a number above 0")
        return float(value)

    def options(self, value: Any, key: str, allowed: Iterable[str]) -> dict[str, Any]:
        """Return config options by dotted key; null gives no options.

        Args:
            value: The value in the plan.
            key: Where it is given.
            allowed: The allowed first parts of a dotted key.
        """
        given = self.mapping(
            {} if value is None else value, key, example=" such as {model.backbone.ibn: a}"
        )
        for name, setting in given.items():
            start = name.partition(".")[0]
            self.choice(start, f"{key}.{name}", "part of a config", allowed)
            self._plain(setting, f"{key}.{name}")
        return given

    def _plain(self, value: Any, key: str) -> None:
        """Refuse values that YAML reads differently than meant, and values JSON cannot hold."""
        if isinstance(value, str) and _NUMBER.fullmatch(value):
            mantissa, _, exponent = value.lower().partition("e")
            fixed = f"{mantissa if '.' in mantissa else mantissa + '.0'}e{int(exponent):+d}"
            self.fail(key, f"YAML reads {value} as a text", f"write {fixed}")
        if isinstance(value, Mapping):
            for name, item in value.items():
                self._plain(item, f"{key}.{name}")
        elif isinstance(value, list):
            for index, item in enumerate(value):
                self._plain(item, f"{key}.{index}")
        elif not isinstance(value, str | int | float | None):
            self.fail(key, f"is {_kind(value)}", "expected a number, a text, a list or a mapping")


def _kind(value: Any) -> str:
    """Return the description of a wrong value for a message."""
    if value is None:
        return "empty"
    if isinstance(value, Mapping | list) and not value:
        return "an empty list" if isinstance(value, list) else "an empty mapping"
    if isinstance(value, Mapping):
        return "a mapping"
    return "a list" if isinstance(value, list) else repr(value)
