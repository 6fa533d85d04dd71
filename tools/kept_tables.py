"""Reads kept results, and writes rows of comparisons as pages show them."""

import functools
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from ibn_seg.leaderboard.compare import compare
from ibn_seg.leaderboard.comparison import TARGETS, Comparison, Group, Row
from ibn_seg.leaderboard.read import read_board
from ibn_seg.methods.all_methods import BASELINE
from ibn_seg.report.board import Board
from ibn_seg.report.cell_text import interval_text
from ibn_seg.report.marked_tables import Lines, markdown
from ibn_seg.report.scores import is_best
from ibn_seg.report.tables import number, signed, stat_text
from ibn_seg.statistics import GapClosed, PairedDifference

ROOT = Path(__file__).resolve().parents[1]
KEPT = ROOT / "data" / "benchmark"
# What pages call the domains of `photographs`.
_PLACES = {
    "camvid-day": "CamVid day", "camvid-dusk": "CamVid dusk", "camvid-dusk-val": "CamVid dusk",
    "camvid7": "CamVid", "camvid": "CamVid", "idd_lite": "IDD-Lite",
}  # fmt: skip


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
        self._comparisons: dict[tuple[str, str], list[Comparison]] = {}

    def board(self, name: str) -> Board:
        """Return the results in a folder."""
        if name not in self._boards:
            self._boards[name] = read_board([self.folder / name])
        return self._boards[name]

    def comparisons(self, name: str, baseline: str = BASELINE) -> list[Comparison]:
        """Return the comparisons of a folder with a method, one per source and list of classes."""
        key = (name, baseline)
        if key not in self._comparisons:
            self._comparisons[key] = compare(self.board(name), baseline)
        return self._comparisons[key]

    def comparison(self, name: str, baseline: str = BASELINE) -> Comparison:
        """Return the comparison of a folder's first source with a method."""
        return self.comparisons(name, baseline)[0]


def place(name: str) -> str:
    """Return what a page calls a domain of `photographs`."""
    return _PLACES.get(name, name)


def tables_of(
    kept: Kept, tables: Mapping[str, Callable[[Kept], Lines]]
) -> dict[str, Callable[[], list[str]]]:
    """Return a function that makes the Markdown of a table, by name."""
    return {name: functools.partial(_markdown, table, kept) for name, table in tables.items()}


def _markdown(table: Callable[[Kept], Lines], kept: Kept) -> list[str]:
    """Return a table in Markdown: names to the left, numbers to the right."""
    lines = table(kept)
    return markdown(lines, range(1, len(lines[0])))


def whole(
    found: Comparison,
    wanted: Callable[[Group, Row], bool],
) -> Lines:
    """Return the wanted rows of a comparison: all scores, and the differences to BN.

    Args:
        found: The comparison.
        wanted: Chooses rows, with their groups.
    """
    columns = list(found.columns)
    over = "targets" if len(found.targets) > 1 else place(found.primary)
    lines = [["", *heads(found, columns), f"over BN: {over}", "over BN: source"]]
    for group in found.groups:
        for row in group.rows:
            if wanted(group, row):
                cells = [*scores_of(row, group, columns), *over_baseline(row, found)]
                lines.append([name_of(group, row), *cells])
    return lines


def heads(found: Comparison, columns: Sequence[str]) -> list[str]:
    """Return what a page calls columns; a source is marked."""
    names = {TARGETS: "mean of the targets"}
    names |= {source: f"{place(source)} (source)" for source in found.sources}
    return [names.get(column, place(column)) for column in columns]


def name_of(group: Group, row: Row) -> str:
    """Return what a page calls a row: its network and method."""
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


def over_baseline(row: Row, found: Comparison) -> list[str]:
    """Return the differences to the baseline on the targets, or the one, and on the source."""
    columns = (found.primary, *found.sources)
    return [difference_text(row.differences.get(column)) for column in columns]


def difference_text(difference: PairedDifference | None) -> str:
    """Return a difference with its interval, of the kind that the plan asks for."""
    if difference is None:
        return ""
    text = signed(difference.per_seed.mean)
    return text if difference.interval.images_only else f"{text} {interval_text(difference)}"


def gap_text(gap: GapClosed | None) -> str:
    """Return the gap closed in percent, with its interval."""
    if gap is None or gap.percent is None:
        return ""
    text = f"{number(gap.percent)} %"
    if gap.interval is None or gap.interval.images_only:
        return f"{text} (n = 1)" if len(gap.seeds) == 1 else text
    return f"{text} [{number(gap.interval.low)}, {number(gap.interval.high)}]"


def bold(text: str, best: bool) -> str:
    """Return a text in bold letters if it is the best."""
    return f"**{text}**" if best else text
