"""Takes over a network that was trained for other targets, so that it is not trained again.

A cell's ID depends on the targets that it is evaluated on. Its training does not: targets are only
evaluated. So a finished training of another cell serves, and only the evaluation is run.
"""

import contextlib
import copy
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ibn_seg.benchmark.planned_cell import TRAINING, Cell
from ibn_seg.benchmark.selection import LAST, selected_checkpoint
from ibn_seg.benchmark.steps import Step
from ibn_seg.benchmark.store import CELL, TEST, Store
from ibn_seg.errors import UserError
from ibn_seg.evaluation.stored import CONFUSION_FILES
from ibn_seg.io import read_json, write_json, write_text
from ibn_seg.provenance import source_domains
from ibn_seg.results.identity import cell_id
from ibn_seg.run.result_file import LAST_CHECKPOINT, read_result, result_name

# What a result says of the evaluation; the rest is the training's.
_EVALUATED = ("domains", "targets_mIoU", "gap", "metrics", "protocol", "config", "config_file")


@dataclass(frozen=True)
class Trained:
    """A finished training of another cell.

    Attributes:
        id: The cell.
        checkpoint: The file of its network.
        result: The content of its result file.
    """

    id: str
    checkpoint: Path
    result: Mapping[str, Any]


def training_key(identity: Mapping[str, Any]) -> str:
    """Return the hash of an identity without the targets that are only evaluated."""
    kept = copy.deepcopy(dict(identity))
    sources = source_domains(kept["config"]["experiment"]["source"])
    evaluated = kept["config"]["val_dataloader"]["dataset"]
    evaluated["datasets"] = evaluated["datasets"][: len(sources)]
    return cell_id(kept)


def trained_before(store: Store, cell: Cell, rule: str) -> Trained | None:
    """Return the finished training that a cell can take over; None if it has to train.

    Args:
        store: The results.
        cell: The cell.
        rule: The plan's rule for checkpoints. Only the last checkpoint can be taken over: others
            are chosen by validations, which have not seen the other targets.
    """
    work_dir = store.work_dir(cell)
    begun = (work_dir / result_name(TRAINING)).is_file() or any(work_dir.glob("*.pth"))
    if cell.task != TRAINING or rule != LAST or begun:
        return None
    key = training_key(cell.identity)
    for file in sorted(work_dir.parent.glob(f"*/{CELL}")):
        # What is wrong with another cell is no reason for this one to fail.
        with contextlib.suppress(UserError, LookupError, TypeError, AttributeError):
            described = read_json(file)
            if described["task"] != TRAINING or training_key(described["identity"]) != key:
                continue
            result = read_result(file.parent)
            checkpoint = result and selected_checkpoint(file.parent, result, rule)
            if checkpoint:
                return Trained(described["id"], checkpoint, result)
    return None


def evaluation(store: Store, cell: Cell, trained: Trained) -> Step:
    """Return the command that evaluates a network on a cell's targets."""
    work_dir, config = store.work_dir(cell), store.config_file(cell)
    where = ("--work-dir", os.fspath(work_dir))
    network = os.fspath(trained.checkpoint.resolve())
    return Step(work_dir / TEST, ("test", os.fspath(config), network, *where))


def take_over(store: Store, cell: Cell, trained: Trained) -> None:
    """Write the result of a cell from its evaluation and another cell's training.

    It names that cell in `trained_in`. The curves of validation are those of the training, so they
    lack new targets.

    Args:
        store: The results.
        cell: The cell, after the command of `evaluation`.
        trained: The training.
    """
    work_dir, tested = store.work_dir(cell), store.test(cell)
    own = work_dir / trained.checkpoint.name
    # A copy, and not a link: either cell may be deleted, and links do not cross file systems.
    shutil.copyfile(trained.checkpoint, own)
    write_text(work_dir / LAST_CHECKPOINT, os.fspath(own.resolve()))
    matrices = CONFUSION_FILES[TRAINING]
    shutil.copyfile(work_dir / tested["confusions"], work_dir / matrices)
    write_json(
        work_dir / result_name(TRAINING),
        {
            **trained.result,
            **{name: tested[name] for name in _EVALUATED if name in tested},
            "name": cell.id,
            "trained_in": trained.id,
            "checkpoint": os.fspath(own),
            "confusions": matrices,
            "wall_time_s": trained.result["wall_time_s"] + tested["wall_time_s"],
            "command": f"{trained.result['command']} && {tested['command']}",
        },
    )
    (work_dir / tested["confusions"]).unlink()
    (work_dir / TEST).unlink()
