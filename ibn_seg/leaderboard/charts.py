"""Makes the leaderboard's drawings: a title and an <svg> each. The page has the legend."""

from collections.abc import Sequence

from ibn_seg.leaderboard.compare import Comparison
from ibn_seg.report.board import Board
from ibn_seg.report.forest import ForestRow, forest_chart
from ibn_seg.report.runs import order_methods
from ibn_seg.report.section import Chart, chart
from ibn_seg.statistics import Interval


def difference_charts(board: Board, comparisons: Sequence[Comparison]) -> list[Chart]:
    """Return differences to the baseline with intervals, per backbone and segmentor."""
    methods, charts = order_methods(board.methods), []
    for at, found in enumerate(comparisons):
        for k, group in enumerate(found.groups):
            rows = [
                ForestRow(column, methods.index(row.method), difference.per_seed.mean, *ends)
                for column in found.columns
                for row in group.ranked
                if (difference := row.differences.get(column)) is not None
                for ends in [_ends(difference.interval)]
            ]
            if rows:
                title = f"Difference to {found.baseline}: {group.title}, trained on {found.title}"
                svg = forest_chart(rows, f"forest{at}-{k}", title, quantity="points of mIoU")
                charts.append(chart(title, svg))
    return charts


def _ends(interval: Interval) -> tuple[float | None, float | None]:
    return (None, None) if interval.images_only else (interval.low, interval.high)
