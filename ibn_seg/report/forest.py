"""Differences with their intervals, domain by domain, as a small forest plot."""

import html
from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from ibn_seg.errors import UserError
from ibn_seg.report import plots
from ibn_seg.report.method_looks import Look

_PER_ROW, _BETWEEN = 17.0, 0.7
# Placeholder for the k-th name until the drawing is text, because a name may hold any characters.
_NAME = "\N{WHITE SQUARE}{}\N{WHITE SQUARE}"


@dataclass(frozen=True)
class ForestRow:
    """One method's difference to the baseline on one domain, in points.

    Args:
        domain: The domain. Rows of one domain stand together under its name.
        look: The colour and shape of the method.
        value: The difference.
        low: Lower end of its interval; None without an interval, as with a single seed.
        high: Upper end.
    """

    domain: str
    look: Look
    value: float
    low: float | None = None
    high: float | None = None


def forest_chart(
    rows: Sequence[ForestRow],
    name: str,
    label: str,
    *,
    quantity: str = "points",
    limits: tuple[float, float] | None = None,
) -> str:
    """Return differences as points with intervals around a line at zero, as an <svg>.

    A difference without an interval is a hollow point.

    Args:
        rows: The differences from top to bottom. Rows of one domain are adjacent.
        name: Prefix of the drawing's ids, unique on the page.
        label: Text alternative for readers who do not see the drawing.
        quantity: Label of the axis.
        limits: Ends of the axis, for drawings that are compared. Default: what the rows need.

    Raises:
        UserError: `rows` is empty.
    """
    if not rows:
        raise UserError("no differences to draw", "give two methods and a common seed")
    domains = list(dict.fromkeys(row.domain for row in rows))
    shown = {domain: plots.shortened(domain) for domain in domains}
    lines = len(rows) + _BETWEEN * len(domains)
    room = plots.names_room(shown.values())
    figure, axes = plots.empty_figure(height=_PER_ROW * lines + 50, left=room)
    at, middles = 0.0, []
    for domain in domains:
        mine = [row for row in rows if row.domain == domain]
        for k, row in enumerate(mine):
            _draw_row(axes, row, at + k)
        middles.append(at + (len(mine) - 1) / 2)
        at += len(mine) + _BETWEEN
    axes.axvline(0, color=plots.MUTED, linewidth=1.1, zorder=1)
    axes.set_yticks(middles, [_NAME.format(k) for k in range(len(domains))])
    axes.set_ylim(at - 0.5 - _BETWEEN / 2, -0.5 - _BETWEEN / 2)
    axes.xaxis.set_major_locator(MaxNLocator(nbins=5))
    axes.margins(x=0.08)
    if limits is not None:
        axes.set_xlim(*limits)
    axes.set_xlabel(quantity)
    axes.grid(axis="x", color=plots.GRID, linewidth=0.8)
    svg = plots.as_svg(figure, name, label)
    for k, text in enumerate(shown.values()):
        svg = svg.replace(_NAME.format(k), html.escape(text))
    return svg


def _draw_row(axes: Axes, row: ForestRow, at: float) -> None:
    colour = plots.series_colour(row.look.colour)
    known = row.low is not None and row.high is not None
    if known:
        axes.plot((row.low, row.high), (at, at), color=colour, linewidth=2.2, zorder=2)
    axes.plot(
        row.value,
        at,
        color=colour,
        marker=row.look.marker,
        markerfacecolor=colour if known else "none",
        markersize=6,
        zorder=3,
    )
