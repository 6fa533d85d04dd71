"""Takes over a network that was trained for other targets, so that it is not trained again.

A cell's ID depends on the targets that it is evaluated on. Its training does not: targets are only
evaluated. So a finished training of another cell serves, and only the evaluation is run. Both rules
for checkpoints look at the source alone, whose images are part of what has to be equal.
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

# The folder of the evaluation in that of the cell. The last step of a take-over deletes it.
_EVALUATION = "last"
# What a result says of the evaluation; the rest is the training's.
_EVALUATED = ("domains", "targets_mIoU", "gap", "metrics", "protocol", "config", "config_file")


@dataclass(frozen=True)
class Trained:
    """A finished training of another cell.

    Attributes:
        id: The cell.
        checkpoint: The file of its last network.
        selected: The file of the network that the plan's rule selects, which may be the same.
        result: The content of its result file.
    """

    id: str
    checkpoint: Path
    selected: Path
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
        rule: The plan's rule for checkpoints.
    """
    work_dir = store.work_dir(cell)
    copying = (work_dir / _EVALUATION).is_dir()  # and interrupted, if there are networks already
    begun = any(work_dir.glob("*.pth")) and not copying
    if cell.task != TRAINING or begun or (work_dir / result_name(TRAINING)).is_file():
        return None
    key = training_key(cell.identity)
    for file in sorted(work_dir.parent.glob(f"*/{CELL}")):
        # What is wrong with another cell is no reason for this one to fail.
        with contextlib.suppress(UserError, LookupError, TypeError, AttributeError):
            described = read_json(file)
            if described["task"] != TRAINING or training_key(described["identity"]) != key:
                continue
            result = read_result(file.parent)
            kept = [
                result and selected_checkpoint(file.parent, result, one) for one in (LAST, rule)
            ]
            if all(kept):
                return Trained(described["id"], *kept, result)
    return None


def evaluation(store: Store, cell: Cell, trained: Trained) -> Step:
    """Return the command that evaluates the last network on a cell's targets.

    It has a folder of its own, because the result of a test in the cell's folder is that of the
    selected network.
    """
    folder, config = store.work_dir(cell) / _EVALUATION, store.config_file(cell)
    network = os.fspath(trained.checkpoint.resolve())
    arguments = ("test", os.fspath(config), network, "--work-dir", os.fspath(folder))
    return Step(folder / TEST, arguments)


def take_over(store: Store, cell: Cell, trained: Trained) -> None:
    """Write the result of a cell from its evaluation and another cell's training.

    It names the cell that was trained in `trained_in`. The curves of validation are those of the
    training, so they lack new targets. The selected network is only copied: its test is a command
    of the cell, as after a training.

    Args:
        store: The results.
        cell: The cell, after the command of `evaluation`.
        trained: The training.
    """
    work_dir = store.work_dir(cell)
    evaluated = work_dir / _EVALUATION
    tested = read_json(evaluated / TEST)
    # Copies, and not links: either cell may be deleted, and links do not cross file systems.
    for network in {trained.checkpoint, trained.selected}:
        shutil.copyfile(network, work_dir / network.name)
    own = work_dir / trained.checkpoint.name
    write_text(work_dir / LAST_CHECKPOINT, os.fspath(own.resolve()))
    matrices = CONFUSION_FILES[TRAINING]
    shutil.copyfile(evaluated / tested["confusions"], work_dir / matrices)
    write_json(
        work_dir / result_name(TRAINING),
        {
            **trained.result,
            **{name: tested[name] for name in _EVALUATED if name in tested},
            "name": cell.id,
            "trained_in": trained.result.get("trained_in", trained.id),
            "checkpoint": os.fspath(own),
            "confusions": matrices,
            "wall_time_s": trained.result["wall_time_s"] + tested["wall_time_s"],
            "command": f"{trained.result['command']} && {tested['command']}",
        },
    )
    shutil.rmtree(evaluated)
