"""Draws transfer, scores over the share of the target's training set, from a benchmark's rows."""

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.ticker import MaxNLocator, NullLocator

from ibn_seg.analyses.transfer.share_config import STARTS
from ibn_seg.errors import UserError, unknown
from ibn_seg.report import plots
from ibn_seg.report.bands import Band, draw_bands, page_colours, top_of
from ibn_seg.report.method_looks import Look, method_looks
from ibn_seg.report.runs import order_methods

TRANSFER_NOTE = (
    "Solid lines: fine-tuned from the network trained on the source. Dashed lines: trained on the "
    "same share of the target without it. Lines are means over seeds, areas their range."
)


def transfer_bands(
    rows: Sequence[Mapping[str, Any]], domain: str, *, methods: Sequence[str] = ()
) -> list[Band]:
    """Return mIoU, percent, over the share of the training set, percent, by method and start.

    Args:
        rows: Rows of a benchmark's index, of one backbone. Rows are left out if they are not a
            transfer (`start` is null), not done, or not evaluated on the domain.
        domain: The evaluated domain.
        methods: All methods of the page, whose colours differ. Default: the drawn ones.

    Raises:
        UserError: A row is incomplete, two rows have the same training, or backbones differ.
    """
    points: dict[tuple[str, str], dict[float, dict[int, float]]] = {}
    backbones: set[str | None] = set()
    for row in _transfers(rows):
        score = (row.get("mIoU") or {}).get(domain)
        if score is None:
            continue
        method, start, share, seed = _key(row)
        backbones.add(row.get("backbone"))
        at = points.setdefault((method, start), {}).setdefault(share, {})
        if seed in at:
            raise UserError(
                f"two transfers of {method} with {share:g} % from {start}, seed {seed}",
                "draw the rows of one plan, source and backbone together",
            )
        at[seed] = float(score)
    if len(backbones) > 1:
        raise UserError(
            f"transfers of several backbones ({', '.join(map(str, sorted(backbones, key=str)))})",
            "draw each backbone by itself",
        )
    present = order_methods([method for method, _ in points])
    looks = method_looks([*methods, *present])
    return [
        _band(method, start, points[method, start], looks[method])
        for method in present
        for start in STARTS
        if (method, start) in points
    ]


def transfer_chart(
    rows: Sequence[Mapping[str, Any]],
    domain: str,
    name: str,
    label: str,
    *,
    methods: Sequence[str] = (),
) -> str:
    """Return mIoU over the share of the target's training set as an <svg>; see `TRANSFER_NOTE`.

    Args:
        rows: As in `transfer_bands`, like the other arguments.
        domain: The domain that was evaluated.
        name: Prefix of the drawing's ids, unique on the page.
        label: Text alternative for readers who do not see the drawing.
        methods: All methods of the page.

    Raises:
        UserError: As in `transfer_bands`, or there is nothing to draw.
    """
    bands = transfer_bands(rows, domain, methods=methods)
    if not bands:
        raise UserError(
            f"no finished transfer was evaluated on {domain}",
            "draw a domain that the rows' mIoU names",
        )
    figure, axes = plots.empty_figure(height=270, left=52)
    draw_bands(axes, bands, page_colours())
    shares = sorted({at for band in bands for at in band.at})
    axes.set_xscale("log")
    axes.set_xlim(shares[0] / 1.25, shares[-1] * 1.25)
    axes.set_xticks(shares, [f"{share:g}" for share in shares])
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_ylim(0, top_of(bands))
    axes.yaxis.set_major_locator(MaxNLocator(nbins=6))
    axes.set_xlabel("share of the target's training set (%, log)")
    axes.set_ylabel("mIoU (%)", rotation_mode="anchor")
    axes.grid(color=plots.GRID, linewidth=0.8)
    return plots.as_svg(figure, name, label)


def _transfers(rows: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Return the finished transfers of an index."""
    if isinstance(rows, Mapping) or not all(isinstance(row, Mapping) for row in rows):
        raise UserError("not the rows of a benchmark", "give the 'cells' of benchmark.json")
    return [
        row for row in rows
        if row.get("start") is not None and row.get("state") == "done"
    ]  # fmt: skip


def _key(row: Mapping[str, Any]) -> tuple[str, str, float, int]:
    """Return method, start, share and seed of a row."""
    where = f"cell {row.get('id')}"
    missing = [key for key in ("method", "start", "share", "seed") if row.get(key) is None]
    if missing:
        raise UserError(f"{where}: {missing[0]!r} is missing", "run `ibn-seg benchmark` again")
    if row["start"] not in STARTS:
        raise unknown(f"start of {where}", row["start"], STARTS)
    share = row["share"]
    if not isinstance(share, int | float) or not 0 < share <= 100:
        raise UserError(f"{where}: share is {share!r}", "expected percent, above 0 to 100")
    return row["method"], row["start"], float(share), row["seed"]


def _band(method: str, start: str, points: Mapping[float, Mapping[int, float]], look: Look) -> Band:
    at = tuple(sorted(points))
    values = tuple(tuple(points[share][seed] for seed in sorted(points[share])) for share in at)
    return Band(f"{method}, {STARTS[start]}", look, at, values, dashed=start == "scratch")
