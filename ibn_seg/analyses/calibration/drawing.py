"""Draws reliability diagrams and risk over coverage from result files of several networks."""

from collections.abc import Mapping, Sequence
from typing import Any

from ibn_seg.report import plots
from ibn_seg.report.bands import Band, draw_bands, page_colours
from ibn_seg.report.method_looks import Look, method_looks
from ibn_seg.report.result_owner import reading
from ibn_seg.report.runs import order_methods

_BINS = 15


def trust_charts(
    results: Sequence[Mapping[str, Any]], domain: str, name: str, methods: Sequence[str] = ()
) -> dict[str, str]:
    """Return two <svg> of a domain: accuracy over confidence, and error rate over coverage.

    Lines are means over seeds, and areas their range. Bins without a pixel are left out.

    Args:
        results: Contents of `calibration.json` files, of one backbone.
        domain: The domain.
        name: Prefix of the drawings' ids, unique on the page.
        methods: All methods of the page, whose colours differ. Default: the drawn ones.

    Raises:
        UserError: A result is of another kind or damaged.
    """
    accuracy: dict[str, dict[float, list[float]]] = {}
    risk: dict[str, dict[float, list[float]]] = {}
    for result in results:
        with reading(result, "calibration") as owner:
            found = result["trust"][domain]
            pixels, right, _ = found["reliability"]
            points = accuracy.setdefault(owner.method, {})
            for at, (count, hits) in enumerate(zip(pixels, right, strict=True)):
                if count:
                    points.setdefault(100 * (at + 0.5) / _BINS, []).append(100 * hits / count)
            points = risk.setdefault(owner.method, {})
            for coverage, error in found["risk_coverage"]:
                points.setdefault(100 * coverage, []).append(100 * error)
    looks = method_looks([*methods, *accuracy])
    shown = (
        ("reliability", accuracy, "confidence (%)", "right pixels (%)", (0.0, 100.0)),
        ("risk over coverage", risk, "pixels kept (%)", "wrong pixels (%)", None),
    )
    return {
        title: _draw(_bands(values, looks), f"{name}-{k}", f"{title} on {domain}", axes, top)
        for k, (title, values, *axes, top) in enumerate(shown)
    }


def _bands(
    values: Mapping[str, Mapping[float, list[float]]], looks: Mapping[str, Look]
) -> list[Band]:
    return [
        Band(method, looks[method], at, tuple(tuple(values[method][one]) for one in at))
        for method in order_methods(list(values))
        for at in [tuple(sorted(values[method]))]
    ]


def _draw(
    bands: Sequence[Band],
    name: str,
    label: str,
    titles: Sequence[str],
    diagonal: tuple[float, float] | None,
) -> str:
    figure, axes = plots.empty_figure(height=230, left=52)
    draw_bands(axes, bands, page_colours())
    if diagonal is not None:
        # Where confidence is the share of right pixels.
        axes.plot(diagonal, diagonal, color=plots.GRID, linewidth=1.2, zorder=0)
        axes.set_ylim(0, 100)
    else:
        axes.set_ylim(bottom=0)
    axes.set_xlim(0, 100)
    axes.set_xlabel(titles[0])
    axes.set_ylabel(titles[1], rotation_mode="anchor")
    axes.grid(color=plots.GRID, linewidth=0.8)
    return plots.as_svg(figure, name, f"{label}, for {', '.join(band.name for band in bands)}")
