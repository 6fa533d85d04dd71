"""Write the tables of results into pages, from the kept results.

    python tools/write_results_page.py              # docs/results.md and README.md
    python tools/write_results_page.py --check      # writes nothing; exit code 2 if one is old

A page holds `<!-- table: NAME -->` and `<!-- end -->`, see `ibn_seg.report.marked_tables`. The
names are those of `TABLES`.
"""

import argparse
import functools
import re
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TypeVar

from kept_tables import (
    KEPT,
    ROOT,
    Kept,
    bold,
    difference_text,
    gap_text,
    heads,
    name_of,
    over_baseline,
    scores_of,
    tables_of,
    whole,
)
from photograph_tables import (
    directions,
    photographs,
    photographs_ablations,
    photographs_elsewhere,
    photographs_ranks,
)

from ibn_seg.analyses.divergence.numbers import MEDIAN, divergence_tables
from ibn_seg.analyses.robustness.numbers import retention_tables
from ibn_seg.analyses.transfer.numbers import TransferRow, transfer_tables
from ibn_seg.errors import UserError
from ibn_seg.leaderboard.comparison import TARGETS
from ibn_seg.methods.all_methods import BASELINE, METHODS
from ibn_seg.report.cell_text import significant
from ibn_seg.report.marked_tables import Lines, rewrite
from ibn_seg.report.scores import is_best
from ibn_seg.report.tables import stat_text

PAGES = (ROOT / "docs" / "results.md", ROOT / "README.md")

Table = TypeVar("Table")


def short(kept: Kept) -> Lines:
    """Return the methods of the first backbone in `embedded`, without the targets' mean."""
    found = kept.comparison("embedded")
    group = found.groups[0]
    columns = [*found.sources, *found.targets]
    header = ["", *heads(found, columns), "over BN: targets", "over BN: source"]
    return [header, *([row.method, *scores_of(row, group, columns), *over_baseline(row, found)]
                      for row in group.ranked)]  # fmt: skip


def embedded(kept: Kept) -> Lines:
    """Return all networks of `embedded`."""
    found = kept.comparison("embedded")
    closed = [t for t in found.targets if any(t in row.gaps for row in found.rows)]
    lines = whole(found, lambda group, row: True)
    lines[0] += [f"gap closed, {target}" for target in closed]
    rows = [row for group in found.groups for row in group.rows]
    for line, row in zip(lines[1:], rows, strict=True):
        line += [gap_text(row.gaps.get(target)) for target in closed]
    return lines


def rerun(kept: Kept) -> Lines:
    """Return the methods of the first backbone in `embedded_rerun`: the mean of the targets."""
    found = kept.comparison("embedded_rerun")
    header = ["", "mean of the targets", "over BN: targets", "over BN: source"]
    return [header, *([row.method, stat_text(row.scores[TARGETS]), *over_baseline(row, found)]
                      for row in found.groups[0].ranked)]  # fmt: skip


def full(kept: Kept) -> Lines:
    """Return what `embedded_full` adds to `embedded`."""
    found = kept.comparison("embedded_full")
    first = found.groups[0]
    known = {row.method for row in kept.comparison("embedded").groups[0].ranked}
    return whole(
        found,
        lambda group, row: group is not first or bool(row.oracle_of) or row.method not in known,
    )


def gaps(kept: Kept) -> Lines:
    """Return the gap closed on each target by the methods of the paper."""
    found = kept.comparison("embedded_full")
    lines = [["gap closed", *found.targets]]
    for group in found.groups:
        for row in group.ranked:
            if row.gaps and row.method in METHODS and row.method != BASELINE:
                cells = [gap_text(row.gaps.get(target)) for target in found.targets]
                lines.append([name_of(group, row), *cells])
    return lines


def transfer(folder: str, kept: Kept) -> Lines:
    """Return the transfer to each share, and the methods' differences to BN from the source."""
    found = _one(transfer_tables(kept.board(folder), BASELINE), "transfer", folder)
    starts = ("source", "scratch")
    lines = [[found.backbone, *(f"{share:g} %" for share in found.shares)]]
    for row in sorted(found.rows, key=lambda row: starts.index(row.start)):
        cells = [bold(stat_text(stat), is_best(stat, [r.scores[share] for r in found.rows]))
                 for share, stat in row.scores.items()]  # fmt: skip
        lines.append([f"{row.method}, from {row.start}", *cells])
    compared: list[TransferRow] = [r for r in found.rows if r.start == "source" and r.to_baseline]
    for row in compared:
        cells = [difference_text(row.to_baseline[share]) for share in found.shares]
        lines.append([f"{row.method} over {BASELINE}, from {row.start}", *cells])
    return lines


def divergence(folder: str, kind: str, kept: Kept) -> Lines:
    """Return the divergence by layer of a folder, for pairs of one kind."""
    found = _one(
        (
            table
            for table in divergence_tables(kept.board(folder))
            if table.of.startswith(f"{kind}:")
        ),
        f"divergence by {kind}",
        folder,
    )
    groups = [name for name in found.columns if not name.endswith(MEDIAN)]
    stages = (re.sub(r"^layer(\d+)$", r"stage \1", name) for name in groups)
    lines = [[f"divergence by {kind}", *stages]]
    for title, ending in (("median channel", MEDIAN), ("mean over channels", "")):
        for row in found.rows:
            stats = [row.values[name + ending] for name in groups]
            cells = ["" if stat is None else significant(stat.mean) for stat in stats]
            lines.append([f"{title}, {row.method}", *cells])
    return lines


def robustness(folder: str, kept: Kept) -> Lines:
    """Return the share of the clean mIoU that the methods keep, as a mean over corruptions."""
    found = _one(retention_tables(kept.board(folder)), "robustness", folder)
    stats = [row.values["mean"] for row in found.rows]
    cells = ["" if stat is None else stat_text(stat) for stat in stats]
    return [
        ["", *(row.method for row in found.rows)],
        ["share of the clean mIoU, percent", *cells],
    ]


TABLES: dict[str, Callable[[Kept], Lines]] = {
    "embedded-short": short,
    "embedded": embedded,
    "embedded-rerun": rerun,
    "embedded-full": full,
    "gap-closed": gaps,
    "transfer": functools.partial(transfer, "embedded_full"),
    "divergence-appearance": functools.partial(divergence, "embedded", "appearance"),
    "divergence-content": functools.partial(divergence, "embedded", "content"),
    "divergence-appearance-rerun": functools.partial(divergence, "embedded_rerun", "appearance"),
    "robustness": functools.partial(robustness, "embedded_full"),
    "photographs-short": directions,
    "photographs": photographs,
    "photographs-ablations": photographs_ablations,
    "photographs-elsewhere": photographs_elsewhere,
    "photographs-ranks": photographs_ranks,
    "photographs-divergence": functools.partial(divergence, "photographs", "domains"),
}


def _one(tables: Iterable[Table], what: str, folder: str) -> Table:
    """Return the one table that there must be.

    Raises:
        UserError: There is none, or there are several.
    """
    found = list(tables)
    if len(found) != 1:
        raise UserError(f"{folder}: {len(found)} tables of {what}", "the page has room for one")
    return found[0]


def main() -> int:
    """Run the command and return its exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("pages", nargs="*", type=Path, help="default: docs/results.md, README.md")
    parser.add_argument("--kept", type=Path, default=KEPT, help="folder of the kept results")
    parser.add_argument("--check", action="store_true", help="write nothing")
    given = parser.parse_args()
    pages = given.pages or [page for page in PAGES if page.is_file()]
    return rewrite(pages, tables_of(Kept(given.kept), TABLES), check=given.check)


if __name__ == "__main__":
    sys.exit(main())
