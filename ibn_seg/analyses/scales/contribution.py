"""The contribution of scales to a leaderboard."""

from ibn_seg.analyses.scales.drawing import scale_chart
from ibn_seg.analyses.scales.numbers import TIME, domains_of, scale_tables
from ibn_seg.report.board import Board
from ibn_seg.report.cell_text import rule_lines, score_cell
from ibn_seg.report.links import Links
from ibn_seg.report.measured import (
    AnalysisTable,
    Measured,
    analysis_records,
    is_highest,
    method_parts,
    named_content,
    runs_by_shape,
    seeds_of,
    shape_words,
)
from ibn_seg.report.section import Chart, Contribution, analysis_section, chart
from ibn_seg.report.table import Table, slug
from ibn_seg.report.tables import Cell

_HIGHER_IS_BETTER = ("mIoU", "AUROC")
_INTRODUCTION = (
    "What does a network gain at another scale of its input, and by the mean of its probabilities "
    "over several? Labels stay at their size."
)
_NOTES = ("Percent. ECE: less is better.",)
_TIME_NOTES = (
    "Milliseconds of the network alone. An ensemble takes the time of all its scales. Cells that "
    "run side by side slow each other.",
)


def contribution(board: Board, baseline: str | None, links: Links) -> Contribution:
    """Return the section and the numbers of scales; see `Contribution`."""
    found = scale_tables(board)
    tables = [_table(board, measure, one, links) for measure, one in found]
    section = analysis_section(board, "scales", _INTRODUCTION, tables, _charts(board))
    records = [
        record
        for measure, one in found
        for record in analysis_records(
            board, one, f"{measure} by scale", "ms" if measure == TIME else "percent"
        )
    ]
    return Contribution(section, tuple(records))


def _table(board: Board, measure: str, found: AnalysisTable, links: Links) -> Table:
    def cells(row: Measured) -> tuple[Cell, ...]:
        shown = [Cell(row.method)]
        for column in found.columns:
            best = measure in _HIGHER_IS_BETTER and is_highest(found, row, column)
            shown.append(score_cell(row.values[column], links, row.runs, best))
        return tuple(shown)

    return Table(
        key=f"scales-{slug(measure)}-{slug(found.of)}-{slug(' '.join(found.shape))}",
        caption=f"{measure} by scale on {found.of} ({', '.join(found.shape)})",
        header=("Network", *found.columns),
        parts=method_parts(found.rows, cells),
        rules=rule_lines(board, [seeds_of(row) for row in found.rows]),
        notes=_TIME_NOTES if measure == TIME else _NOTES,
    )


def _charts(board: Board) -> list[Chart]:
    """Return the drawing of each domain and shape."""
    charts = []
    for k, (shape, runs) in enumerate(runs_by_shape(board, "scales").items()):
        contents = [named_content(run) for run in runs]
        for at, domain in enumerate(domains_of(contents)):
            having = [one for one in contents if domain in one["scales"][0]["domains"]]
            svg = scale_chart(having, domain, f"scales{k}-{at}", board.every_method)
            charts.append(chart(f"mIoU over scale, on {domain}: {shape_words(shape)}", svg))
    return charts
