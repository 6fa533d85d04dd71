"""Draws score over time, with one mark per method."""

import statistics
from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from ibn_seg.analyses.speed.numbers import TradeOff
from ibn_seg.report import plots
from ibn_seg.report.method_looks import Look, method_looks


def trade_off_chart(
    marks: Sequence[TradeOff], name: str, label: str, *, methods: Sequence[str] = ()
) -> str:
    """Return mIoU over time as an <svg>: marks at the means over seeds, lines for the ranges.

    A line stands at 1, the time of BN. Method names stay out of the drawing.

    Args:
        marks: The methods.
        name: Prefix of the drawing's ids, unique on the page.
        label: Text alternative for readers who do not see the drawing.
        methods: All methods of the page, whose colours differ. Default: the drawn ones.
    """
    looks = method_looks([*methods, *(mark.method for mark in marks)])
    figure, axes = plots.empty_figure(height=250, left=52)
    axes.axvline(1, color=plots.MUTED, linewidth=1.1, zorder=1)
    for mark in marks:
        _draw(axes, mark, looks[mark.method])
    axes.margins(x=0.1, y=0.12)
    axes.xaxis.set_major_locator(MaxNLocator(nbins=5))
    axes.yaxis.set_major_locator(MaxNLocator(nbins=6))
    axes.set_xlabel("time over BN")
    axes.set_ylabel("mIoU (%)", rotation_mode="anchor")
    axes.grid(color=plots.GRID, linewidth=0.8)
    return plots.as_svg(figure, name, label)


def _draw(axes: Axes, mark: TradeOff, look: Look) -> None:
    colour = plots.series_colour(look.colour)
    x, y = statistics.fmean(mark.times), statistics.fmean(mark.scores)
    if len(mark.times) > 1:
        axes.plot((min(mark.times), max(mark.times)), (y, y), color=colour, linewidth=1.8)
        axes.plot((x, x), (min(mark.scores), max(mark.scores)), color=colour, linewidth=1.8)
    axes.plot(x, y, color=colour, marker=look.marker, markersize=6.5, zorder=3)
