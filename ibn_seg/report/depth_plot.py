"""The drawing of divergence over depth: as a picture of its own, and inside the report's page."""

import io
from collections.abc import Mapping, Sequence

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ibn_seg.report import plots
from ibn_seg.report.divergence import DepthCurve

# The report's colours on white (templates/style.css); a page replaces them by its variables.
_PRINT = ("#7b8590", "#2f6fd0", "#e07a1f", "#1b936f", "#a4478f", "#a48b00", "#3ba3cf", "#8a5a3b")
_INK, _MUTED, _GRID = "#1d2126", "#5b636d", "#e6e8eb"
# Curves are told apart by marker too, for those who do not see the colours.
_MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
_PANEL = (4.7, 3.4)
# So many layers get a name below the axis; deeper networks get every second, third ...
_NAMES = 12


def depth_svg(curves: Sequence[DepthCurve], name: str, label: str) -> str:
    """Return one pair's curves as an <svg> that takes its colours from the page.

    Names of methods stay out of the drawing; the page has the legend.

    Args:
        curves: One per network, all of the same layers.
        name: Prefix of the drawing's ids, unique on the page.
        label: What the drawing shows, for those who do not see it.
    """
    figure, axes = plots.empty_figure(height=270, left=58, bottom=86)
    colours = [plots.series_colour(k) for k in range(len(curves))]
    _draw(axes, curves, colours, grid=plots.GRID)
    return plots.as_svg(figure, name, label)


def depth_figure(curves: Mapping[str, Sequence[DepthCurve]], kind: str) -> bytes:
    """Return the curves of every pair as a picture with legend, one panel per pair.

    Args:
        curves: One per network, by pair.
        kind: 'svg' or 'png'.
    """
    width, height = _PANEL
    figure = Figure(figsize=(width * len(curves), height), layout="constrained", facecolor="white")
    panels = figure.subplots(1, len(curves), sharey=True, squeeze=False)[0]
    for axes, (pair, lines) in zip(panels, curves.items(), strict=True):
        _draw(axes, lines, _PRINT, grid=_GRID)
        axes.set_title(pair, fontsize=11, color=_INK, parse_math=False)
        axes.tick_params(which="both", length=0, labelcolor=_INK)
        axes.xaxis.label.set_color(_MUTED)
        axes.spines[:].set_visible(False)
        axes.set_axisbelow(True)
        axes.legend(frameon=False, labelcolor=_INK, fontsize=9)
    panels[0].yaxis.label.set_color(_MUTED)
    for axes in panels[1:]:
        axes.set_ylabel("")
    buffer = io.BytesIO()
    # No date, and the same ids in every run: equal results give equal files.
    dated = {"Date": None} if kind == "svg" else {}
    with matplotlib.rc_context({"svg.hashsalt": "depth", "svg.fonttype": "none"}):
        figure.savefig(buffer, format=kind, dpi=160, metadata={"Title": _TITLE, **dated})
    return buffer.getvalue()


_TITLE = "Feature divergence over depth"


def _draw(axes: Axes, curves: Sequence[DepthCurve], colours: Sequence[str], grid: str) -> None:
    """Draw lines over layers on a logarithmic axis; a divergence of 0 leaves a gap."""
    for k, curve in enumerate(curves):
        axes.plot(
            range(len(curve.values)),
            [value if value > 0 else float("nan") for value in curve.values],
            color=colours[k % len(colours)],
            marker=_MARKERS[k % len(_MARKERS)],
            markersize=4,
            linewidth=1.8,
            # Matplotlib would leave out a name that begins with an underscore, and read formulas.
            label=curve.name.lstrip("_").replace("$", r"\$"),
        )
    if any(value > 0 for curve in curves for value in curve.values):
        axes.set_yscale("log")
    layers = curves[0].layers
    every = -(-len(layers) // _NAMES)
    at = range(0, len(layers), every)
    axes.set_xticks(at, [layers[k] for k in at], rotation=60, ha="right", rotation_mode="anchor")
    axes.set_xlabel("layer, from shallow to deep")
    axes.set_ylabel("divergence (log)")
    axes.grid(color=grid, linewidth=0.8)
