"""The contribution of divergence to a leaderboard."""

from ibn_seg.analyses.divergence.curves import depth_curves
from ibn_seg.analyses.divergence.drawing import depth_charts
from ibn_seg.analyses.divergence.numbers import MEDIAN, divergence_tables
from ibn_seg.report.board import Board
from ibn_seg.report.cell_text import EMPTY, rule_lines, significant
from ibn_seg.report.links import Links
from ibn_seg.report.measured import (
    AnalysisTable,
    Measured,
    analysis_records,
    method_parts,
    named_content,
    runs_by_shape,
    seeds_of,
    shape_words,
)
from ibn_seg.report.section import Chart, Contribution, analysis_section, chart
from ibn_seg.report.table import Table, slug
from ibn_seg.report.tables import Cell

_PAIRS = {
    "appearance": "the same scenes in two styles",
    "content": "one style, fewer against more buildings",
    "null": "random halves of one domain",
    "domains": "two domains",
}
_INTRODUCTION = (
    "How far the features of two sides are apart, by layer. Lines are means over seeds, areas "
    "their range."
)


def contribution(board: Board, baseline: str | None, links: Links) -> Contribution:
    """Return the section and the numbers of divergence; see `Contribution`."""
    found = divergence_tables(board)
    section = analysis_section(
        board,
        "divergence",
        _INTRODUCTION,
        (divergence_table(board, table, links) for table in found),
        divergence_charts(board),
        title="Divergence over depth",
    )
    records = [r for table in found for r in analysis_records(board, table, "divergence", "")]
    return Contribution(section, tuple(records))


def divergence_table(board: Board, found: AnalysisTable, links: Links) -> Table:
    """Return methods x groups of layers, for one pair of sides."""
    kind = found.of.partition(":")[0]
    meaning = f": {_PAIRS[kind]}" if kind in _PAIRS else ""
    groups = [name for name in found.columns if not name.endswith(MEDIAN)]

    def cells(row: Measured, ending: str) -> tuple[Cell, ...]:
        return (Cell(row.method), *(_divergence(row, name + ending, links) for name in groups))

    parts = (
        *method_parts(found.rows, lambda row: cells(row, ""), "mean over channels"),
        *method_parts(found.rows, lambda row: cells(row, MEDIAN), "median over channels"),
    )
    notes = [
        "Mean over the layers of each group, from shallow to deep; not ranked. A few channels can"
        " outweigh the others in the mean over channels, not in the median."
    ]
    if found.few_images:
        notes.append("Fewer images than `ibn-seg divergence` asks for by default.")
    return Table(
        key=f"divergence-{slug(found.of)}-{slug(' '.join(found.shape))}",
        caption=f"Feature divergence, {found.of}{meaning} ({', '.join(found.shape)})",
        header=("Method", *groups),
        parts=parts,
        rules=rule_lines(board, [seeds_of(row) for row in found.rows]),
        notes=tuple(notes),
        short=f"{_words(found.of)}{meaning}",
        about=shape_words(found.shape),
    )


def divergence_charts(board: Board) -> list[Chart]:
    """Return the divergence over depth of each pair and shape."""
    charts = []
    for k, (shape, runs) in enumerate(runs_by_shape(board, "divergence").items()):
        drawn = depth_charts(
            depth_curves([named_content(run) for run in runs]),
            f"depth{k}",
            methods=board.every_method,
        )
        about = shape_words(shape)
        charts += [chart(_words(pair), svg, about=about) for pair, svg in drawn.items()]
    return charts


def _words(pair: str) -> str:
    """Return KIND:A,B as separate words, so that a narrow column can break the line."""
    kind, _, domains = pair.partition(":")
    return f"{kind}, {domains.replace(',', ' and ')}"


def _divergence(row: Measured, column: str, links: Links) -> Cell:
    stat = row.values[column]
    if stat is None:
        return EMPTY
    where, title = links.of(row.runs)
    spread = "" if stat.sd is None else f" ± {significant(stat.sd)}"
    detail = "n = 1"
    if stat.n > 1:
        detail = f"{significant(stat.low)} to {significant(stat.high)}" if stat.few else ""
    return Cell(f"{significant(stat.mean)}{spread}", False, detail, stat.mean, where, title)
