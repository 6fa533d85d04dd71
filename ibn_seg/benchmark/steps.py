"""The commands of a cell. Each leaves one result file in the cell's folder."""

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ibn_seg.analyses.all_analyses import analysis, part
from ibn_seg.benchmark.plan import Plan
from ibn_seg.benchmark.planned_cell import SEARCHING, TRAINING, Cell
from ibn_seg.benchmark.search_cells import search_arguments
from ibn_seg.benchmark.selection import LAST, selected_checkpoint
from ibn_seg.benchmark.store import TEST, Store
from ibn_seg.config import load_config
from ibn_seg.errors import UserError
from ibn_seg.run.protocol import DEFAULT_PROTOCOL, set_protocol
from ibn_seg.run.result_file import result_name
from ibn_seg.run.setup import add_hooks

if TYPE_CHECKING:
    from mmengine.config import Config


@dataclass(frozen=True)
class Step:
    """One command of a cell.

    Attributes:
        output: The result file that it leaves on success.
        arguments: The arguments of `ibn-seg`.
        processes: Number of processes that run it.
    """

    output: Path
    arguments: tuple[str, ...]
    processes: int = 1


def steps(plan: Plan, cells: Mapping[str, Cell], store: Store, cell: Cell) -> Iterator[Step]:
    """Yield the commands of a cell, each after the earlier ones are done.

    Args:
        plan: The plan.
        cells: The cells of the plan by id.
        store: Where results are.
        cell: The cell; what it needs is done.

    Raises:
        UserError: The file of a network is gone.
    """
    work_dir, config = store.work_dir(cell), os.fspath(store.config_file(cell))
    where = ("--work-dir", os.fspath(work_dir))
    output = work_dir / result_name(cell.task)
    if cell.task == SEARCHING:
        arguments = search_arguments(plan, cell, store.folder)
        yield Step(output, (*arguments, *where, "--resume"), plan.processes)
        return
    if cell.task == TRAINING:
        yield Step(output, ("train", config, *where, "--resume"), plan.processes)
        if plan.selection != LAST:
            best = _network(plan, store, cell)
            yield Step(work_dir / TEST, ("test", config, best, *where))
        return
    network = _network(plan, store, cells[cell.needs[0]])
    yield Step(output, (cell.task, config, network, *_flags(cell, store), *where))


def cell_config(plan: Plan, cells: Mapping[str, Cell], store: Store, cell: Cell) -> "Config":
    """Return the config for a cell's commands.

    Args:
        plan: The plan.
        cells: The cells of the plan by id.
        store: Where results are.
        cell: The cell; what it needs is done.

    Raises:
        UserError: The file of the network that the cell begins from is gone.
    """
    config = load_config(cell.config)
    if cell.task == SEARCHING:
        return config
    if plan.protocol != DEFAULT_PROTOCOL:
        set_protocol(config, plan.protocol)
    add_hooks(config, {"type": "LeaseHook"})
    if cell.task == TRAINING and cell.needs:
        config.load_from = _network(plan, store, cells[cell.needs[0]])
    return config


def _network(plan: Plan, store: Store, training: Cell) -> str:
    """Return the file of a training's network, selected by the plan's rule.

    Raises:
        UserError: The file is gone.
    """
    work_dir = store.work_dir(training)
    found = selected_checkpoint(work_dir, store.result(training), plan.selection)
    if found is None:
        raise UserError(
            f"{work_dir}: the checkpoint of {training.label!r} is gone",
            f"delete {work_dir} to train it again",
        )
    return os.fspath(found.resolve())


def _flags(cell: Cell, store: Store) -> list[str]:
    """Return the command-line flags for an analysis's options."""
    flags = [
        word
        for option in part(cell.task, "options").OPTIONS
        for word in option.words(cell.options[option.name])
    ]
    shared = analysis(cell.task).shared
    return [*flags, shared[0], os.fspath(store.folder / shared[1])] if shared else flags
