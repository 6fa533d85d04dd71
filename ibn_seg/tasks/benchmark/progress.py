"""The matrix on the terminal: a bar with the time left, and a line for every cell that ends."""

import contextlib
import re
import sys
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ibn_seg.benchmark.cells import Cell
from ibn_seg.benchmark.store import Store
from ibn_seg.progress import progress_bar

if TYPE_CHECKING:
    from rich.progress import Progress

_STEP = re.compile(r"iter_(\d+)\.pth")


class Board:
    """Shows how far the cells are, by the files of the results folder alone.

    Args:
        cells: The cells of the plan.
        store: Where their results are.
    """

    def __init__(self, cells: Sequence[Cell], store: Store) -> None:
        self._cells, self._store = cells, store
        self._states = {cell.id: store.state(cell) for cell in cells}
        self._started = time.monotonic()
        self._first = self._fraction()
        self._bar: Progress | None = None

    def __enter__(self) -> "Board":
        """Show the bar where there is a terminal."""
        if sys.stderr.isatty():
            self._bar = progress_bar()
            self._bar.start()
            self._task = self._bar.add_task(
                "cells", total=len(self._cells), completed=self._first, detail=""
            )
        return self

    def __exit__(self, *error: object) -> None:
        """Take the bar down."""
        if self._bar is not None:
            self._bar.stop()

    def update(self) -> None:
        """Look at the files again."""
        for cell in self._cells:
            if self._states[cell.id] == "done":
                continue
            before, state = self._states[cell.id], self._store.state(cell)
            self._states[cell.id] = state
            if state != before and state in ("done", "failed"):
                self._say(cell, state)
        if self._bar is not None:
            running = [c for c in self._cells if self._states[c.id] == "running"]
            shown = ", ".join(f"{c.label} {self._step(c)}/{c.iterations}" for c in running[:2])
            more = f" and {len(running) - 2} more" if len(running) > 2 else ""
            self._bar.update(self._task, completed=self._fraction(), detail=shown + more)

    def _say(self, cell: Cell, state: str) -> None:
        """Print how a cell ended, and the time left for all."""
        ended = sum(s in ("done", "failed") for s in self._states.values())
        line = f"[{ended}/{len(self._cells)}] {cell.label}: {self._outcome(cell, state)}"
        gained = self._fraction() - self._first
        if gained > 0 and ended < len(self._cells):
            rate = (time.monotonic() - self._started) / gained
            line += f", ETA {_clock(rate * (len(self._cells) - self._fraction()))}"
        if self._bar is not None:
            self._bar.console.print(line, highlight=False, markup=False)
        else:
            print(line, file=sys.stderr, flush=True)

    def _outcome(self, cell: Cell, state: str) -> str:
        if state == "failed":
            return f"failed ({self._store.failures(cell)[-1]['error']})"
        result: dict[str, Any] = self._store.result(cell)
        scores = "  ".join(f"{name} {s['mIoU']:.2f}" for name, s in result["domains"].items())
        return f"mIoU {scores}  in {_clock(result['wall_time_s'])}"

    def _fraction(self) -> float:
        """Return how many cells are done, with parts of those that are not."""
        return sum(
            1.0 if self._states[cell.id] in ("done", "failed")
            else min(0.99, self._step(cell) / cell.iterations)
            for cell in self._cells
        )  # fmt: skip

    def _step(self, cell: Cell) -> int:
        """Return the iteration of a cell's newest checkpoint."""
        with contextlib.suppress(OSError):
            text = (self._store.work_dir(cell) / "last_checkpoint").read_text(encoding="utf-8")
            match = _STEP.search(text)
            return int(match[1]) if match else 0
        return 0


def _clock(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02d}:{rest:02d}"
