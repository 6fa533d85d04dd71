"""Speed over seeds, with the scores of the same networks."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from ibn_seg.provenance import source_domains
from ibn_seg.report.board import Board, Measurement, Network
from ibn_seg.report.measured import AnalysisTable, analysis_table, checked, runs_by_shape


@dataclass(frozen=True)
class TradeOff:
    """Score and time of one method.

    Args:
        method: Its name.
        times: Time divided by BN's, by seed.
        scores: mIoU of the same seeds, percent.
    """

    method: str
    times: tuple[float, ...]
    scores: tuple[float, ...]


def speed_tables(board: Board) -> list[AnalysisTable]:
    """Return the costs of methods, by shape, size of the picture and device.

    Columns are the quantities of the CSV: 'time_over_bn', 'parameters', 'multiply_adds' and
    'peak_memory_over_bn'.
    """
    tables = []
    for shape, runs in runs_by_shape(board, "speed").items():
        alike: dict[str, list[Measurement]] = {}
        for run in runs:
            alike.setdefault(_setting(run), []).append(run)
        for setting, some in alike.items():
            values = {id(run): checked(run, _needs, "network") for run in some}
            tables.append(analysis_table("speed", setting, shape, some, values))
    return tables


def trade_offs(board: Board, found: AnalysisTable) -> tuple[str, list[TradeOff]]:
    """Return the scored domain, and each method's score and time over seeds that have both.

    The score is on the target, or the mean over several targets. Without a target, it is on the
    source.
    """
    networks = {
        (one.method, one.seed): one
        for one in board.networks
        if (one.backbone, one.segmentor, one.source) == found.shape and one.start is None
    }
    pairs = {
        row.method: [
            (networks[row.method, run.seed], time)
            for run, time in zip(row.runs, row.values["time_over_bn"].values, strict=True)
            if (row.method, run.seed) in networks
        ]
        for row in found.rows
    }
    scored = _scored([network for some in pairs.values() for network, _ in some])
    marks = [
        TradeOff(
            method,
            tuple(time for _, time in some),
            tuple(statistics.fmean(network.scores[d] for d in scored) for network, _ in some),
        )
        for method, some in pairs.items()
        if some and scored
    ]
    several = f"mean of {len(scored)} targets"
    return several if len(scored) > 1 else "".join(scored), marks


def _scored(networks: Sequence[Network]) -> list[str]:
    """Return the domains whose mean is the score; every network was evaluated on them."""
    if not networks:
        return []
    sources = source_domains(networks[0].source)
    shared = [d for d in networks[0].scores if all(d in one.scores for one in networks)]
    return [d for d in shared if d not in sources] or shared[:1]


def _setting(run: Measurement) -> str:
    """Return the size of the picture and the device, in a table caption's words."""
    size = checked(run, _size, "size")
    return f"{size['width']:g}x{size['height']:g} on {run.content.get('device')}"


def _size(run: Measurement, key: str) -> dict[str, float | None]:
    width, height = run.content[key]
    return {"width": float(width), "height": float(height)}


def _needs(run: Measurement, key: str) -> dict[str, float | None]:
    content = run.content
    return {
        "time_over_bn": float(content["time_over_bn"]["median"]),
        "parameters": float(content[key]["parameters"]),
        "multiply_adds": float(content[key]["multiply_adds"]),
        "peak_memory_over_bn": float(content["peak_memory_over_bn"]),
    }
