"""The folder of a benchmark's results, which several processes and machines may share.

RESULTS/benchmark.json           the index: every cell, its state, scores and files
RESULTS/configs/ID.py            the config of a cell, as `ibn-seg train` takes it
RESULTS/scenes/                  the plan's embedded scenes
RESULTS/scenes-lock/             the process that renders them, see `ibn_seg.results.lease`
RESULTS/slurm/                   the scripts and the output of slurm's jobs
RESULTS/compared/                scenes in several styles, to measure their divergence
RESULTS/cells/ID/                the work dir of a cell
RESULTS/cells/ID/result.json     the result of the training
RESULTS/cells/ID/test.json       the test of the best checkpoint, if the plan selects it
RESULTS/cells/ID/ANALYSIS.json   the result of an analysis, in place of these
RESULTS/cells/ID/cell.json       the cell's description; with it, the cell is done
RESULTS/cells/ID/failed.json     the failed attempts of an unfinished cell
RESULTS/cells/ID/output.log      the output of its processes
RESULTS/cells/ID/lock/           its worker, see `ibn_seg.results.lease`
"""

import os
import socket
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ibn_seg.benchmark.failure import read_failure
from ibn_seg.benchmark.planned_cell import Cell
from ibn_seg.io import read_json, write_json
from ibn_seg.provenance import utc_now
from ibn_seg.results import lease
from ibn_seg.run.result_file import result_name

SCHEMA = 1
# A blocked cell needs a cell that failed, or one that is blocked itself.
STATES = ("done", "failed", "blocked", "running", "interrupted", "to do")
TEST, CELL, FAILED, OUTPUT = "test.json", "cell.json", "failed.json", "output.log"


class Store:
    """The results of a benchmark's cells.

    Args:
        folder: Their folder; it need not exist.
        lease_s: Seconds after which a worker that shows no life loses its cell.
    """

    def __init__(self, folder: str | os.PathLike, lease_s: float = lease.LEASE_S) -> None:
        self.folder = Path(folder)
        self.lease_s = lease_s

    def work_dir(self, cell: Cell) -> Path:
        """Return the folder of a cell."""
        return self.folder / "cells" / cell.id

    def config_file(self, cell: Cell) -> Path:
        """Return the file for the config of a cell."""
        return self.folder / "configs" / f"{cell.id}.py"

    def lock(self, cell: Cell) -> Path:
        """Return the folder of a cell's lock."""
        return self.work_dir(cell) / "lock"

    def state(self, cell: Cell) -> str:
        """Return a cell's state from its own files, one of `STATES` except 'blocked'.

        An 'interrupted' cell has a worker that shows no life, or has begun and has no worker.
        """
        work_dir = self.work_dir(cell)
        if (work_dir / CELL).is_file() and (work_dir / result_name(cell.task)).is_file():
            return "done"
        held = lease.status(self.lock(cell))
        if held == "held":
            return "running"
        if (work_dir / FAILED).is_file():
            return "failed"
        return "interrupted" if held == "stale" or any(work_dir.glob("*.pth")) else "to do"

    def states(
        self, cells: Sequence[Cell], known: Mapping[str, str] | None = None
    ) -> dict[str, str]:
        """Return the state of each cell of a plan by id, including 'blocked'.

        Args:
            cells: The cells, each after the cells that it needs.
            known: States of cells that are not in `cells`, taken without a look at files.
        """
        found: dict[str, str] = dict(known or {})
        for cell in cells:
            state = self.state(cell)
            stuck = any(found[need] in ("failed", "blocked") for need in cell.needs)
            found[cell.id] = "blocked" if stuck and state in ("to do", "interrupted") else state
        return found

    def claim(self, cell: Cell) -> lease.Lease | None:
        """Take a cell for this process; return None if another process has it.

        Raises:
            EnvError: The folder cannot be written.
        """
        return lease.acquire(self.lock(cell), self.lease_s)

    def result(self, cell: Cell) -> dict[str, Any]:
        """Return a cell's measurements."""
        return read_json(self.work_dir(cell) / result_name(cell.task))

    def test(self, cell: Cell) -> dict[str, Any]:
        """Return the test result of a training's best checkpoint."""
        return read_json(self.work_dir(cell) / TEST)

    def failures(self, cell: Cell) -> list[dict[str, Any]]:
        """Return the failed attempts of an unfinished cell, oldest first."""
        path = self.work_dir(cell) / FAILED
        return read_json(path)["attempts"] if path.is_file() else []

    def record_done(self, cell: Cell) -> None:
        """Mark a cell with results as done; only for the holder of its lock."""
        path = self.work_dir(cell) / CELL
        attempts = self.failures(cell)
        write_json(
            path,
            {"schema": SCHEMA, **cell.facts(), "identity": cell.identity,
             "failed_attempts": attempts},
        )  # fmt: skip
        (self.work_dir(cell) / FAILED).unlink(missing_ok=True)

    def record_failure(self, cell: Cell, exit_code: int, output: str) -> None:
        """Add a failed attempt to a cell; only for the holder of its lock.

        Args:
            cell: The cell.
            exit_code: Exit code of its process; negative: the signal that ended it.
            output: The end of its output.
        """
        failure = read_failure(exit_code, output)
        attempts = self.failures(cell)
        attempt = {
            "attempt": len(attempts) + 1, "time": utc_now(), "host": socket.gethostname(),
            "exit_code": failure.exit_code, "error": failure.error,
            "traceback": output,
        }  # fmt: skip
        facts: Mapping[str, Any] = {"schema": SCHEMA, **cell.facts()}
        write_json(self.work_dir(cell) / FAILED, {**facts, "attempts": [*attempts, attempt]})
