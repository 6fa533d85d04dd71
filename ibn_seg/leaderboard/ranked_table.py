"""Makes the table that a reader sees first: methods by rank, with their intervals drawn."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ibn_seg.leaderboard.comparison import SEES_TARGET, TARGETS, Comparison, Group, Row
from ibn_seg.leaderboard.pretraining_groups import ACROSS
from ibn_seg.report.board import Board
from ibn_seg.report.cell_text import (
    EMPTY,
    MADE_FROM,
    difference_cell,
    interval_text,
    rule_lines,
    score_cell,
)
from ibn_seg.report.interval_marks import Axis, Mark, axis_of
from ibn_seg.report.links import Links
from ibn_seg.report.scores import is_best
from ibn_seg.report.section import legend
from ibn_seg.report.table import Part, Table
from ibn_seg.report.tables import Cell, number

# With more domains, their columns show means alone; further domains stand in the whole table.
_SPREAD_UP_TO, _MOST = 4, 7
# The column of the drawings, after method, score, difference and interval.
_DRAWN = 4


@dataclass(frozen=True)
class _Columns:
    """The domains of a ranked table: those that rank methods, and the others that fit."""

    primary: str
    others: tuple[str, ...]
    left_out: tuple[str, ...]
    spread: bool


def difference_axis(comparisons: Sequence[Comparison]) -> Axis | None:
    """Return one axis for the ranking differences of all comparisons; None without any."""
    return axis_of(
        end
        for found in comparisons
        for row in found.rows
        if (mark := _mark(row, found, 0)) is not None
        for end in (mark.value, mark.low, mark.high)
        if end is not None
    )


def ranked_table(
    board: Board, found: Comparison, links: Links, axis: Axis | None, spread: bool = True
) -> Table:
    """Return methods by rank: score, difference with interval, and the score on each domain.

    Args:
        board: Everything that the leaderboard has read.
        found: The comparison.
        links: The links of numbers.
        axis: The axis of the drawn intervals, from `difference_axis`.
        spread: Whether the domains' columns have deviations where few domains leave room. The
            form without them, for a paper, has a column that says which rows see the target.
    """
    columns = _columns(found, spread)
    compared = axis is not None and any(row.differences for row in found.rows)
    colours = dict(legend(board, board.methods))
    header = ["Method", heading(found, found.primary)]
    header += [f"vs {found.baseline}", "95 % interval", "points of mIoU"] * compared
    header += [heading(found, name) for name in columns.others]
    # On the page a heading says so, above a group.
    told = found.some_see_target and not spread
    parts = []
    for group in found.groups:
        rows = [_row(*one, group, found, columns, colours, links, compared)
                for one in _by_rank(group, found)]  # fmt: skip
        oracles = [_oracle_row(rows_, found, columns, links, len(header))
                   for rows_ in _oracles(group).values()]  # fmt: skip
        if told:
            rows = [(*row, Cell("yes" if group.sees_target else "no")) for row in rows]
            oracles = [(*row, Cell("yes")) for row in oracles]
        parts.append(Part(group.title, (*rows, *oracles), reference=len(oracles)))
    return Table(
        key=f"ranked-{found.key}",
        caption=f"mIoU (%) of networks trained on {found.title}",
        header=(*header, *[SEES_TARGET] * told),
        parts=tuple(parts),
        rules=rule_lines(board, [row.seeds for row in found.rows], ranges=False),
        notes=_notes(found, columns),
        axis=axis if compared else None,
        drawn=_DRAWN if compared else None,
        unsorted=(_DRAWN - 1, _DRAWN) if compared else (),
        sorted_by=1,
    )


def heading(found: Comparison, column: str) -> str:
    """Return the short name of a column; a source is marked, a target is not."""
    if column == TARGETS:
        return f"mean of {len(found.targets)} targets"
    return f"{column} (source)" if column in found.sources else column


def _columns(found: Comparison, spread: bool) -> _Columns:
    others = [n for n in (*found.targets, *found.sources) if n != found.primary]
    shown, left_out = others[:_MOST], others[_MOST:]
    room = len(shown) <= _SPREAD_UP_TO
    return _Columns(found.primary, tuple(shown), tuple(left_out), spread and room)


def _by_rank(group: Group, found: Comparison) -> Iterator[tuple[Row, int | None]]:
    """Yield the competing rows from the highest score down, each with its rank; then the others."""
    scored = [row for row in group.ranked if found.primary in row.scores]
    scored.sort(key=lambda row: -row.scores[found.primary].mean)
    for rank, row in enumerate(scored, 1):
        yield row, rank
    for row in group.ranked:
        if row not in scored:
            yield row, None


def _row(
    row: Row,
    rank: int | None,
    group: Group,
    found: Comparison,
    columns: _Columns,
    colours: dict[str, int],
    links: Links,
    compared: bool,
) -> tuple[Cell, ...]:
    name = Cell(row.method, colour=colours[row.method], rank=rank)
    cells = [name, _score(row, found.primary, group, links, spread=True)]
    if compared:
        cells += _compared(row, found, colours[row.method], links)
    return (*cells, *(_score(row, n, group, links, spread=columns.spread) for n in columns.others))


def _score(row: Row, column: str, group: Group, links: Links, *, spread: bool) -> Cell:
    """Return a score without its range, and without deviation where there is no room for it."""
    stat = row.scores.get(column)
    if stat is None:
        return EMPTY
    others = [other.scores[column] for other in group.ranked if column in other.scores]
    best = row.oracle_of is None and is_best(stat, others)
    whole = score_cell(stat, links, row.networks, best)
    text = whole.text if spread else number(stat.mean)
    return Cell(text, best, value=whole.value, href=whole.href, title=whole.title)


def _compared(row: Row, found: Comparison, colour: int, links: Links) -> list[Cell]:
    """Return the difference on the ranking column, its interval, and the drawing of both."""
    difference = row.differences.get(found.primary)
    if difference is None:
        text = "baseline" if row.method == found.baseline else EMPTY.text
        return [Cell(text), EMPTY, Cell("")]
    whole = difference_cell(difference, links, row.networks)
    cell = Cell(whole.text, value=whole.value, href=whole.href, title=whole.title)
    return [cell, Cell(interval_text(difference)), Cell("", mark=_mark(row, found, colour))]


def _mark(row: Row, found: Comparison, colour: int) -> Mark | None:
    difference = row.differences.get(found.primary)
    if difference is None:
        return None
    given = difference.interval
    low, high = (None, None) if given.images_only else (given.low, given.high)
    return Mark(difference.per_seed.mean, low, high, colour)


def _oracles(group: Group) -> dict[str, list[Row]]:
    """Return the rows of networks that were trained on a target, by method."""
    found: dict[str, list[Row]] = {}
    for row in group.rows:
        if row.oracle_of is not None:
            found.setdefault(row.method, []).append(row)
    return found


def _oracle_row(
    rows: Sequence[Row], found: Comparison, columns: _Columns, links: Links, width: int
) -> tuple[Cell, ...]:
    """Return one row for the networks of a method, each on the target that it was trained on."""
    own = {row.oracle_of: row for row in rows}

    def score(column: str, spread: bool) -> Cell:
        row = own.get(column)
        if row is None or column not in row.scores:
            return EMPTY
        whole = score_cell(row.scores[column], links, row.networks)
        text = whole.text if spread else number(row.scores[column].mean)
        return Cell(text, value=whole.value, href=whole.href, title=whole.title)

    others = [score(name, columns.spread) for name in columns.others]
    # Without a difference there is nothing to draw either.
    between = [EMPTY, EMPTY, Cell("")][: width - 2 - len(others)]
    return (Cell(f"{rows[0].method}, oracle"), score(found.primary, True), *between, *others)


def _notes(found: Comparison, columns: _Columns) -> tuple[str, ...]:
    notes = []
    if any(row.differences for row in found.rows):
        notes.append(
            f"Differences are paired by seed; their intervals are {MADE_FROM[found.intervals]}."
        )
    elif found.baseline is None:
        notes.append("No row is the baseline, so there are no differences.")
    if found.some_see_target:
        notes.append(
            "Methods that adapt to images of the target stand in a group of their own. Their ranks "
            "are among themselves. They depend on the order of the images and on the batch size."
        )
    if any(row.oracle_of for row in found.rows):
        notes.append("Oracle: trained on the training set of each target itself, and not ranked.")
    if len(found.pretrainings) > 1:
        notes.append(ACROSS)
    if columns.left_out:
        notes.append(f"In the table of all columns: {', '.join(columns.left_out)}.")
    return tuple(notes)
