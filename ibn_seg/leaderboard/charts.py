"""Makes the leaderboard's drawings: a title and an <svg> each. The page has the legend."""

from collections.abc import Sequence

from ibn_seg.leaderboard.comparison import Comparison, Group
from ibn_seg.report.board import Board
from ibn_seg.report.forest import ForestRow, forest_chart
from ibn_seg.report.interval_marks import axis_of
from ibn_seg.report.runs import order_methods
from ibn_seg.report.section import Chart, chart
from ibn_seg.statistics import Interval


def difference_charts(board: Board, comparisons: Sequence[Comparison]) -> list[Chart]:
    """Return differences to the baseline by domain, per backbone and segmentor, on one axis."""
    rows_of = {
        (at, k): _rows(board, found, group)
        for at, found in enumerate(comparisons)
        for k, group in enumerate(found.groups)
    }
    axis = axis_of(end for rows in rows_of.values() for row in rows for end in _span(row))
    charts = []
    for (at, k), rows in rows_of.items():
        if not rows or axis is None:
            continue
        found, group = comparisons[at], comparisons[at].groups[k]
        label = f"Difference to {found.baseline}: {group.title}, trained on {found.title}"
        svg = forest_chart(
            rows, f"forest{at}-{k}", label, quantity="points of mIoU", limits=(axis.low, axis.high)
        )
        fold = f"Differences to {found.baseline} on each domain"
        charts.append(chart(group.title, svg, about=about(found), fold=fold))
    return charts


def about(found: Comparison) -> str:
    """Return the heading of what belongs to a comparison."""
    return f"Trained on {found.title}"


def _rows(board: Board, found: Comparison, group: Group) -> list[ForestRow]:
    methods = order_methods(board.methods)
    return [
        ForestRow(column, methods.index(row.method), difference.per_seed.mean, *ends)
        for column in found.columns
        for row in group.ranked
        if (difference := row.differences.get(column)) is not None
        for ends in [_ends(difference.interval)]
    ]


def _span(row: ForestRow) -> list[float]:
    return [end for end in (row.low, row.value, row.high) if end is not None]


def _ends(interval: Interval) -> tuple[float | None, float | None]:
    return (None, None) if interval.images_only else (interval.low, interval.high)
