"""The ways to adapt a network to a target at test time."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ibn_seg.errors import UserError, unknown
from ibn_seg.methods.all_methods import METHODS

_HOOK = "TargetAdaptationHook"
# The methods of the table, and TENT that forgets after each batch.
ADAPTATIONS: Mapping[str, Mapping[str, Any]] = {
    name: hook for name, method in METHODS.items() for hook in method.hooks if hook["type"] == _HOOK
} | {"episodic TENT": {**METHODS["TENT"].hooks[0], "episodic": True}}
# It averages over all images of a domain, so a batch plays no part.
_OF_ALL_IMAGES = "AdaBN"
BATCH_SIZES = (1, 8)


@dataclass(frozen=True)
class Condition:
    """One way to adapt.

    Attributes:
        method: A name in `ADAPTATIONS`.
        batch_size: Images that the method sees at once; None if it sees all.
    """

    method: str
    batch_size: int | None

    @property
    def name(self) -> str:
        """Its name in tables."""
        return self.method if self.batch_size is None else f"{self.method}, {self.batch_size}"

    @property
    def hook(self) -> dict[str, Any]:
        """The config of the hook that adapts."""
        return dict(ADAPTATIONS[self.method])


def check_methods(names: Iterable[str]) -> tuple[str, ...]:
    """Return the methods to try; all if none is named.

    Raises:
        UserError: A name is unknown.
    """
    names = tuple(dict.fromkeys(names))
    for name in names:
        if name not in ADAPTATIONS:
            raise unknown("method at test time", name, ADAPTATIONS)
    return names or tuple(ADAPTATIONS)


def conditions(methods: Iterable[str], batch_sizes: Iterable[int]) -> Iterator[Condition]:
    """Yield every way to adapt, in the order of the methods.

    Args:
        methods: Names, checked.
        batch_sizes: Images that a method sees at once; default `BATCH_SIZES`.

    Raises:
        UserError: A batch size is below 1.
    """
    sizes = tuple(dict.fromkeys(batch_sizes)) or BATCH_SIZES
    for size in sizes:
        if size < 1:
            raise UserError(f"batch size {size}", "give 1 or more")
    for method in methods:
        for size in (None,) if method == _OF_ALL_IMAGES else sizes:
            yield Condition(method, size)
