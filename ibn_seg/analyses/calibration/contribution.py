"""The contribution of calibration to a leaderboard."""

from ibn_seg.analyses.calibration.drawing import trust_charts
from ibn_seg.analyses.calibration.numbers import HIGHER_IS_BETTER, SUMS, trust_tables
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

_INTRODUCTION = (
    "Does a network know where it is wrong? ECE compares confidence with the share of right "
    "pixels; less is better. AUROC and FPR@95 are of telling right pixels from wrong ones by "
    "confidence."
)
_NOTES = (
    "ECE: top label, 15 bins of equal width. Measures pool all pixels of a domain, but for the "
    "mean of images. AUPR-Error depends on the error rate. Percent, but NLL (nats) and Brier "
    "(0 to 2). At a temperature, the images that it was fitted on are left out.",
)


def contribution(board: Board, baseline: str | None, links: Links) -> Contribution:
    """Return the section and the numbers of calibration; see `Contribution`."""
    found = trust_tables(board)
    section = analysis_section(
        board, "calibration", _INTRODUCTION, [_table(board, one, links) for one in found],
        _charts(board),
    )  # fmt: skip
    records = [
        record
        for table in found
        for record in analysis_records(board, table, "trust", "percent")
        if record.condition not in SUMS.values()
    ]
    records += [
        record
        for table in found
        for record in analysis_records(board, table, "trust", "")
        if record.condition in SUMS.values()
    ]
    return Contribution(section, tuple(records))


def _table(board: Board, found: AnalysisTable, links: Links) -> Table:
    """Return networks x measures, for one domain and shape."""
    parts = method_parts(found.rows, lambda row: (
        Cell(row.method), *(_cell(row, name, found, links) for name in found.columns)
    ))  # fmt: skip
    return Table(
        key=f"calibration-{slug(found.of)}-{slug(' '.join(found.shape))}",
        caption=f"Confidence on {found.of} ({', '.join(found.shape)})",
        header=("Network", *found.columns),
        parts=parts,
        rules=rule_lines(board, [seeds_of(row) for row in found.rows]),
        notes=_NOTES,
    )


def _cell(row: Measured, column: str, found: AnalysisTable, links: Links) -> Cell:
    best = column in HIGHER_IS_BETTER and is_highest(found, row, column)
    return score_cell(row.values[column], links, row.runs, best)


def _charts(board: Board) -> list[Chart]:
    """Return the drawings of each domain and shape."""
    charts = []
    for k, (shape, runs) in enumerate(runs_by_shape(board, "calibration").items()):
        contents = [named_content(run) for run in runs]
        domains = dict.fromkeys(name for one in contents for name in one.get("trust") or ())
        for at, domain in enumerate(domains):
            having = [one for one in contents if domain in one["trust"]]
            drawn = trust_charts(having, domain, f"trust{k}-{at}", methods=board.every_method)
            charts += [
                chart(f"{title}, on {domain}: {shape_words(shape)}", svg)
                for title, svg in drawn.items()
            ]
    return charts
