"""Options of an analysis: declared once, for plans and the command line alike."""

import abc
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ibn_seg.errors import UserError
from ibn_seg.yaml_values import Reader


@dataclass(frozen=True, kw_only=True)
class Option(abc.ABC):
    """One option that changes the numbers of an analysis.

    Attributes:
        name: Its name in a plan and in Python.
        help: Its text in `--help`.
        default: Its value if it is not given.
        flag: Its name on the command line; default `--NAME` with hyphens.
        metavar: The name of its value in `--help`.
    """

    name: str
    help: str
    default: Any = None
    flag: str | None = None
    metavar: str | None = None

    @abc.abstractmethod
    def read(self, read: Reader, value: Any, key: str) -> Any:
        """Return a plan's value, checked.

        Args:
            read: The reader of the plan.
            value: The value in the plan.
            key: Its place, as a dotted path.

        Raises:
            UserError: The value is not allowed.
        """

    @abc.abstractmethod
    def words(self, value: Any) -> list[str]:
        """Return a command line's words for a value; none for an omitted value."""

    @abc.abstractmethod
    def decorate(self, function: Callable) -> Callable:
        """Add the option to a click command."""

    def identity(self, value: Any) -> Any:
        """Return the part of a value that changes numbers, for the id of a cell."""
        return value

    @property
    def flag_name(self) -> str:
        """The option's name on the command line."""
        return self.flag or f"--{self.name.replace('_', '-')}"

    def _click(self, **settings: Any) -> Callable:
        import click

        return click.option(
            self.flag_name, self.name, metavar=self.metavar, help=self.help, **settings
        )


@dataclass(frozen=True, kw_only=True)
class Whole(Option):
    """A whole number of at least `least`."""

    least: int = 0

    def read(self, read: Reader, value: Any, key: str) -> int:
        """See `Option`."""
        return read.whole(value, key, self.least)

    def words(self, value: int | None) -> list[str]:
        """See `Option`."""
        return [] if value is None else [self.flag_name, str(value)]

    def decorate(self, function: Callable) -> Callable:
        """See `Option`."""
        import click

        shown = {} if self.default is None else {"default": self.default, "show_default": True}
        return self._click(type=click.IntRange(self.least), **shown)(function)


@dataclass(frozen=True, kw_only=True)
class Choice(Option):
    """One of a few texts, or none.

    Attributes:
        allowed: The texts.
    """

    allowed: Sequence[str]

    def read(self, read: Reader, value: Any, key: str) -> str:
        """See `Option`."""
        return read.choice(value, key, self.name, self.allowed)

    def words(self, value: str | None) -> list[str]:
        """See `Option`."""
        return [] if value is None else [self.flag_name, value]

    def decorate(self, function: Callable) -> Callable:
        """See `Option`."""
        import click

        return self._click(type=click.Choice(self.allowed), default=self.default)(function)


@dataclass(frozen=True, kw_only=True)
class PictureSize(Option):
    """Width and height in pixels: [256, 128] in a plan, 256x128 on the command line."""

    def read(self, read: Reader, value: Any, key: str) -> list[int]:
        """See `Option`."""
        return list(read.size(value, key))

    def words(self, value: Sequence[int]) -> list[str]:
        """See `Option`."""
        return [self.flag_name, "x".join(map(str, value))]

    def decorate(self, function: Callable) -> Callable:
        """See `Option`."""
        from ibn_seg.command_options import Size

        default = "x".join(map(str, self.default))
        return self._click(type=Size(), default=default, show_default=True)(function)


@dataclass(frozen=True, kw_only=True)
class Names(Option):
    """A list of distinct texts; an empty list stands for the command's default.

    Attributes:
        example: A list as in a plan.
        repeated: Whether the flag is repeated for each text; if not, commas join the texts.
        required: Whether the command line must have it; only for one that is repeated.
        null: The text that YAML's null stands for, because `null` is a name, too.
    """

    example: str
    repeated: bool = True
    required: bool = False
    null: str | None = None

    def read(self, read: Reader, value: Any, key: str) -> list[str]:
        """See `Option`."""
        if self.null is not None and isinstance(value, list):
            value = [self.null if one is None else one for one in value]
        items: Iterable[Any] = read.unique(value, key, self.example)
        return [read.text(item, f"{key}.{k}", self.example) for k, item in enumerate(items)]

    def words(self, value: Sequence[str]) -> list[str]:
        """See `Option`."""
        if self.repeated:
            return [word for one in value for word in (self.flag_name, one)]
        return [self.flag_name, ",".join(value)] if value else []

    def decorate(self, function: Callable) -> Callable:
        """See `Option`."""
        from ibn_seg.command_options import split_words

        if self.repeated:
            return self._click(multiple=True, required=self.required)(function)
        return self._click(default="", callback=lambda _, __, text: split_words(text))(function)


@dataclass(frozen=True, kw_only=True)
class Grades(Option):
    """A list of distinct whole numbers in a small range; empty for the command's default.

    Attributes:
        kind: The name of one number in messages.
        allowed: The numbers.
    """

    kind: str
    allowed: Sequence[int]

    def read(self, read: Reader, value: Any, key: str) -> list[int]:
        """See `Option`."""
        found = read.unique(value, key, "[1, 3, 5]")
        for index, one in enumerate(found):
            at = f"{key}.{index}"
            read.choice(read.whole(one, at, min(self.allowed)), at, self.kind, self.allowed)
        return found

    def words(self, value: Sequence[int]) -> list[str]:
        """See `Option`."""
        return [self.flag_name, ",".join(map(str, value))] if value else []

    def decorate(self, function: Callable) -> Callable:
        """See `Option`."""
        from ibn_seg.command_options import split_numbers

        flag = self.flag_name
        return self._click(default="", callback=lambda _, __, text: split_numbers(text, flag))(
            function
        )


@dataclass(frozen=True, kw_only=True)
class Decimals(Option):
    """A list of distinct numbers from `low` to `high`; empty for the command's default.

    Attributes:
        low: The smallest number.
        high: The largest number.
        example: A list as in a plan.
    """

    low: float
    high: float
    example: str

    def read(self, read: Reader, value: Any, key: str) -> list[float]:
        """See `Option`."""
        found = read.unique(value, key, self.example)
        for at, one in enumerate(found):
            if isinstance(one, bool) or not isinstance(one, int | float) or not self._allows(one):
                read.fail(f"{key}.{at}", f"is {one!r}", f"allowed: {self.low:g} to {self.high:g}")
        return [float(one) for one in found]

    def words(self, value: Sequence[float]) -> list[str]:
        """See `Option`."""
        return [self.flag_name, ",".join(f"{one:g}" for one in value)] if value else []

    def decorate(self, function: Callable) -> Callable:
        """See `Option`."""
        from ibn_seg.command_options import split_decimals

        def split(_: Any, __: Any, text: str) -> tuple[float, ...]:
            found = split_decimals(text, self.flag_name)
            for one in found:
                if not self._allows(one):
                    raise UserError(
                        f"{self.flag_name}: {one:g}", f"allowed: {self.low:g} to {self.high:g}"
                    )
            if len(set(found)) < len(found):
                raise UserError(f"{self.flag_name} {text!r}: a number twice", "give it once")
            return found

        return self._click(default="", callback=split)(function)

    def _allows(self, number: float) -> bool:
        return self.low <= number <= self.high


def read_options(
    options: Iterable[Option], read: Reader, given: Mapping[str, Any], key: str
) -> dict[str, Any]:
    """Return every option of an analysis, with the plan's values checked.

    Args:
        options: The options that the analysis declares.
        read: The reader of the plan.
        given: The values in the plan.
        key: Their place, as a dotted path.

    Raises:
        UserError: A value is not allowed.
    """
    return {
        one.name: one.read(read, given[one.name], f"{key}.{one.name}")
        if one.name in given
        else one.default
        for one in options
    }


def add_options(options: Sequence[Option], *names: str) -> Callable[[Callable], Callable]:
    """Return a decorator that adds some of an analysis' options to its click command, in order."""

    def decorate(function: Callable) -> Callable:
        by_name = {one.name: one for one in options}
        for name in reversed(names):
            function = by_name[name].decorate(function)
        return function

    return decorate
