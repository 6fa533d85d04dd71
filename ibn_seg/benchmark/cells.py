"""Makes a plan's cells: networks to train and their measurements, in running order."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from ibn_seg.analyses.transfer.share_config import transfer_config
from ibn_seg.benchmark.cell_config import (
    Base,
    Network,
    base_configs,
    networks_of,
    targets_of,
    training_config,
)
from ibn_seg.benchmark.cell_identity import analysis_identity, identity_of
from ibn_seg.benchmark.plan import Plan
from ibn_seg.benchmark.plan_parts import Block, PlannedAnalysis, Transfer
from ibn_seg.benchmark.planned_cell import Cell
from ibn_seg.benchmark.search_cells import search_cells
from ibn_seg.errors import UserError, unknown
from ibn_seg.provenance import source_domains
from ibn_seg.results.identity import cell_id
from ibn_seg.run.schedule import iterations_of

if TYPE_CHECKING:
    from mmengine.config import Config


def list_cells(plan: Plan) -> list[Cell]:
    """Return the cells of a plan, each after the cells that it needs.

    The matrix comes first. Its seeds are outermost, so that whole comparisons finish early. Then
    come the oracles, the analyses and the transfers.

    Raises:
        UserError: A config is missing, or an option does not fit it. Or two names of the plan stand
            for the same training. Or a transfer begins from a network that the plan does not train.
    """
    base = base_configs(plan)
    found: dict[str, Cell] = {}
    if plan.searches is not None:
        _add(plan, found, search_cells(plan))
    for block in plan.blocks:
        _add(plan, found, _trainings(plan, block, base))
    matrix = list(found.values())
    if plan.oracles is not None:
        _add(plan, found, _trainings(plan, plan.oracles, base, "oracles.sources"))
    for analysis in plan.analyses:
        _add(plan, found, _analyses(plan, analysis, matrix))
    if plan.transfer is not None:
        _add(plan, found, _transfers(plan, plan.transfer, matrix, base))
    return list(found.values())


def _add(plan: Plan, found: dict[str, Cell], cells: Iterator[Cell]) -> None:
    """Add cells; the same cell may come twice under the same name."""
    for cell in cells:
        twin = found.setdefault(cell.id, cell)
        if twin.label != cell.label or twin.segmentor != cell.segmentor:
            raise UserError(
                f"{plan.file}: {twin.label!r} and {cell.label!r} are the same training",
                "leave one out, or let their options differ",
            )


def _trainings(plan: Plan, block: Block, base: Base, sources: str = "sources") -> Iterator[Cell]:
    """Make the cells that train a block's networks; a key of the plan names its sources."""
    for network in networks_of(block):
        config = training_config(plan, block, network, base, sources)
        yield _training(plan, network, config)


def _training(plan: Plan, network: Network, config: "Config", needs: Sequence[str] = ()) -> Cell:
    """Return the cell that trains a network.

    Args:
        plan: The plan.
        network: The network.
        config: The config of its training.
        needs: Id of the training that it begins from.
    """
    identity = identity_of(config.to_dict(), plan)
    if needs:
        identity["needs"] = list(needs)
    experiment = config.experiment
    return Cell(
        id=cell_id(identity), method=network.method.name, backbone=network.backbone.name,
        segmentor=network.segmentor.name, source=experiment.source,
        targets=targets_of(plan, config), seed=network.seed,
        iterations=iterations_of(config), identity=identity, config=config,
        needs=tuple(needs), share=experiment.get("share"), start=experiment.get("start"),
    )  # fmt: skip


def _transfers(
    plan: Plan, transfer: Transfer, matrix: Sequence[Cell], base: Base
) -> Iterator[Cell]:
    """Make the cells that train on shares of the targets, with whole comparisons first."""
    trained: dict[tuple, Cell] = {}
    for cell in matrix:
        trained.setdefault((cell.method, cell.backbone, cell.segmentor, cell.seed), cell)
    for network in networks_of(transfer.block):
        whole = training_config(plan, transfer.block, network, base, "transfer.targets")
        names = network.method.name, network.backbone.name, network.segmentor.name
        first = trained.get((*names, network.seed))
        if first is None and "source" in transfer.starts:
            raise UserError(
                f"{plan.file}: transfer begins from {' '.join(names)} with seed {network.seed}, "
                "which the matrix does not train",
                "choose methods, backbones and seeds of the matrix",
            )
        for share in transfer.shares:
            for start in transfer.starts:
                needs = (first.id,) if start == "source" and first else ()
                # The file is known once it is trained. The worker fills it in then.
                config = transfer_config(
                    whole,
                    share=share,
                    subset_seed=network.seed,
                    checkpoint=needs[0] if needs else None,
                )
                config.load_from = None
                yield _training(plan, network, config, needs)


def _analyses(plan: Plan, analysis: PlannedAnalysis, matrix: Sequence[Cell]) -> Iterator[Cell]:
    """Make the cells that measure networks of the matrix."""
    covered = [c for c in matrix if analysis.covers(c.method, c.backbone, c.source, c.seed)]
    if not covered:
        raise UserError(
            f"{plan.file}: analyses.{analysis.task}: the matrix has no such network",
            "choose methods, backbones, sources and seeds that it trains together",
        )
    for cell in covered:
        known = (*source_domains(cell.source), *cell.targets)
        for index, domain in enumerate(analysis.options.get("domains") or ()):
            if domain not in known:
                key = f"analyses.{analysis.task}.domains.{index}"
                raise UserError(f"{plan.file}: {key}: {unknown('domain', domain, known)}")
        identity = analysis_identity(analysis, plan, cell.id)
        yield replace(
            cell, id=cell_id(identity), identity=identity, task=analysis.task, needs=(cell.id,),
            options=analysis.options,
        )  # fmt: skip
