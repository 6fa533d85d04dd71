"""Formats the report's tables for the page, the terminal and Markdown.

Percent and points are rounded here, to one decimal.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ibn_seg.methods.all_methods import BASELINE
from ibn_seg.report.runs import Run
from ibn_seg.report.scores import ClassRow, SummaryRow, is_best, rows_of_runs, score_columns
from ibn_seg.statistics.summary import SeedSummary

if TYPE_CHECKING:
    from rich.table import Table

    from ibn_seg.report.interval_marks import Mark
    from ibn_seg.report.method_looks import Look

NOTHING = "-"


@dataclass(frozen=True)
class Cell:
    """One formatted table cell.

    Args:
        text: Its text.
        best: Whether its value is the best of its column.
        detail: Small print below the text.
        value: The unrounded value that sorts a column; None for text or a missing value.
        href: Link to the number's origin.
        title: The command that measured it.
        mark: A drawing in place of the text.
        look: The colour and shape before a method's name; None for none.
        rank: The place of a method, before its name.
    """

    text: str
    best: bool = False
    detail: str = ""
    value: float | None = None
    href: str | None = None
    title: str | None = None
    mark: "Mark | None" = None
    look: "Look | None" = None
    rank: int | None = None

    @property
    def small_print(self) -> str:
        """The detail in brackets, for output without small print."""
        return self.detail if self.detail.startswith("[") else f"({self.detail})"


@dataclass(frozen=True)
class TextTable:
    """A formatted table. The first column holds names, the others hold numbers."""

    header: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]


def seeds_note(rows: Sequence[SummaryRow]) -> str:
    """Return the sentence on the number of seeds."""
    counts = {len(row.seeds) for row in rows}
    if counts == {1}:
        return (
            "One seed per method: the spread between seeds is not known, and differences of a few "
            "points can be chance."
        )
    which = f"{counts.pop()} seeds per method" if len(counts) == 1 else "the seeds of each method"
    return f"Mean ± sample standard deviation (n - 1) over {which}; differences are paired by seed."


def summary_table(rows: Sequence[SummaryRow]) -> TextTable:
    """Return methods x domains, formatted; the best of each domain is marked."""
    first = rows[0]
    comparing = any(row.difference for row in rows)
    header = ["Method", *(f"{score.domain} ({score.role})" for score in first.scores)]
    header += ["Gap"] if first.gap else []
    header += [f"{_compared_on(first)} vs {first.baseline}"] if comparing else []
    header += ["Seeds"]
    body = []
    for row in rows:
        cells = [Cell(row.method)]
        cells += [Cell(stat_text(score.stat), score.best) for score in row.scores]
        cells += [Cell(stat_text(row.gap))] if row.gap else []
        cells += [Cell(difference_text(row))] if comparing else []
        cells.append(Cell(str(len(row.seeds))))
        body.append(tuple(cells))
    return TextTable(tuple(header), tuple(body))


def seed_table(runs: Sequence[Run]) -> TextTable:
    """Return one formatted row per run: mIoU by domain, gap, and distance to the baseline."""
    first = runs[0]
    rows = rows_of_runs(runs)
    base = {run.seed: run for run in runs if run.method == BASELINE}
    comparing = any(row.difference for row in rows)
    columns = [(score.domain, score.role) for score in rows[0].scores]
    header = ["Method", "Seed", *(f"{domain} ({role})" for domain, role in columns)]
    header += ["Gap"] if first.gap is not None else []
    header += [f"{_compared_on(rows[0])} vs {BASELINE}"] if comparing else []
    header += ["Time", "Peak memory"]
    body = []
    for run in runs:
        cells = [run.method, str(run.seed)]
        cells += [number(stat.mean) for _, _, stat in score_columns([run])]
        cells += [number(run.gap)] if run.gap is not None else []
        if comparing:
            other = base.get(run.seed)
            paired = other is not None and other is not run
            cells.append(signed(run.score - other.score) if paired else NOTHING)
        cells.append(duration(run.record.get("wall_time_s")))
        cells.append(memory(run.record.get("peak_memory_mib")))
        body.append(tuple(Cell(text) for text in cells))
    return TextTable(tuple(header), tuple(body))


def class_table(rows: Sequence[ClassRow], methods: Sequence[str]) -> TextTable:
    """Return classes x methods, formatted, for one domain."""
    body = []
    for row in rows:
        if row.stats is None:
            body.append((Cell(row.name), *(Cell("absent") for _ in methods)))
            continue
        stats = [row.stats[method] for method in methods]
        body.append(
            (Cell(row.name), *(Cell(stat_text(stat), is_best(stat, stats)) for stat in stats))
        )
    return TextTable(("Class", *methods), tuple(body))


def metric_table(run: Run) -> TextTable:
    """Return all metrics of one run, formatted, one row per domain."""
    body = tuple(
        tuple(
            Cell(text)
            for text in (
                name,
                number(scores.miou),
                number(scores.macc),
                number(scores.aacc),
                str(scores.images),
            )
        )
        for name, scores in run.domains.items()
    )
    return TextTable(("Domain", "mIoU", "mAcc", "aAcc", "Images"), body)


def terminal_table(rows: Sequence[SummaryRow]) -> "Table":
    """Return the summary as a rich table, the best of each domain in bold."""
    from rich.table import Table
    from rich.text import Text

    content = summary_table(rows)
    table = Table(title="mIoU (%)", caption=seeds_note(rows), caption_justify="left")
    for k, name in enumerate(content.header):
        # Rich would read brackets in names as markup.
        table.add_column(Text(name), justify="right" if k else "left")
    for row in content.rows:
        table.add_row(*(Text(cell.text, style="bold" if cell.best else "") for cell in row))
    return table


def markdown_lines(header: Sequence[str], rows: Iterable[Sequence[Cell]], names: int = 1) -> str:
    """Return a Markdown table, the best in bold.

    Args:
        header: Names of the columns.
        rows: Cells by row.
        names: How many of the first columns hold text.
    """
    lines = ["| " + " | ".join(map(_markdown, header)) + " |"]
    lines.append("|" + "|".join(["---"] * names + ["---:"] * (len(header) - names)) + "|")
    for row in rows:
        lines.append("| " + " | ".join(_markdown_cell(cell) for cell in row) + " |")
    return "\n".join(lines) + "\n"


def _markdown_cell(cell: Cell) -> str:
    text = f"**{_markdown(cell.text)}**" if cell.best else _markdown(cell.text)
    return f"{text} {_markdown(cell.small_print)}" if cell.detail else text


def number(value: float) -> str:
    """Format percent or points with one decimal."""
    # Small negative values round to -0.0. Adding zero turns it into 0.0.
    return f"{round(value, 1) + 0.0:.1f}"


def signed(value: float) -> str:
    """Format a difference with one decimal and its sign; no sign for a difference of 0.0."""
    return f"{'+' if sign(value) > 0 else ''}{number(value)}"


def sign(value: float) -> int:
    """Return the sign (1, 0 or -1) of a difference after rounding."""
    shown = round(value, 1)
    return (shown > 0) - (shown < 0)


def stat_text(stat: SeedSummary) -> str:
    """Format mean and standard deviation, or the one value of a single seed."""
    spread = "" if stat.sd is None else f" ± {number(stat.sd)}"
    return f"{number(stat.mean)}{spread}"


def difference_text(row: SummaryRow) -> str:
    """Format the distance of a method to the baseline."""
    if row.method == row.baseline:
        return "baseline"
    if row.difference is None:
        return "no common seed"
    stat = row.difference.stat
    spread = "" if stat.sd is None else f" ± {number(stat.sd)}"
    pairs = "" if row.difference.seeds == row.seeds else f", n = {stat.n}"
    return f"{signed(stat.mean)}{spread}{pairs}"


def duration(seconds: float | None) -> str:
    """Format a time: '45.3 s', '3.2 min' or '5.0 h'."""
    if seconds is None:
        return NOTHING
    for unit, size in (("h", 3600), ("min", 60)):
        if seconds >= size:
            return f"{number(seconds / size)} {unit}"
    return f"{number(seconds)} s"


def memory(mib: float | None) -> str:
    """Format a size given in MiB as GiB."""
    return NOTHING if mib is None else f"{number(mib / 1024)} GiB"


def _compared_on(row: SummaryRow) -> str:
    score = row.primary
    if score.role == "mean":
        return score.domain.split()[1].capitalize()
    several = sum(other.role == score.role for other in row.scores) > 1
    return score.domain if several else score.role.capitalize()


def _markdown(text: str) -> str:
    return " ".join(text.replace("\\", "\\\\").replace("|", "\\|").split())
