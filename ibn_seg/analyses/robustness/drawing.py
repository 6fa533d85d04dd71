"""Draws robustness over severity from result files of several networks."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.ticker import MaxNLocator

from ibn_seg.errors import UserError, unknown
from ibn_seg.report import plots
from ibn_seg.report.bands import Band, draw_bands, page_colours, top_of
from ibn_seg.report.method_looks import Look, method_looks
from ibn_seg.report.result_owner import Owner, reading
from ibn_seg.report.runs import order_methods

# The drawn quantities, with the labels of their axes.
QUANTITIES = {"retention": "retention (%)", "mIoU": "mIoU (%)"}
# The mean over the corruptions, shown beside them.
MEAN = "mean of all corruptions"
CLEAN = 0


@dataclass(frozen=True)
class _Run:
    """One result: mIoU and retention, percent, by corruption and severity; None: undefined."""

    owner: Owner
    corruptions: tuple[str, ...]
    severities: tuple[int, ...]
    images: int
    protocol: str
    clean: float
    miou: Mapping[tuple[str, int], float]
    retention: Mapping[tuple[str, int], float | None]


def robustness_bands(
    results: Sequence[Mapping[str, Any]],
    domain: str,
    *,
    quantity: str = "retention",
    methods: Sequence[str] = (),
) -> dict[str, list[Band]]:
    """Return a quantity over severity by corruption, with the mean over corruptions first.

    Severity 0 is the clean picture. The mean over corruptions is taken for each seed. Retention is
    undefined if the clean score is 0, and is then left out.

    Args:
        results: Contents of `robustness.json` files, of one backbone; any methods and seeds.
        domain: The domain that was corrupted.
        quantity: A key of `QUANTITIES`; both are in percent.
        methods: All methods of the page, whose colours differ. Default: the drawn ones.

    Raises:
        UserError: A result is of another kind, lacks the domain, or cannot be compared with the
            others. Or two results have the same method and seed.
    """
    if quantity not in QUANTITIES:
        raise unknown("quantity", quantity, QUANTITIES)
    runs = [_read(result, domain) for result in results]
    _check_comparable(runs)
    present = order_methods([run.owner.method for run in runs])
    looks = method_looks([*methods, *present])
    found: dict[str, list[Band]] = {}
    for name in [MEAN, *(runs[0].corruptions if runs else ())]:
        found[name] = [
            _band([r for r in runs if r.owner.method == method], name, quantity, looks[method])
            for method in present
        ]
    return found


def robustness_charts(
    results: Sequence[Mapping[str, Any]],
    domain: str,
    name: str,
    *,
    quantity: str = "retention",
    methods: Sequence[str] = (),
) -> dict[str, str]:
    """Return one <svg> per corruption, the mean's first; all have the same axes.

    Lines show means over seeds, and areas show the range. Method names stay out of the drawings.

    Args:
        results: As in `robustness_bands`, like the other arguments.
        domain: The domain that was corrupted.
        name: Prefix of the drawings' ids, unique on the page.
        quantity: A key of `QUANTITIES`.
        methods: All methods of the page.

    Raises:
        UserError: As in `robustness_bands`.
    """
    found = robustness_bands(results, domain, quantity=quantity, methods=methods)
    everything = [band for bands in found.values() for band in bands]
    top = top_of(everything, at_least=100.0 if quantity == "retention" else 1.0)
    charts = {}
    for k, (corruption, bands) in enumerate(found.items()):
        shown = ", ".join(band.name for band in bands)
        label = f"{quantity} on {domain} over severity, {corruption}, for {shown}"
        charts[corruption] = _draw(bands, f"{name}-{k}", label, QUANTITIES[quantity], top)
    return charts


def _draw(bands: Sequence[Band], name: str, label: str, axis: str, top: float) -> str:
    figure, axes = plots.empty_figure(height=230, left=52)
    draw_bands(axes, bands, page_colours())
    severities = sorted({at for band in bands for at in band.at})
    axes.set_xticks(severities, ["clean" if at == CLEAN else f"{at:g}" for at in severities])
    axes.set_xlim(-0.3, max(severities, default=1) + 0.2)
    axes.set_ylim(0, top)
    axes.yaxis.set_major_locator(MaxNLocator(nbins=6))
    axes.set_xlabel("severity")
    axes.set_ylabel(axis, rotation_mode="anchor")
    axes.grid(color=plots.GRID, linewidth=0.8)
    return plots.as_svg(figure, name, label)


def _band(runs: Sequence[_Run], corruption: str, quantity: str, look: Look) -> Band:
    """Return a method's band of one corruption, or of the mean over them."""
    points: dict[int, list[float]] = {}
    for run in runs:
        for severity in (CLEAN, *run.severities):
            value = _value(run, corruption, severity, quantity)
            if value is not None:
                points.setdefault(severity, []).append(value)
    method = runs[0].owner.method
    at = tuple(sorted(points))
    return Band(method, look, at, tuple(tuple(points[s]) for s in at))


def _value(run: _Run, corruption: str, severity: int, quantity: str) -> float | None:
    if severity == CLEAN:
        kept = 100.0 if run.clean > 0 else None
        return kept if quantity == "retention" else run.clean
    table = run.retention if quantity == "retention" else run.miou
    names = run.corruptions if corruption == MEAN else (corruption,)
    # A protocol may have fewer severities of some corruptions.
    values = [table[name, severity] for name in names if (name, severity) in table]
    return None if None in values or not values else sum(values) / len(values)


def _read(result: Mapping[str, Any], domain: str) -> _Run:
    """Return one result's scores on a domain."""
    with reading(result, "robustness") as owner:
        if domain not in result["domains"]:
            raise unknown(f"domain of {owner.run}", domain, result["domains"])
        corruptions, severities = tuple(result["corruptions"]), tuple(result["severities"])
        measured = {(one["corruption"], one["severity"]): one for one in result["corrupted"]}
        grid = [(name, severity) for name in corruptions for severity in severities]
        cells = [(name, severity) for name, severity in result.get("conditions") or grid]
        kept = {cell: measured[cell]["retention"][domain] for cell in cells}
        return _Run(
            owner,
            corruptions,
            severities,
            images=int(result["domains"][domain]["images"]),
            protocol=str(result.get("protocol")),
            clean=float(result["domains"][domain]["mIoU"]),
            miou={cell: float(measured[cell]["domains"][domain]["mIoU"]) for cell in cells},
            retention={cell: None if v is None else 100 * float(v) for cell, v in kept.items()},
        )


def _check_comparable(runs: Sequence[_Run]) -> None:
    """Raise if two results cannot stand in one drawing."""
    seen: dict[tuple, _Run] = {}
    for run in runs:
        first = runs[0]
        for what in ("corruptions", "severities", "images", "protocol"):
            if getattr(run, what) != getattr(first, what):
                raise UserError(
                    f"{run.owner.run} and {first.owner.run} were measured with different {what}",
                    "draw results of one benchmark together",
                )
        if run.owner.backbone != first.owner.backbone:
            raise UserError(
                f"{run.owner.run}: backbone {run.owner.backbone!r}, "
                f"{first.owner.run} has {first.owner.backbone!r}",
                "draw each backbone by itself",
            )
        twin = seen.setdefault((run.owner.method, run.owner.seed), run)
        if twin is not run:
            raise UserError(
                f"{run.owner.run} and {twin.owner.run} are both of {run.owner.method}, "
                f"seed {run.owner.seed}",
                "leave one out",
            )
