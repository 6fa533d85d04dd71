"""Draws divergence over depth, as a separate picture and inside the report's page."""

import io
import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ibn_seg.analyses.divergence.curves import DepthCurve, check_format, depth_curves
from ibn_seg.io import write_bytes
from ibn_seg.report import plots
from ibn_seg.report.bands import Band, draw_bands, page_colours
from ibn_seg.report.method_looks import LIGHT, method_looks
from ibn_seg.report.missing_glyphs import quiet_glyphs

# Text and lines of the report on white (templates/style.css).
_INK, _MUTED, _GRID = "#1d2126", "#5b636d", "#e6e8eb"
_PANEL = (4.7, 3.4)
# At most this many layers get a name below the axis. In deeper networks every second, third ...
_NAMES = 12


def write_depth_plot(results: Sequence[Mapping[str, Any]], path: str | os.PathLike) -> Path:
    """Write the curves of several results as a picture, one panel per pair.

    Args:
        results: Contents of `divergence.json` files.
        path: A file ending in .svg or .png.

    Returns:
        The path.

    Raises:
        UserError: The file has another ending, or the results cannot be compared.
        EnvError: The file cannot be written.
    """
    path = Path(path)
    kind = check_format(path)
    write_bytes(path, depth_figure(depth_curves(results), kind))
    return path


def depth_charts(
    curves: Mapping[str, Sequence[DepthCurve]], name: str, *, methods: Sequence[str] = ()
) -> dict[str, str]:
    """Return one <svg> per pair of domains, with the page's colours and equal axes.

    Lines show means over seeds, and areas show the range. Method names stay out of the drawings,
    because the page has the legend.

    Args:
        curves: The return value of `depth_curves`.
        name: Prefix of the drawings' ids, unique on the page.
        methods: All methods of the page, whose colours differ. Default: the drawn ones.
    """
    limits = _limits(curves)
    charts = {}
    for k, (pair, lines) in enumerate(curves.items()):
        figure, axes = plots.empty_figure(height=270, left=58, bottom=86)
        _draw(axes, lines, page_colours(), plots.GRID, limits, methods)
        shown = ", ".join(curve.name for curve in lines)
        label = f"{_TITLE}, {pair}, for {shown}"
        charts[pair] = plots.as_svg(figure, f"{name}-{k}", label)
    return charts


def depth_figure(curves: Mapping[str, Sequence[DepthCurve]], kind: str) -> bytes:
    """Return the curves of every pair as a picture with legend, one panel per pair.

    Args:
        curves: One per method, by pair.
        kind: 'svg' or 'png'.
    """
    limits = _limits(curves)
    width, height = _PANEL
    figure = Figure(figsize=(width * len(curves), height), layout="constrained", facecolor="white")
    panels = figure.subplots(1, len(curves), sharey=True, squeeze=False)[0]
    for axes, (pair, lines) in zip(panels, curves.items(), strict=True):
        _draw(axes, lines, LIGHT, _GRID, limits)
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
    # No date, and the same ids in every run, so that equal results give equal files.
    dated = {"Date": None} if kind == "svg" else {}
    style = {"svg.hashsalt": "depth", "svg.fonttype": "none"}
    with matplotlib.rc_context(style), quiet_glyphs():
        figure.savefig(buffer, format=kind, dpi=160, metadata={"Title": _TITLE, **dated})
    return buffer.getvalue()


_TITLE = "Feature divergence over depth"


def _limits(curves: Mapping[str, Sequence[DepthCurve]]) -> tuple[float, float] | None:
    """Return the powers of ten around every divergence above 0; None if there is none."""
    values = [v for lines in curves.values() for c in lines for at in c.values for v in at if v > 0]
    if not values:
        return None
    low, high = math.floor(math.log10(min(values))), math.ceil(math.log10(max(values)))
    return 10.0**low, 10.0 ** max(high, low + 1)


def _draw(
    axes: Axes,
    curves: Sequence[DepthCurve],
    colours: Sequence[str],
    grid: str,
    limits: tuple[float, float] | None,
    methods: Sequence[str] = (),
) -> None:
    """Draw lines over layers on a logarithmic axis, with a gap for a divergence of 0."""
    looks = method_looks([*methods, *(curve.name for curve in curves)])
    bands = [
        Band(
            curve.name,
            looks[curve.name],
            tuple(range(len(curve.layers))),
            tuple(tuple(value for value in at if value > 0) for at in curve.values),
        )
        for curve in curves
    ]
    draw_bands(axes, bands, colours)
    if limits is not None:
        axes.set_yscale("log")
        axes.set_ylim(*limits)
    layers = curves[0].layers
    every = -(-len(layers) // _NAMES)
    at = range(0, len(layers), every)
    axes.set_xticks(at, [layers[k] for k in at], rotation=60, ha="right", rotation_mode="anchor")
    axes.set_xlabel("layer, from shallow to deep")
    axes.set_ylabel("divergence (log)")
    axes.grid(color=grid, linewidth=0.8)
