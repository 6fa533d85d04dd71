"""Shows the matrix on the terminal: a bar with the time left, and a line per finished cell."""

import contextlib
import re
import statistics
import sys
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ibn_seg.analyses.all_analyses import part
from ibn_seg.benchmark.planned_cell import SEARCHING, TRAINING, Cell
from ibn_seg.benchmark.search_cells import summary
from ibn_seg.benchmark.store import Store
from ibn_seg.progress import progress_bar

if TYPE_CHECKING:
    from rich.progress import Progress

_ENDED = ("done", "failed", "blocked")
_STEP = re.compile(r"iter_(\d+)\.pth")


class Board:
    """Shows the progress of the cells, from the files of the results folder alone.

    Args:
        cells: The cells of the plan.
        store: Their results.
    """

    def __init__(self, cells: Sequence[Cell], store: Store) -> None:
        self._cells, self._store = cells, store
        self._states = store.states(cells)
        self._costs = _Costs()
        for cell in cells:
            if self._states[cell.id] == "done":
                self._costs.add(cell, store.result(cell)["wall_time_s"])
        self._started = time.monotonic()
        self._first = self._shares()
        self._bar: Progress | None = None

    def __enter__(self) -> "Board":
        """Show the bar if there is a terminal."""
        if sys.stderr.isatty():
            self._bar = progress_bar()
            self._bar.start()
            self._task = self._bar.add_task(
                "cells", total=len(self._cells), completed=sum(self._first.values()), detail=""
            )
        return self

    def __exit__(self, *error: object) -> None:
        """Remove the bar."""
        if self._bar is not None:
            self._bar.stop()

    def update(self) -> None:
        """Read the files again, and show what has changed."""
        before, self._states = self._states, self._look()
        new = [
            cell for cell in self._cells
            if self._states[cell.id] in _ENDED and self._states[cell.id] != before[cell.id]
        ]  # fmt: skip
        for number, cell in enumerate(new, self._ended() - len(new) + 1):
            if self._states[cell.id] == "done":
                self._costs.add(cell, self._store.result(cell)["wall_time_s"])
            self._say(cell, number)
        if self._bar is not None:
            running = [c for c in self._cells if self._states[c.id] == "running"]
            shown = ", ".join(self._doing(cell) for cell in running[:2])
            more = f" and {len(running) - 2} more" if len(running) > 2 else ""
            done = sum(self._shares().values())
            self._bar.update(self._task, completed=done, detail=shown + more)

    def _look(self) -> dict[str, str]:
        """Return the states of the cells; done cells are not looked up again."""
        open_cells = [cell for cell in self._cells if self._states[cell.id] != "done"]
        done = {name: "done" for name, state in self._states.items() if state == "done"}
        return self._store.states(open_cells, done)

    def _doing(self, cell: Cell) -> str:
        steps = f" {self._step(cell)}/{cell.iterations}" if cell.task == TRAINING else ""
        return f"{cell.label}{steps}"

    def _ended(self) -> int:
        return sum(state in _ENDED for state in self._states.values())

    def _say(self, cell: Cell, number: int) -> None:
        """Print a cell's number and outcome, and the time left for all cells."""
        outcome = self._outcome(cell, self._states[cell.id])
        line = f"[{number}/{len(self._cells)}] {cell.label}: {outcome}"
        left = self._seconds_left()
        if left is not None and self._ended() < len(self._cells):
            line += f", ETA {_clock(left)}"
        if self._bar is not None:
            self._bar.console.print(line, highlight=False, markup=False)
        else:
            print(line, file=sys.stderr, flush=True)

    def _outcome(self, cell: Cell, state: str) -> str:
        if state == "blocked":
            return "blocked, what it begins from failed"
        if state == "failed":
            return f"failed ({self._store.failures(cell)[-1]['error']})"
        result: dict[str, Any] = self._store.result(cell)
        return f"{_found(cell, result)} in {_clock(result['wall_time_s'])}"

    def _seconds_left(self) -> float | None:
        """Return the remaining time at the pace so far; None before there is a pace."""
        shares, cost = self._shares(), self._costs.of
        gained = sum(cost(c) * (shares[c.id] - self._first[c.id]) for c in self._cells)
        left = sum(cost(c) * (1.0 - shares[c.id]) for c in self._cells)
        return (time.monotonic() - self._started) * left / gained if gained > 0 else None

    def _shares(self) -> dict[str, float]:
        """Return the finished share of each cell."""
        return {
            cell.id: 1.0 if self._states[cell.id] in _ENDED
            else min(0.99, self._step(cell) / cell.iterations)
            for cell in self._cells
        }  # fmt: skip

    def _step(self, cell: Cell) -> int:
        """Return the iteration of a cell's newest checkpoint; 0 if iterations are not known."""
        if cell.task == SEARCHING:
            return 0
        with contextlib.suppress(OSError):
            text = (self._store.work_dir(cell) / "last_checkpoint").read_text(encoding="utf-8")
            match = _STEP.search(text)
            return int(match[1]) if match else 0
        return 0


class _Costs:
    """Expected times of cells: from finished cells of the same kind, else task, else any."""

    def __init__(self) -> None:
        self._seconds: dict[Any, list[float]] = {}

    def add(self, cell: Cell, seconds: float) -> None:
        """Add the time of a finished cell."""
        for group in (cell.kind, cell.task, None):
            self._seconds.setdefault(group, []).append(seconds)

    def of(self, cell: Cell) -> float:
        """Return the expected seconds of a cell; 1 if nothing is known."""
        known = (self._seconds.get(group) for group in (cell.kind, cell.task, None))
        return statistics.fmean(next(filter(None, known), [1.0]))


def _found(cell: Cell, result: Mapping[str, Any]) -> str:
    """Return a cell's measurements in short."""
    if cell.task == SEARCHING:
        return summary(result)
    if cell.task != TRAINING:
        return part(cell.task, "cell").summary(result)
    scores = "  ".join(f"{name} {s['mIoU']:.2f}" for name, s in result["domains"].items())
    return f"mIoU {scores} "


def _clock(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02d}:{rest:02d}"
