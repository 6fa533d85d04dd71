"""Draws mIoU over the scale of the input from result files of several networks."""

from collections.abc import Mapping, Sequence
from typing import Any

from ibn_seg.analyses.scales.numbers import ENSEMBLE
from ibn_seg.report import plots
from ibn_seg.report.bands import Band, draw_bands, page_colours, top_of
from ibn_seg.report.method_looks import Look, method_looks
from ibn_seg.report.result_owner import reading


def scale_chart(
    results: Sequence[Mapping[str, Any]], domain: str, name: str, methods: Sequence[str] = ()
) -> str:
    """Return an <svg> of a domain: mIoU over scale, and the ensembles beside it.

    Lines are means over seeds, and areas their range.

    Args:
        results: Contents of `scales.json` files, of one backbone.
        domain: The domain.
        name: Prefix of the drawing's ids, unique on the page.
        methods: All methods of the page, whose colours differ. Default: the drawn ones.

    Raises:
        UserError: A result is of another kind or damaged.
    """
    found: dict[str, dict[float, list[float]]] = {}
    ensembles: dict[str, list[float]] = {}
    for result in results:
        with reading(result, "scales") as owner:
            points = found.setdefault(owner.method, {})
            for one in result["scales"]:
                miou = float(one["domains"][domain]["mIoU"])
                if one["name"] == ENSEMBLE:
                    ensembles.setdefault(owner.method, []).append(miou)
                else:
                    points.setdefault(float(one["scales"][0]), []).append(miou)
    looks = method_looks([*methods, *found])
    scales = sorted({scale for points in found.values() for scale in points})
    # The ensemble has no scale: it stands behind the largest.
    beside = 1.15 * max(scales)
    bands = [_band(method, looks[method], points) for method, points in found.items()]
    alone = [_band(method, looks[method], {beside: values}) for method, values in ensembles.items()]
    label = f"mIoU on {domain} over scale, for {', '.join(found)}"
    return _draw(bands, alone, name, label, scales)


def _band(method: str, look: Look, points: Mapping[float, Sequence[float]]) -> Band:
    at = tuple(sorted(points))
    return Band(method, look, at, tuple(tuple(points[one]) for one in at))


def _draw(
    bands: Sequence[Band], alone: Sequence[Band], name: str, label: str, scales: Sequence[float]
) -> str:
    figure, axes = plots.empty_figure(height=230, left=52)
    colours = page_colours()
    draw_bands(axes, [*bands, *alone], colours)
    for band in alone:
        # One position has no area: a line stands for the range.
        colour = colours[band.look.colour]
        axes.vlines(band.at, band.lows, band.highs, color=colour, linewidth=2.4)
    ticks = {scale: f"{scale:g}" for scale in scales} | {one.at[0]: ENSEMBLE for one in alone}
    axes.set_xticks(list(ticks), list(ticks.values()))
    axes.set_ylim(0, top_of([*bands, *alone]))
    axes.set_xlabel("scale")
    axes.set_ylabel("mIoU (%)", rotation_mode="anchor")
    axes.grid(color=plots.GRID, linewidth=0.8)
    return plots.as_svg(figure, name, label)
