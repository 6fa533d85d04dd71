"""Makes the tables of published figures and of unfinished cells."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ibn_seg.leaderboard.pretraining_groups import pretraining_words
from ibn_seg.report.board import Board
from ibn_seg.report.cell_text import EMPTY
from ibn_seg.report.published_figures import PublishedRow
from ibn_seg.report.table import Part, Table, slug
from ibn_seg.report.tables import Cell, number

if TYPE_CHECKING:
    from ibn_seg.leaderboard.search_board import SearchBoard

# A longer list of unfinished cells is folded.
MOST_UNFOLDED = 10


def published_table(train_set: str, rows: Sequence[PublishedRow], what: str = "mIoU") -> Table:
    """Return the papers' figures for one training set, which are never ranked."""
    tests = list(dict.fromkeys(name for row in rows for name in row.values))
    body: dict[str, list[tuple[Cell, ...]]] = {}
    for row in sorted(rows, key=lambda row: (row.pretraining, row.backbone, row.year)):
        remarks = "; ".join(filter(None, ("" if row.verified else "not verified", row.note)))
        cells = [Cell(row.method), Cell(row.backbone), Cell(row.segmentor)]
        cells += [Cell(f"{row.paper} {row.year}", detail=remarks), Cell(row.source)]
        cells += [_published(row, name) for name in tests]
        body.setdefault(row.pretraining, []).append(tuple(cells))
    return Table(
        key=f"published-{slug(train_set)}",
        caption=f"Published {what} (%), trained on {train_set}: not measured here, not ranked",
        header=("Method", "Backbone", "Segmentor", "Paper", "Read in", *tests),
        parts=tuple(Part(_title(name), tuple(some)) for name, some in body.items()),
        rules=("Selection, protocol and seeds are the papers' own, and differ between them.",),
        names=5,
    )


def unfinished_table(board: "Board | SearchBoard") -> Table | None:
    """Return the cells that are not done; None if all are."""
    rows = tuple(
        (
            Cell(str(row.get("id"))),
            Cell(str(row.get("task", "train"))),
            Cell(_words(row)),
            Cell(str(row.get("seed"))),
            Cell(str(row["state"])),
            Cell(str(row.get("error", ""))),
        )
        for row in board.unfinished
    )
    if not rows:
        return None
    header = ("Cell", "Task", "Of", "Seed", "State", "Error")
    caption = "Cells that are not done, and so are missing above"
    return Table(
        "unfinished", caption, header, (Part(None, rows),), names=6,
        short=f"{caption}: {len(rows)}",
    )  # fmt: skip


def _title(pretraining: str) -> str:
    words = pretraining_words(pretraining)
    return words[0].upper() + words[1:]


def _published(row: PublishedRow, test_set: str) -> Cell:
    value = row.values.get(test_set)
    if value is None:
        return EMPTY
    return Cell(f"{number(value)}{'' if row.verified else ' (not verified)'}", value=value)


def _words(row: Mapping[str, Any]) -> str:
    parts = [str(row.get(name)) for name in ("method", "backbone", "segmentor", "source")]
    if row.get("start"):
        parts.append(f"{row.get('share')} % from {row['start']}")
    return ", ".join(parts)
