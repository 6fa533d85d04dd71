"""The contribution of unknown things to a leaderboard."""

from collections.abc import Iterator
from dataclasses import replace

from ibn_seg.analyses.unknown.numbers import HIGHER_IS_BETTER, SHARE, unknown_tables
from ibn_seg.report.board import Board
from ibn_seg.report.cell_text import rule_lines, score_cell
from ibn_seg.report.links import Links
from ibn_seg.report.measured import (
    AnalysisTable,
    Measured,
    analysis_records,
    is_highest,
    method_parts,
    seeds_of,
    shape_words,
)
from ibn_seg.report.number_record import Record
from ibn_seg.report.section import Contribution, analysis_section
from ibn_seg.report.table import Table, slug
from ibn_seg.report.tables import Cell, number
from ibn_seg.statistics import t_interval

_INTRODUCTION = (
    "Does low confidence find things that are none of the classes? Their pixels are positive, and "
    "the score is 1 minus the largest probability."
)
_NOTE = (
    "All pixels of a data set pooled, percent. FPR@95: less is better. AUPRC depends on the share "
    "of unknown pixels."
)
_BRACKETS = "Brackets: 95 % intervals of the mean over seeds, by Student's t."


def contribution(board: Board, baseline: str | None, links: Links) -> Contribution:
    """Return the section and the numbers of unknown things; see `Contribution`."""
    found = unknown_tables(board)
    section = analysis_section(
        board, "unknown", _INTRODUCTION, [_table(board, one, links) for one in found], [],
        title="Unknown things",
    )  # fmt: skip
    return Contribution(section, tuple(r for table in found for r in _records(board, table)))


def _table(board: Board, found: AnalysisTable, links: Links) -> Table:
    """Return networks x measures, for one data set and shape."""

    def cells(row: Measured) -> tuple[Cell, ...]:
        return (Cell(row.method), *(_cell(row, name, found, links) for name in found.columns))

    several = any(len(row.runs) > 1 for row in found.rows)
    return Table(
        key=f"unknown-{slug(found.of)}-{slug(' '.join(found.shape))}",
        caption=f"Unknown things of {found.of} ({', '.join(found.shape)})",
        header=("Network", *found.columns),
        parts=method_parts(found.rows, cells),
        rules=rule_lines(board, [seeds_of(row) for row in found.rows], ranges=False),
        notes=(_NOTE, _BRACKETS) if several else (_NOTE,),
        short=f"Unknown things of {found.of}",
        about=shape_words(found.shape),
    )


def _cell(row: Measured, column: str, found: AnalysisTable, links: Links) -> Cell:
    stat = row.values[column]
    best = column in HIGHER_IS_BETTER and is_highest(found, row, column)
    cell = score_cell(stat, links, row.runs, best)
    ends = None if stat is None or column == SHARE else t_interval(stat.values)
    return cell if ends is None else replace(cell, detail=f"[{number(ends[0])}, {number(ends[1])}]")


def _records(board: Board, found: AnalysisTable) -> Iterator[Record]:
    """Yield every number of a table; means over seeds have their interval."""
    values = {row.method: row.values for row in found.rows}
    for record in analysis_records(board, found, "unknown things", "percent"):
        stat = values[record.method][record.condition]
        of_mean = stat is not None and record.seed == "" and record.condition != SHARE
        ends = t_interval(stat.values) if of_mean else None
        yield record if ends is None else replace(record, low=ends[0], high=ends[1])
