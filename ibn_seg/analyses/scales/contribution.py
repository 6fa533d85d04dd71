"""The contribution of scales to a leaderboard."""

from ibn_seg.report.board import Board, Measurement
from ibn_seg.report.cell_text import rule_lines, score_cell
from ibn_seg.report.links import Links
from ibn_seg.report.measured import (
    AnalysisTable,
    Measured,
    analysis_records,
    analysis_table,
    checked,
    method_parts,
    runs_by_shape,
    seeds_of,
)
from ibn_seg.report.scores import is_best
from ibn_seg.report.section import Contribution, analysis_section
from ibn_seg.report.table import Table, slug
from ibn_seg.report.tables import Cell

_MEASURES = ("mIoU", "ECE", "AUROC")
_INTRODUCTION = (
    "What does a network gain at another scale of its input, and by the mean of its probabilities "
    "over several? Labels stay at their size."
)
_NOTES = ("Percent. ECE: less is better. An ensemble takes the time of all its scales.",)


def contribution(board: Board, baseline: str | None, links: Links) -> Contribution:
    """Return the section and the numbers of scales; see `Contribution`."""
    found = list(_tables(board))
    tables = [_table(board, measure, one, links) for measure, one in found]
    section = analysis_section(board, "scales", _INTRODUCTION, tables, [])
    records = [
        record
        for measure, one in found
        for record in analysis_records(board, one, f"{measure} by scale", "percent")
    ]
    return Contribution(section, tuple(records))


def _tables(board: Board) -> list[tuple[str, AnalysisTable]]:
    """Return networks x scales for each measure, domain and shape."""
    tables = []
    for shape, runs in runs_by_shape(board, "scales").items():
        domains = dict.fromkeys(
            name
            for run in runs
            for one in run.content.get("scales") or ()
            for name in one["domains"]
        )
        for domain in domains:
            for measure in _MEASURES:
                values = {
                    id(run): checked(run, lambda one, of, m=measure: _values(one, of, m), domain)
                    for run in runs
                }
                table = analysis_table("scales", domain, shape, runs, values)
                tables.append((measure, table))
    return tables


def _values(run: Measurement, domain: str, measure: str) -> dict[str, float | None]:
    return {
        one["name"]: one["domains"][domain][measure]
        for one in run.content["scales"]
        if domain in one["domains"]
    }


def _table(board: Board, measure: str, found: AnalysisTable, links: Links) -> Table:
    def cells(row: Measured) -> tuple[Cell, ...]:
        shown = [Cell(row.method)]
        for column in found.columns:
            stat = row.values[column]
            ranked = stat is not None and measure != "ECE"
            best = ranked and is_best(stat, found.rivals(row, column))
            shown.append(score_cell(stat, links, row.runs, best))
        return tuple(shown)

    return Table(
        key=f"scales-{slug(measure)}-{slug(found.of)}-{slug(' '.join(found.shape))}",
        caption=f"{measure} by scale on {found.of} ({', '.join(found.shape)})",
        header=("Network", *found.columns),
        parts=method_parts(found.rows, cells),
        rules=rule_lines(board, [seeds_of(row) for row in found.rows]),
        notes=_NOTES,
    )
