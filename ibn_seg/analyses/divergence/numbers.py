"""Divergence over seeds, by groups of layers."""

import statistics

from ibn_seg.report.board import Board, Measurement
from ibn_seg.report.measured import (
    AnalysisTable,
    analysis_table,
    checked,
    part_of,
    runs_by_shape,
)

# Ending of the columns of medians.
MEDIAN = " median"


def divergence_tables(board: Board) -> list[AnalysisTable]:
    """Return, per pair of sides, the divergence of each group of layers, a mean over its layers.

    A group is the part of a layer's name before the point: 'stem', 'layer1' ... The column with the
    group's name has the mean over channels. The column ending in `MEDIAN` has the median over
    channels.
    """
    tables = []
    for shape, runs in runs_by_shape(board, "divergence").items():
        pairs = dict.fromkeys(pair for run in runs for pair in part_of(run, "pairs"))
        for pair in pairs:
            having = [run for run in runs if pair in run.content["pairs"]]
            values = {id(run): checked(run, _groups, pair) for run in having}
            few = any(run.content["pairs"][pair].get("few_images") for run in having)
            tables.append(analysis_table("divergence", pair, shape, having, values, few))
    return tables


def _groups(run: Measurement, pair: str) -> dict[str, float]:
    groups: dict[str, list[float]] = {}
    layers = run.content["pairs"][pair]["layers"]
    for key, ending in (("divergence", ""), ("median", MEDIAN)):
        for layer in layers:
            name = layer["layer"].partition(".")[0] + ending
            groups.setdefault(name, []).append(float(layer[key]))
    return {name: statistics.fmean(values) for name, values in groups.items()}
