"""The leaderboard's drawings: each is a title and an <svg>; the page has the legend."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from markupsafe import Markup

from ibn_seg.analyses.divergence.curves import depth_curves
from ibn_seg.analyses.divergence.drawing import depth_charts
from ibn_seg.analyses.robustness.drawing import robustness_charts
from ibn_seg.analyses.transfer.drawing import transfer_chart
from ibn_seg.leaderboard.compare import Comparison
from ibn_seg.leaderboard.measured import TransferTable
from ibn_seg.leaderboard.read import Analysis, Board
from ibn_seg.report.forest import ForestRow, forest_chart
from ibn_seg.report.plots import SERIES_COLOURS
from ibn_seg.report.runs import order_methods
from ibn_seg.statistics import Interval

Chart = dict[str, Any]


def legend(board: Board, drawn: Iterable[str]) -> tuple[tuple[str, int], ...]:
    """Return the methods of some charts with the number that their colour has on the whole page."""
    colours = {name: k % SERIES_COLOURS for k, name in enumerate(order_methods(board.methods))}
    kept = set(drawn)
    return tuple((name, colour) for name, colour in colours.items() if name in kept)


def difference_charts(board: Board, comparisons: Sequence[Comparison]) -> list[Chart]:
    """Return, per backbone and segmentor, the differences to the baseline with their intervals."""
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
                title = f"Difference to {found.baseline}: {group.title}, trained on {found.source}"
                svg = forest_chart(rows, f"forest{at}-{k}", title, quantity="points of mIoU")
                charts.append(_chart(title, svg))
    return charts


def divergence_charts(board: Board) -> list[Chart]:
    """Return the divergence over depth of each pair and shape."""
    charts = []
    for k, (shape, runs) in enumerate(_by_shape(board, "divergence").items()):
        drawn = depth_charts(
            depth_curves([_content(run) for run in runs]),
            f"depth{k}",
            methods=order_methods(board.methods),
        )
        charts += [_chart(f"{_words(pair)}: {shape}", svg) for pair, svg in drawn.items()]
    return charts


def retention_charts(board: Board) -> list[Chart]:
    """Return the retention over severity of each corruption, domain and shape."""
    charts = []
    for k, (shape, runs) in enumerate(_by_shape(board, "robustness").items()):
        contents = [_content(run) for run in runs]
        domains = dict.fromkeys(name for one in contents for name in one.get("retention") or ())
        for at, domain in enumerate(domains):
            drawn = robustness_charts(
                contents, domain, f"robust{k}-{at}", methods=order_methods(board.methods)
            )
            charts += [
                _chart(f"{title.replace('_', ' ')}, on {domain}: {shape}", svg)
                for title, svg in drawn.items()
            ]
    return charts


def transfer_charts(board: Board, tables: Sequence[TransferTable]) -> list[Chart]:
    """Return mIoU over the share of each transfer."""
    charts = []
    for k, table in enumerate(tables):
        cells = [
            {
                "id": one.name, "method": one.method, "backbone": one.backbone, "seed": one.seed,
                "start": one.start, "share": share, "state": "done", "mIoU": one.scores,
            }
            for row in table.rows for share, some in row.networks.items() for one in some
        ]  # fmt: skip
        for at, domain in enumerate(table.domain.split("+")):
            title = f"mIoU on {domain} by share: {table.backbone}, {table.segmentor}"
            svg = transfer_chart(
                cells, domain, f"transfer{k}-{at}", title, methods=order_methods(board.methods)
            )
            charts.append(_chart(title, svg))
    return charts


def _words(pair: str) -> str:
    """Return KIND:A,B as words, which a narrow column can break between."""
    kind, _, domains = pair.partition(":")
    return f"{kind}, {domains.replace(',', ' and ')}"


def _chart(title: str, svg: str) -> Chart:
    return {"title": title, "svg": Markup(svg)}


def _by_shape(board: Board, task: str) -> dict[str, list[Analysis]]:
    found: dict[str, list[Analysis]] = {}
    for run in board.analyses:
        if run.task == task:
            shape = f"{run.backbone}, {run.segmentor}, trained on {run.source}"
            found.setdefault(shape, []).append(run)
    return found


def _content(run: Analysis) -> Mapping[str, Any]:
    """Return a result under the names that the benchmark's index has for its network."""
    names = {"method": run.method, "backbone": run.backbone, "seed": run.seed}
    return {**run.content, "name": str(run.result), **names}


def _ends(interval: Interval) -> tuple[float | None, float | None]:
    return (None, None) if interval.images_only else (interval.low, interval.high)
