"""The table of analyses. An analysis is a folder beside this file and a line here.

A folder NAME has

- `__init__.py`: `ANALYSIS`, its name and abilities;
- `options.py`: `OPTIONS`, the options that change its numbers, for plans and the command line;
- `command.py`: the click command `NAME`, which writes NAME.json;
- `contribution.py`: `contribution`, its part of a leaderboard;
- `cell.py`: `check`, `lacking` and `summary`, see `Cell`.

An analysis that measures no single network, such as transfer, has neither `options.py` nor
`cell.py`.

Everything else in the folder is private to it. Plans, cells, leaderboards and `ibn-seg --help` use
this table alone.
"""

import importlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from types import ModuleType
from typing import Any, Protocol

# In the order of `ibn-seg --help` and of a leaderboard's sections.
ANALYSES = (
    "divergence", "robustness", "calibration", "scales", "unknown", "adaptation", "speed",
    "transfer",
)  # fmt: skip


@dataclass(frozen=True)
class Analysis:
    """An analysis, as declared by its folder.

    Attributes:
        name: Its command, its key in a plan and its result file without '.json'.
        summary: Its line in `ibn-seg --help`.
        measures: Whether it measures one trained network, so that a plan may list it under
            `analyses`.
        frames: Keys of a plan's `scenes` that change its numbers, and those of no training.
        shared: A flag, and the name of a folder that all cells of a benchmark may share.
        keeps_memory: Whether keeping freed memory makes the command faster without using too much
            memory.
    """

    name: str
    summary: str
    measures: bool = True
    frames: tuple[str, ...] = ()
    shared: tuple[str, str] | None = None
    keeps_memory: bool = False


class Cell(Protocol):
    """The functions in `cell.py` of an analysis that measures one network."""

    def check(self, options: Mapping[str, Any]) -> None:
        """Raise `UserError` if an option names something that does not exist."""

    def lacking(
        self,
        options: Mapping[str, Any],
        domains: Mapping[str, Any],
        length: Callable[[Any], tuple[int, tuple[str, ...]]],
    ) -> Iterator[str]:
        """Yield the things that a cell lacks on this machine.

        Args:
            options: Its options.
            domains: The configs of the evaluated data sets by domain.
            length: Returns the number of pictures of a data set, and what is missing in it.
        """

    def summary(self, result: Mapping[str, Any]) -> str:
        """Return a cell's measurements in short."""


def analysis(name: str) -> Analysis:
    """Return the declaration of an analysis in the table."""
    return importlib.import_module(f"ibn_seg.analyses.{name}").ANALYSIS


def part(name: str, file: str) -> ModuleType:
    """Return a module of an analysis' folder, such as 'cell' or 'contribution'."""
    return importlib.import_module(f"ibn_seg.analyses.{name}.{file}")


def measuring() -> tuple[str, ...]:
    """Return the analyses that a plan may list under `analyses`."""
    return tuple(name for name in ANALYSES if analysis(name).measures)
