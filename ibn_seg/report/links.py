"""Links numbers to their origin: a result file, or a list of files behind a mean."""

import os
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import quote

from ibn_seg.report.board import Measurement, Network

Run = Network | Measurement


class Links:
    """Relative links from a page to result files, and from its tables to its list of runs.

    Args:
        page: The page's file.
    """

    def __init__(self, page: str | os.PathLike) -> None:
        self._folder = Path(page).resolve().parent
        self._lists: dict[tuple[int, ...], tuple[str, Sequence[Run]]] = {}

    def of(self, runs: Sequence[Run]) -> tuple[str, str]:
        """Return a number's link and link text: one run's file, or the list of several runs."""
        key = tuple(id(run) for run in runs)
        name, _ = self._lists.setdefault(key, (f"runs-{len(self._lists)}", runs))
        if len(runs) == 1:
            return self.run(runs[0]), runs[0].command
        return f"#{name}", f"{len(runs)} runs, one per seed"

    def run(self, run: Run) -> str:
        """Return the address of the file with a run's numbers, relative to the page."""
        path = run.file or run.result
        return quote(Path(os.path.relpath(path.resolve(), self._folder)).as_posix())

    @property
    def lists(self) -> list[tuple[str, Sequence[Run]]]:
        """The lists that have links, with their names on the page."""
        return list(self._lists.values())
