"""Draws the report's plots as SVG text with colours from the page's style sheet.

Matplotlib draws. Afterwards CSS variables replace its colours, so one drawing serves the light and
the dark page. Names from results stay out of the drawings. The page around them holds titles and
legends.
"""

import html
import io
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from ibn_seg.report.method_looks import Look
from ibn_seg.report.missing_glyphs import quiet_glyphs
from ibn_seg.report.runs import Curve
from ibn_seg.report.scores import ClassRow
from ibn_seg.report.tables import number

# The text column of a phone. At this width, text stays readable there.
WIDTH = 340
FONT_SIZE = 12.5
# At this size, a loss logged at every iteration looks like noise. Longer curves are averaged.
LOSS_POINTS = 60
# Points: the height of a bar with its gap, and its value, which a phone still shows with 9 pixels.
_BAR, _VALUE = 11.0, 10.5
# Letters of a name that fit beside a plot, and the points of each; longer names are cut.
_LONGEST, _LETTER = 20, 6.9

# Placeholder colours that no drawing uses otherwise, and the variables that replace them.
_INK, MUTED, GRID = "#010101", "#010102", "#010103"
_VARIABLES = {_INK: "var(--ink)", MUTED: "var(--muted)", GRID: "var(--grid)"}
_SETTINGS = {"svg.fonttype": "none", "font.size": FONT_SIZE, "font.family": "sans-serif"}


@dataclass(frozen=True)
class Series:
    """Curves of one method, one per seed.

    Args:
        colour: Number of the method's colour.
        curves: One curve per seed.
    """

    colour: int
    curves: tuple[Curve, ...]


def class_bars(
    rows: Sequence[ClassRow],
    name: str,
    label: str,
    looks: Mapping[str, Look],
    *,
    top: float = 100,
    quantity: str = "IoU (%)",
    left: float = 102,
) -> str:
    """Return horizontal bars of per-class IoU, percent: one group per class, one bar per method.

    Its value stands behind each bar. Thin lines show one standard deviation over seeds to either
    side. An absent class has the word 'absent' in place of bars.

    Args:
        rows: Classes from top to bottom.
        name: Prefix of the drawing's ids, unique on the page.
        label: Text alternative for readers who do not see the drawing.
        looks: The look of each method.
        top: The longest bar with its spread, percent.
        quantity: Label of the axis.
        left: Room for the names, in points; more if they need it.
    """
    names = [shortened(row.name) for row in rows]
    left = max(left, names_room(names))
    count = max((len(row.stats) for row in rows if row.stats), default=1)
    per_class = 8 + _BAR * count
    figure, axes = empty_figure(height=per_class * len(rows) + 42, left=left)
    thickness = 0.78 / count
    for at, row in enumerate(rows):
        if row.stats is None:
            axes.text(1, at, "absent", color=MUTED, va="center", style="italic", fontsize=11)
            continue
        for k, (method, stat) in enumerate(row.stats.items()):
            centre = at + (k - (count - 1) / 2) * thickness
            colour = series_colour(looks[method].colour)
            axes.barh(centre, stat.mean, height=thickness * 0.86, color=colour)
            if stat.sd:
                spread = (stat.mean - stat.sd, stat.mean + stat.sd)
                axes.plot(spread, (centre, centre), color=_INK, linewidth=0.9, alpha=0.75)
            end = stat.mean + (stat.sd or 0.0) + 0.012 * top
            axes.text(end, centre, number(stat.mean), color=_INK, va="center", fontsize=_VALUE)
    # A name may hold dollar signs, which are no formula.
    axes.set_yticks(range(len(rows)), names, parse_math=False)
    axes.set_ylim(len(rows) - 0.45, -0.55)
    # The values behind the longest bars need room.
    axes.set_xlim(0, top * 1.12)
    axes.set_xlabel(quantity)
    axes.grid(axis="x", color=GRID, linewidth=0.8)
    return as_svg(figure, name, label)


def curves(
    series: Sequence[Series],
    name: str,
    label: str,
    *,
    quantity: str,
    limits: tuple[float, float] | None = None,
) -> str:
    """Return a quantity over iterations: faint lines per seed, a strong one for their mean.

    Args:
        series: The methods' curves.
        name: Prefix of the drawing's ids, unique on the page.
        label: Text alternative for readers who do not see the drawing.
        quantity: Label of the vertical axis.
        limits: Range of the vertical axis; by default the data's own, from zero.
    """
    figure, axes = empty_figure(height=250, left=52)
    for one in series:
        colour = series_colour(one.colour)
        mean = _mean_curve(one.curves)
        for curve in one.curves if mean is None or len(one.curves) > 1 else ():
            _line(axes, curve, colour, linewidth=1.0, alpha=0.35)
        if mean is not None:
            _line(axes, mean, colour, linewidth=2.2)
    axes.set_xlabel("iteration")
    axes.set_ylabel(quantity, rotation_mode="anchor")
    axes.grid(color=GRID, linewidth=0.8)
    axes.xaxis.set_major_locator(MaxNLocator(nbins=5, integer=True))
    axes.yaxis.set_major_locator(MaxNLocator(nbins=6))
    axes.set_xlim(left=0)
    axes.set_ylim(*(limits or (0, None)))
    return as_svg(figure, name, label)


def thinned(curve: Curve, points: int = LOSS_POINTS) -> Curve:
    """Return a curve of at most `points` points, each the mean of as many neighbours."""
    every = math.ceil(len(curve.values) / points)
    starts = range(0, len(curve.values), every)
    return Curve(
        tuple(curve.iterations[start : start + every][-1] for start in starts),
        tuple(float(np.mean(curve.values[start : start + every])) for start in starts),
    )


def bars_top(rows: Sequence[ClassRow]) -> float:
    """Return an end of the axis, a multiple of ten, that holds every bar and its spread."""
    stats = [stat for row in rows if row.stats for stat in row.stats.values()]
    highest = max((stat.mean + (stat.sd or 0.0) for stat in stats), default=100.0)
    return float(min(100, 10 * max(1, math.ceil(highest / 10))))


def common_limits(series: Sequence[Series]) -> tuple[float, float]:
    """Return a range that holds every value, so that several plots can be compared by eye."""
    values = np.concatenate([curve.values for one in series for curve in one.curves])
    top = float(np.nanmax(values)) if np.isfinite(values).any() else 1.0
    return 0.0, max(top, 1.0) * 1.06


def series_colour(number: int) -> str:
    """Return the stand-in for a colour of the page, by its number."""
    return f"#0102{number:02x}"


def _line(axes: Axes, curve: Curve, colour: str, **style: float) -> None:
    # A single point has no line to show.
    marker = "o" if len(curve.iterations) < 12 else ""
    axes.plot(curve.iterations, curve.values, color=colour, marker=marker, markersize=3.5, **style)


def _mean_curve(lines: Sequence[Curve]) -> Curve | None:
    """Return the mean over seeds, None if they were not logged at the same iterations."""
    if len({curve.iterations for curve in lines}) != 1:
        return None
    return Curve(lines[0].iterations, tuple(np.mean([curve.values for curve in lines], axis=0)))


def empty_figure(height: float, left: float, bottom: float = 42) -> tuple[Figure, Axes]:
    """Return an empty figure of `WIDTH` x `height` points and its styled axes.

    Args:
        height: In points.
        left: Room for the labels of the vertical axis, in points.
        bottom: Room for the labels of the horizontal axis, in points.
    """
    figure = Figure(figsize=(WIDTH / 72, height / 72), dpi=72)
    top, right = 8, 20  # half a tick label to the right of the last tick
    axes = figure.add_axes(
        (
            left / WIDTH,
            bottom / height,
            (WIDTH - left - right) / WIDTH,
            (height - bottom - top) / height,
        )
    )
    figure.patch.set_visible(False)
    axes.patch.set_visible(False)
    axes.set_axisbelow(True)
    for spine in axes.spines.values():
        spine.set_visible(False)
    axes.tick_params(which="both", length=0, labelcolor=_INK, labelsize=FONT_SIZE - 0.5)
    for axis in (axes.xaxis, axes.yaxis):
        axis.label.set_color(MUTED)
        axis.label.set_fontsize(FONT_SIZE - 0.5)
    return figure, axes


def shortened(name: str) -> str:
    """Return a name that fits beside a plot."""
    return name if len(name) <= _LONGEST else f"{name[: _LONGEST - 1]}\N{HORIZONTAL ELLIPSIS}"


def names_room(names: Iterable[str]) -> float:
    """Return the room that the names beside a plot need, in points."""
    return 16 + _LETTER * max(map(len, names), default=0)


def as_svg(figure: Figure, name: str, label: str) -> str:
    """Return the figure as an <svg> element for inclusion in a page."""
    buffer = io.StringIO()
    # The salt makes the ids the same in every run, and no date is written.
    with matplotlib.rc_context(_SETTINGS | {"svg.hashsalt": name}), quiet_glyphs():
        figure.savefig(buffer, format="svg", metadata={"Date": None})
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>\s*", "", text, flags=re.DOTALL)
    text = re.sub(r'(<svg[^>]*?) width="[^"]*"', r"\1", text, count=1)
    text = re.sub(r'(<svg[^>]*?) height="[^"]*"', r"\1", text, count=1)
    text = text.replace("<svg", f'<svg role="img" aria-label="{html.escape(label)}"', 1)
    # Matplotlib numbers its ids from 1 in every figure; a page needs them distinct.
    text = re.sub(r'\bid="', f'id="{name}-', text)
    text = re.sub(r'(xlink:href="#|url\(#)', rf"\1{name}-", text)
    # The page's font, not the one that matplotlib measured with.
    text = re.sub(r"font-family: [^;\"]*;?\s*", "", text)
    for colour, variable in _VARIABLES.items():
        text = text.replace(colour, variable)
    return re.sub(r"#0102(0[0-9a-f])", lambda match: f"var(--series-{int(match[1], 16)})", text)
