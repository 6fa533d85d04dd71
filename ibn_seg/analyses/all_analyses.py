"""The table of analyses: a folder beside this file and a line here make an analysis.

A folder NAME has

- `__init__.py`: `ANALYSIS`, what it is called and may;
- `options.py`: `OPTIONS`, what changes its numbers, for plans and the command line alike;
- `command.py`: the click command `NAME`, which writes NAME.json;
- `contribution.py`: `contribution`, its part of a leaderboard;
- `cell.py`: `check`, `lacking` and `summary`, see `Cell`.

An analysis that measures no single network, as transfer, has neither `options.py` nor `cell.py`.

Everything else in it is its own business. Plans, cells, leaderboards and `ibn-seg --help` go
through this table alone.
"""

import importlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from types import ModuleType
from typing import Any, Protocol

# In the order of `ibn-seg --help` and of a leaderboard's sections.
ANALYSES = ("divergence", "robustness", "speed", "transfer")


@dataclass(frozen=True)
class Analysis:
    """An analysis as its folder declares it.

    Attributes:
        name: Its command, its key in a plan and its result file without '.json'.
        summary: What `ibn-seg --help` says.
        measures: Whether a plan may list it under `analyses`: it measures one trained network.
        shared: A flag and the name of a folder that all cells of a benchmark may use together.
        keeps_memory: Whether the command is faster, and not too large, if freed memory is kept.
    """

    name: str
    summary: str
    measures: bool = True
    shared: tuple[str, str] | None = None
    keeps_memory: bool = False


class Cell(Protocol):
    """What `cell.py` of an analysis that measures one network has."""

    def check(self, options: Mapping[str, Any]) -> None:
        """Raise `UserError` for an option that names what there is not."""

    def lacking(
        self,
        options: Mapping[str, Any],
        domains: Mapping[str, Any],
        length: Callable[[Any], tuple[int, tuple[str, ...]]],
    ) -> Iterator[str]:
        """Yield what a cell lacks on this machine.

        Args:
            options: Its options.
            domains: The configs of the evaluated data sets by domain.
            length: Returns the number of pictures of a data set, and what it lacks.
        """

    def summary(self, result: Mapping[str, Any]) -> str:
        """Return what a cell measured, in short."""


def analysis(name: str) -> Analysis:
    """Return the declaration of an analysis of the table."""
    return importlib.import_module(f"ibn_seg.analyses.{name}").ANALYSIS


def part(name: str, file: str) -> ModuleType:
    """Return a file of an analysis' folder, such as 'cell' or 'contribution'."""
    return importlib.import_module(f"ibn_seg.analyses.{name}.{file}")


def measuring() -> tuple[str, ...]:
    """Return the analyses that a plan may list under `analyses`."""
    return tuple(name for name in ANALYSES if analysis(name).measures)
