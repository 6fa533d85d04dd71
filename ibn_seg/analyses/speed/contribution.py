"""The contribution of speed to a leaderboard."""

from collections.abc import Callable, Iterator

from ibn_seg.analyses.speed.drawing import trade_off_chart
from ibn_seg.analyses.speed.numbers import speed_tables, trade_offs
from ibn_seg.report.board import UNKNOWN, Board
from ibn_seg.report.cell_text import rule_lines, significant
from ibn_seg.report.links import Links
from ibn_seg.report.measured import (
    AnalysisTable,
    Measured,
    method_parts,
    seeds_of,
    shape_words,
)
from ibn_seg.report.number_record import Record, over_seeds, role_of
from ibn_seg.report.section import Chart, Contribution, analysis_section, chart
from ibn_seg.report.table import Table, slug
from ibn_seg.report.tables import Cell

# A column's title, and the format of its numbers.
_COLUMNS: dict[str, tuple[str, Callable[[float], str]]] = {
    "time_over_bn": ("Time over BN", "{:.2f}".format),
    "parameters": ("Parameters (M)", lambda value: significant(value / 1e6)),
    "multiply_adds": ("Multiply-adds (G)", lambda value: significant(value / 1e9)),
    "peak_memory_over_bn": ("Peak memory over BN", "{:.2f}".format),
}
_INTRODUCTION = (
    "Each network and its BN twin segmented one picture in turn. Drawings: means over seeds, lines "
    "over their range."
)
_NOTES = (
    "Not ranked. Multiply-adds are those of convolutions and matrix products. Memory is the peak of"
    " one pass, without the weights.",
)


def contribution(board: Board, baseline: str | None, links: Links) -> Contribution:
    """Return the section and the numbers of speed; see `Contribution`."""
    found = speed_tables(board)
    section = analysis_section(
        board,
        "speed",
        _INTRODUCTION,
        (speed_table(board, table, links) for table in found),
        speed_charts(board, found),
    )
    return Contribution(section, tuple(r for table in found for r in speed_records(board, table)))


def speed_table(board: Board, found: AnalysisTable, links: Links) -> Table:
    """Return methods x costs, for one shape."""
    parts = method_parts(
        found.rows, lambda row: (Cell(row.method), *(_need(row, name, links) for name in _COLUMNS))
    )
    return Table(
        key=f"speed-{slug(found.of)}-{slug(' '.join(found.shape))}",
        caption=f"Cost of one picture of {found.of} ({', '.join(found.shape)})",
        header=("Method", *(title for title, _ in _COLUMNS.values())),
        parts=parts,
        rules=rule_lines(board, [seeds_of(row) for row in found.rows]),
        notes=(*_NOTES, *_measured_on(found)),
        short=f"Cost of one picture of {found.of}",
        about=shape_words(found.shape),
    )


def speed_charts(board: Board, found: list[AnalysisTable]) -> list[Chart]:
    """Return score over time, one drawing per table whose networks exist."""
    charts = []
    for k, table in enumerate(found):
        scored, marks = trade_offs(board, table)
        if marks:
            title, about = f"mIoU ({scored}) over time, {table.of}", shape_words(table.shape)
            label, methods = f"{title}: {about}", board.every_method
            svg = trade_off_chart(marks, f"speed{k}", label, methods=methods)
            charts.append(chart(title, svg, about=about))
    return charts


def speed_records(board: Board, found: AnalysisTable) -> Iterator[Record]:
    """Yield every number of one table."""
    backbone, segmentor, source = found.shape
    for row in found.rows:
        facts = {
            "unit": "", "source": source, "backbone": backbone, "segmentor": segmentor,
            "method": row.method, "role": role_of(row), "selection": board.selection or "",
            "protocol": board.protocol,
        }  # fmt: skip
        for quantity in _COLUMNS:
            stat = row.values[quantity]
            yield from over_seeds(quantity, stat, row.runs, facts, condition=found.of)


def _need(row: Measured, column: str, links: Links) -> Cell:
    stat, (_, text) = row.values[column], _COLUMNS[column]
    where, title = links.of(row.runs)
    shown, detail = text(stat.mean), "n = 1"
    if stat.n > 1:
        # All seeds have the same number of parameters, so there is no spread.
        shown += f" ± {text(stat.sd)}" if stat.sd else ""
        detail = f"{text(stat.low)} to {text(stat.high)}" if stat.few and stat.sd else ""
    return Cell(shown, False, detail, stat.mean, where, title)


def _measured_on(found: AnalysisTable) -> Iterator[str]:
    """Yield the origin of the times, and whether they are rough."""
    contents = [run.content for row in found.rows for run in row.runs]
    machines = dict.fromkeys(
        f"{one.get('cpu') or UNKNOWN}, threads: {one.get('threads') or UNKNOWN}" for one in contents
    )
    yield f"Measured on {'; '.join(machines)}."
    if any(one.get("few_repeats") for one in contents):
        yield "Fewer repeats than `ibn-seg speed` makes by default."
