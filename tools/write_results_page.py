"""Write the tables of results into pages, from the kept results.

    python tools/write_results_page.py              # docs/results.md and README.md
    python tools/write_results_page.py --check      # writes nothing; exit code 2 if one is old

A page holds `<!-- table: NAME -->` and `<!-- end -->`, see `ibn_seg.report.marked_tables`. The
names are those of `TABLES`.
"""

import argparse
import functools
import re
import statistics
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

from ibn_seg.analyses.divergence.numbers import MEDIAN, divergence_tables
from ibn_seg.analyses.robustness.numbers import retention_tables
from ibn_seg.analyses.transfer.numbers import TransferRow, transfer_tables
from ibn_seg.errors import UserError
from ibn_seg.leaderboard.compare import TARGETS, Comparison, Group, Row, compare
from ibn_seg.leaderboard.read import read_board
from ibn_seg.methods.all_methods import BASELINE, METHODS
from ibn_seg.report.board import Board
from ibn_seg.report.cell_text import interval_text, significant
from ibn_seg.report.marked_tables import Lines, markdown, rewrite
from ibn_seg.report.scores import is_best
from ibn_seg.report.tables import number, signed, stat_text
from ibn_seg.statistics import GapClosed, PairedDifference, rank_correlation, t_interval

ROOT = Path(__file__).resolve().parents[1]
KEPT = ROOT / "data" / "benchmark"
# What pages call the domains of `photographs`.
_PLACES = {
    "camvid-day": "CamVid day", "camvid-dusk": "CamVid dusk", "camvid-dusk-val": "CamVid dusk",
    "camvid7": "CamVid", "camvid": "CamVid", "idd_lite": "IDD-Lite",
}  # fmt: skip
PAGES = (ROOT / "docs" / "results.md", ROOT / "README.md")

Table = TypeVar("Table")


class Kept:
    """The kept results, read once each.

    Args:
        folder: Where their folders are.

    Attributes:
        folder: The same.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._boards: dict[str, Board] = {}
        self._comparisons: dict[str, list[Comparison]] = {}

    def board(self, name: str) -> Board:
        """Return the results in a folder."""
        if name not in self._boards:
            self._boards[name] = read_board([self.folder / name])
        return self._boards[name]

    def comparisons(self, name: str) -> list[Comparison]:
        """Return the comparisons of a folder, one per source and list of classes."""
        if name not in self._comparisons:
            self._comparisons[name] = compare(self.board(name), BASELINE)
        return self._comparisons[name]

    def comparison(self, name: str) -> Comparison:
        """Return the comparison of a folder's first source."""
        return self.comparisons(name)[0]


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
    lines = _whole(found, lambda group, row: True)
    lines[0] += [f"gap closed, {target}" for target in closed]
    rows = [row for group in found.groups for row in group.rows]
    for line, row in zip(lines[1:], rows, strict=True):
        line += [_gap(row.gaps.get(target)) for target in closed]
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
    return _whole(
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
                cells = [_gap(row.gaps.get(target)) for target in found.targets]
                lines.append([_name(group, row), *cells])
    return lines


def directions(kept: Kept) -> Lines:
    """Return the unseen target of each source in `photographs`: scores, and differences to BN.

    Sources whose trainings are not finished are left out.
    """
    methods = [row.method for row in kept.comparison("photographs").groups[0].ranked
               if row.method in METHODS]  # fmt: skip
    others = [method for method in methods if method != BASELINE]
    lines = [["trained on → tested on", *methods, *(f"{one} over {BASELINE}" for one in others)]]
    for found in finished(kept.comparisons("photographs")):
        group = found.groups[0]
        rows = {row.method: row for row in group.ranked if row.method in METHODS}
        for target in found.targets:
            stats = [row.scores[target] for row in rows.values()]
            scores = [bold(stat_text(stat), is_best(stat, stats)) for stat in stats]
            over = [over_seeds_text(rows[method].differences.get(target)) for method in others]
            lines.append([f"{place(found.source)} → {place(target)}", *scores, *over])
    return lines


def photographs(kept: Kept) -> Lines:
    """Return all networks of `photographs` that were trained on its first source."""
    found = kept.comparison("photographs")
    return _whole(found, lambda group, row: True, difference=over_seeds_text)


def photographs_elsewhere(kept: Kept) -> Lines:
    """Return the networks of the other sources in `photographs`: their source and each target."""
    lines = [["", "source", "target", "over BN: source", "over BN: target"]]
    for found in finished(kept.comparisons("photographs"))[1:]:
        for group in found.groups:
            for row in group.ranked:
                where = f"{place(found.source)} → {place(found.primary)}, {row.method}"
                columns = [*found.sources, found.primary]
                over = [over_seeds_text(row.differences.get(column)) for column in columns]
                lines.append([where, *scores_of(row, group, columns), *over])
    return lines


def photographs_ranks(kept: Kept) -> Lines:
    """Return whether each direction of `photographs` orders the methods as `embedded` does."""

    def scores(found: Comparison) -> dict[str, Sequence[float]]:
        rows = [row for row in found.groups[0].ranked if row.method in METHODS]
        return {row.method: row.scores[found.primary].values for row in rows}

    def order(methods: Mapping[str, Sequence[float]]) -> str:
        return ", ".join(sorted(methods, key=lambda name: -statistics.fmean(methods[name])))

    rendered = scores(kept.comparison("embedded"))
    lines = [["", "best first", "tau", "by chance"], ["rendered scenes", order(rendered), "", ""]]
    for found in finished(kept.comparisons("photographs")):
        real = scores(found)
        agreed = rank_correlation(rendered, real)
        interval = f"[{agreed.interval.low:.2f}, {agreed.interval.high:.2f}]"
        cells = [order(real), f"{agreed.tau:.2f} {interval}", f"{number(100 * agreed.chance)} %"]
        lines.append([f"{place(found.source)} → {place(found.primary)}", *cells])
    return lines


def finished(comparisons: Sequence[Comparison]) -> list[Comparison]:
    """Return the comparisons that have every method and seed of the first."""

    def seeds(found: Comparison) -> dict[str, int]:
        rows = found.groups[0].ranked
        return {row.method: len(row.networks) for row in rows if row.method in METHODS}

    first, *others = comparisons
    return [first, *(one for one in others if seeds(one) == seeds(first))]


def place(name: str) -> str:
    """Return what a page calls a domain of `photographs`."""
    return _PLACES.get(name, name)


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
    "photographs-elsewhere": photographs_elsewhere,
    "photographs-ranks": photographs_ranks,
}


def tables_of(
    kept: Kept, tables: Mapping[str, Callable[[Kept], Lines]] = TABLES
) -> dict[str, Callable[[], list[str]]]:
    """Return a function that makes the Markdown of a table, by name."""
    return {name: functools.partial(_markdown, table, kept) for name, table in tables.items()}


def _markdown(table: Callable[[Kept], Lines], kept: Kept) -> list[str]:
    """Return a table in Markdown: names to the left, numbers to the right."""
    lines = table(kept)
    return markdown(lines, range(1, len(lines[0])))


def _one(tables: Iterable[Table], what: str, folder: str) -> Table:
    """Return the one table that there must be.

    Raises:
        UserError: There is none, or there are several.
    """
    found = list(tables)
    if len(found) != 1:
        raise UserError(f"{folder}: {len(found)} tables of {what}", "the page has room for one")
    return found[0]


def _whole(
    found: Comparison,
    wanted: Callable[[Group, Row], bool],
    difference: Callable[[PairedDifference | None], str] | None = None,
) -> Lines:
    """Return the wanted rows of a comparison: all scores, and the differences to BN."""
    columns = list(found.columns)
    over = "targets" if len(found.targets) > 1 else place(found.primary)
    lines = [["", *heads(found, columns), f"over BN: {over}", "over BN: source"]]
    for group in found.groups:
        for row in group.rows:
            if wanted(group, row):
                cells = [*scores_of(row, group, columns), *over_baseline(row, found, difference)]
                lines.append([_name(group, row), *cells])
    return lines


def heads(found: Comparison, columns: Sequence[str]) -> list[str]:
    """Return what a page calls columns; a source is marked."""
    names = {TARGETS: "mean of the targets"}
    names |= {source: f"{place(source)} (source)" for source in found.sources}
    return [names.get(column, place(column)) for column in columns]


def _name(group: Group, row: Row) -> str:
    oracle = f", oracle of {row.oracle_of}" if row.oracle_of else ""
    single = " (n = 1)" if len(row.networks) == 1 else ""
    return f"{group.backbone}, {row.method}{oracle}{single}"


def scores_of(row: Row, group: Group, columns: Sequence[str]) -> list[str]:
    """Return the scores of a row; the best of those that compete is bold."""
    cells = []
    for column in columns:
        stat = row.scores.get(column)
        rivals = [other.scores[column] for other in group.ranked if column in other.scores]
        best = stat is not None and row.oracle_of is None and is_best(stat, rivals)
        cells.append("" if stat is None else bold(stat_text(stat), best))
    return cells


def over_baseline(
    row: Row, found: Comparison, text: Callable[[PairedDifference | None], str] | None = None
) -> list[str]:
    """Return the differences to the baseline on the targets, or the one, and on the source."""
    columns = (found.primary, *found.sources)
    return [(text or difference_text)(row.differences.get(column)) for column in columns]


def difference_text(difference: PairedDifference | None) -> str:
    """Return a difference with its interval over seeds and images."""
    if difference is None:
        return ""
    text = signed(difference.per_seed.mean)
    return text if difference.interval.images_only else f"{text} {interval_text(difference)}"


def over_seeds_text(difference: PairedDifference | None) -> str:
    """Return a difference with its t-interval: frames of one video are no sample of a domain."""
    if difference is None:
        return ""
    interval = t_interval(difference.per_seed.values)
    text = signed(difference.per_seed.mean)
    return text if interval is None else f"{text} [{signed(interval[0])}, {signed(interval[1])}]"


def _gap(gap: GapClosed | None) -> str:
    if gap is None or gap.percent is None:
        return ""
    text = f"{number(gap.percent)} %"
    if gap.interval is None or gap.interval.images_only:
        return f"{text} (n = 1)" if len(gap.seeds) == 1 else text
    return f"{text} [{number(gap.interval.low)}, {number(gap.interval.high)}]"


def bold(text: str, best: bool) -> str:
    """Return a text in bold letters if it is the best."""
    return f"**{text}**" if best else text


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
    return rewrite(pages, tables_of(Kept(given.kept)), check=given.check)


if __name__ == "__main__":
    sys.exit(main())
