"""Errors of a transform in a data worker, which arrive as the text of a traceback."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from mmengine.registry import TRANSFORMS

from ibn_seg.errors import TRACEBACK_VARIABLE, UserError
from ibn_seg.explain.config_dicts import dicts
from ibn_seg.type_names import short_name

_FROM_WORKER = re.compile(r"^Caught (\w+) in \w+ worker process \d+")
_FRAME = re.compile(r'^ *File "(.+)", line (\d+), in (\w+)', re.MULTILINE)


def is_from_worker(error: BaseException) -> bool:
    """Tell whether an error was raised in a data worker."""
    return _FROM_WORKER.match(_text(error)) is not None


def explain_worker(error: Exception, config: Mapping, roots: Sequence[str]) -> UserError | None:
    """Return the line for a transform that failed in a worker; None for ours or other errors.

    Args:
        error: The error as PyTorch raises it in the training.
        config: The whole config.
        roots: Keys of the config that are in use.
    """
    text = _text(error)
    frames = [(file, int(line)) for file, line, _ in _FRAME.findall(text)]
    last = text.strip().splitlines()[-1].strip()
    missing = re.match(r"KeyError: '(\w+)'$", last)
    for file, line in reversed(frames):
        for path, part, kind in _transforms(config, roots):
            if _holds(kind, file, line):
                ours = kind.__module__.startswith("ibn_seg.")
                if ours and not missing:
                    return None
                return UserError(
                    f"{path}: {short_name(part['type'])} fails: {last[:200]}",
                    f"mend it; {TRACEBACK_VARIABLE}=1 shows the traceback",
                )
    return None


def _text(error: BaseException) -> str:
    # A KeyError's text is its quoted key.
    return str(error.args[0]) if error.args and isinstance(error.args[0], str) else str(error)


def _transforms(config: Mapping, roots: Sequence[str]) -> Iterator[tuple[str, Mapping, Any]]:
    """Yield the steps of the pipelines in use, with key and class."""
    for root in roots:
        for path, part in dicts(config.get(root), root):
            given = part.get("type")
            kind = TRANSFORMS.get(given) if isinstance(given, str) else given
            if hasattr(kind, "transform"):
                yield path, part, kind


def _holds(kind: Any, file: str, line: int) -> bool:
    """Tell whether a line of code is in a method of a class or of its bases."""
    for base in kind.__mro__:
        for value in vars(base).values():
            code = getattr(getattr(value, "__wrapped__", value), "__code__", None)
            if code is not None and code.co_filename == file:
                lines = [number for _, _, number in code.co_lines() if number is not None]
                if min(lines, default=0) <= line <= max(lines, default=0):
                    return True
    return False
