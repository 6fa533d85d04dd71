"""The contribution of adaptation to a leaderboard."""

from ibn_seg.analyses.adaptation.numbers import adaptation_tables
from ibn_seg.report.board import Board
from ibn_seg.report.cell_text import rule_lines, score_cell
from ibn_seg.report.links import Links
from ibn_seg.report.measured import (
    AnalysisTable,
    Measured,
    analysis_records,
    method_parts,
    seeds_of,
    shape_words,
)
from ibn_seg.report.scores import is_best
from ibn_seg.report.section import Contribution, analysis_section
from ibn_seg.report.table import Table, slug
from ibn_seg.report.tables import Cell

_INTRODUCTION = (
    "Each network as trained, and adapted to the domain at test time. These rows see images of the "
    "target: do not compare them with rows that see none."
)
_NOTES = (
    "The number behind a method says how many images it sees at once. The best way of each network "
    "is bold.",
)


def contribution(board: Board, baseline: str | None, links: Links) -> Contribution:
    """Return the section and the numbers of adaptation; see `Contribution`."""
    found = adaptation_tables(board)
    section = analysis_section(
        board, "adaptation", _INTRODUCTION, (_table(board, table, links) for table in found), []
    )
    records = [r for table in found for r in analysis_records(board, table, "miou", "percent")]
    return Contribution(section, tuple(records))


def _table(board: Board, found: AnalysisTable, links: Links) -> Table:
    """Return networks x ways to adapt, for one domain and shape."""
    parts = method_parts(found.rows, lambda row: (
        Cell(row.method), *(_score(row, name, links) for name in found.columns)
    ))  # fmt: skip
    return Table(
        key=f"adaptation-{slug(found.of)}-{slug(' '.join(found.shape))}",
        caption=f"mIoU (%) on {found.of} after adaptation ({', '.join(found.shape)})",
        header=("Network", *found.columns),
        parts=parts,
        rules=rule_lines(board, [seeds_of(row) for row in found.rows]),
        notes=_NOTES,
        short=f"mIoU (%) on {found.of}",
        about=shape_words(found.shape),
    )


def _score(row: Measured, column: str, links: Links) -> Cell:
    stat = row.values[column]
    others = [other for other in row.values.values() if other is not None]
    return score_cell(stat, links, row.runs, stat is not None and is_best(stat, others))
