"""The contribution of robustness to a leaderboard."""

from ibn_seg.analyses.robustness.drawing import MEAN, robustness_charts
from ibn_seg.analyses.robustness.numbers import performance_tables, retention_tables
from ibn_seg.report.board import SEES_TARGET, Board
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
from ibn_seg.report.table import Part, Table, slug
from ibn_seg.report.tables import Cell

_INTRODUCTION = (
    "Retention is the mIoU on corrupted pictures over that on clean ones. Lines are means over "
    "seeds, areas their range. mPC is the mean mIoU over corruptions, and rPC its share of the "
    "clean one."
)


def contribution(board: Board, baseline: str | None, links: Links) -> Contribution:
    """Return the section and the numbers of robustness; see `Contribution`."""
    found, scored = retention_tables(board), performance_tables(board, baseline)
    section = analysis_section(
        board,
        "robustness",
        _INTRODUCTION,
        [
            *(performance_text(board, table, baseline, links) for table in scored),
            *(text for table in found for text in retention_texts(board, table, links)),
        ],
        retention_charts(board),
    )
    records = [r for table in found for r in analysis_records(board, table, "retention", "percent")]
    records += [r for one in scored for r in analysis_records(board, one, "corruption", "percent")]
    return Contribution(section, tuple(records))


def performance_text(
    board: Board, found: AnalysisTable, baseline: str | None, links: Links
) -> Table:
    """Return methods x scores of corruption benchmarks, for one domain and shape."""
    parts = method_parts(found.rows, lambda row: (
        Cell(row.method), *(_performance(row, name, found, links) for name in found.columns)
    ))  # fmt: skip
    beside = f"; mCD beside {baseline}, less is better" if "mCD" in found.columns else ""
    sets = dict.fromkeys(
        name for row in found.rows for run in row.runs
        for name in run.content.get("corruption_sets") or ("corruptions by name",)
    )  # fmt: skip
    return Table(
        f"corruption-{slug(found.of)}-{slug(' '.join(found.shape))}",
        f"mIoU (%) under {' + '.join(sets)} on {found.of} ({', '.join(found.shape)}){beside}",
        ("Method", *found.columns),
        parts,
        rule_lines(board, [seeds_of(row) for row in found.rows]),
    )


def retention_texts(board: Board, found: AnalysisTable, links: Links) -> list[Table]:
    """Return the means as methods x corruptions, and every severity as rows x methods."""
    means = [name for name in found.columns if not _severity(name)]
    graded = [name for name in found.columns if _severity(name)]
    rules = rule_lines(board, [seeds_of(row) for row in found.rows])
    parts = method_parts(found.rows, lambda row: (
        Cell(row.method), *(_retention(row, name, found, links) for name in means)
    ))  # fmt: skip
    details = tuple(
        (Cell(name), *(_retention(row, name, found, links) for row in found.rows))
        for name in graded
    )
    key = f"{slug(found.of)}-{slug(' '.join(found.shape))}"
    shape = f"on {found.of} ({', '.join(found.shape)})"
    header = tuple(name.replace("_", " ") for name in means)
    return [
        Table(
            f"robustness-{key}",
            f"Retention (%): corrupted mIoU over clean mIoU, {shape}, mean over severities",
            ("Method", *header),
            parts,
            rules,
            short=f"Mean over severities, on {found.of}",
            about=shape_words(found.shape),
        ),
        Table(
            f"severities-{key}",
            f"Retention (%) by corruption and severity, {shape}",
            ("Corruption", *map(_heading, found.rows)),
            (Part(None, details),),
            rules,
            short=f"Each corruption and severity, on {found.of}",
            about=shape_words(found.shape),
        ),
    ]


def retention_charts(board: Board) -> list[Chart]:
    """Return the retention over severity of each corruption, domain and shape."""
    charts = []
    for k, (shape, runs) in enumerate(runs_by_shape(board, "robustness").items()):
        contents = [named_content(run) for run in runs]
        domains = dict.fromkeys(name for one in contents for name in one.get("retention") or ())
        for at, domain in enumerate(domains):
            drawn = robustness_charts(
                contents, domain, f"robust{k}-{at}", methods=board.every_method
            )
            charts += [
                chart(
                    f"{title.replace('_', ' ')}, on {domain}",
                    svg,
                    about=shape_words(shape),
                    fold="" if title == MEAN else "Each corruption by itself",
                )
                for title, svg in drawn.items()
            ]
    return charts


def _heading(row: Measured) -> str:
    """Return the heading of a method's column."""
    return f"{row.method} ({SEES_TARGET})" if row.sees_target else row.method


def _severity(column: str) -> bool:
    return column.rpartition(" ")[2].isdecimal()


def _retention(row: Measured, column: str, found: AnalysisTable, links: Links) -> Cell:
    return score_cell(row.values[column], links, row.runs, is_highest(found, row, column))


def _performance(row: Measured, column: str, found: AnalysisTable, links: Links) -> Cell:
    # Of degradations the lowest is best, and none is marked.
    best = not column.endswith("mCD") and is_highest(found, row, column)
    return score_cell(row.values[column], links, row.runs, best)
