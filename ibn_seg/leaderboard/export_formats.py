"""The leaderboard for other programs and papers: tidy CSV, LaTeX and Markdown."""

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, fields
from typing import Any

from ibn_seg.leaderboard.compare import Comparison, Row
from ibn_seg.leaderboard.measured import AnalysisTable, TransferTable
from ibn_seg.leaderboard.read import UNKNOWN, Board
from ibn_seg.leaderboard.score_tables import Table, class_values
from ibn_seg.report.published_figures import PublishedRow
from ibn_seg.report.tables import Cell, markdown_lines
from ibn_seg.statistics import Interval, PairedDifference, SeedSummary

FORMATS = {"csv": ".csv", "latex": ".tex", "markdown": ".md"}

_LATEX = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_",
    "{": r"\{", "}": r"\}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}",
    "±": r"$\pm$", "<": r"\textless{}", ">": r"\textgreater{}",
}  # fmt: skip


@dataclass(frozen=True)
class Record:
    """One line of the CSV: one number with whose it is; unrounded, empty where it has no meaning.

    Args:
        quantity: 'miou', 'miou_target_selected', 'difference', 'gap_closed', 'class_iou',
            'divergence', 'retention', 'transfer_miou', 'transfer_source_minus_scratch',
            'transfer_minus_baseline' or 'published_miou'.
        unit: 'percent', 'points' or nothing.
        source: Domains trained on.
        backbone: The backbone.
        segmentor: The segmentor.
        method: The method.
        role: 'method', 'oracle' or 'published'.
        baseline: The method that a difference is to.
        domain: The domain, or 'mean of targets'; the pair of sides of a divergence.
        condition: Class, group of layers, corruption and severity, or start and share.
        seed: One training seed; empty for what is over seeds.
        value: The number, or its mean over seeds.
        sd: Standard deviation over seeds (n - 1).
        low: Lower end of the 95 % interval.
        high: Its upper end.
        n: Number of seeds.
        seeds_needed: Seeds that tell the difference.
        remark: Why there is no value or interval; the citation of a published figure.
        protocol: The evaluation protocol.
        selection: The rule that chose the checkpoint.
        result: The file that the number of one seed comes from.
        command: What repeats its run.
    """

    quantity: str
    unit: str = "percent"
    source: str = ""
    backbone: str = ""
    segmentor: str = ""
    method: str = ""
    role: str = "method"
    baseline: str = ""
    domain: str = ""
    condition: str = ""
    seed: int | str = ""
    value: float | str = ""
    sd: float | str = ""
    low: float | str = ""
    high: float | str = ""
    n: int | str = ""
    seeds_needed: int | str = ""
    remark: str = ""
    protocol: str = ""
    selection: str = ""
    result: str = ""
    command: str = ""


def comparison_records(board: Board, found: Comparison) -> Iterator[Record]:
    """Yield every number of one source's comparison."""
    for group in found.groups:
        for row in group.rows:
            first = row.networks[0]
            facts = {
                "source": first.source or UNKNOWN,
                "backbone": group.backbone,
                "segmentor": group.segmentor,
                "method": row.method,
                "role": "method" if row.oracle_of is None else "oracle",
                "protocol": board.protocol,
                "selection": (board.selection or "") if first.selected else "as given",
            }
            yield from _scores(row, facts)
            yield from _compared(row, found, facts)
            for domain in first.scores:
                for name, stat in class_values(row, domain).items():
                    yield from _over_seeds(
                        "class_iou", stat, row.networks, facts, domain=domain, condition=name
                    )


def analysis_records(board: Board, found: AnalysisTable) -> Iterator[Record]:
    """Yield every number of one analysis."""
    quantity = {"robustness": "retention"}.get(found.task, found.task)
    unit = "percent" if quantity == "retention" else ""
    backbone, segmentor, source = found.shape
    for row in found.rows:
        facts = {
            "unit": unit, "source": source, "backbone": backbone, "segmentor": segmentor,
            "method": row.method, "selection": board.selection or "", "protocol": board.protocol,
        }  # fmt: skip
        for column, stat in row.values.items():
            where = {"domain": found.of, "condition": column}
            if stat is None:
                yield Record(quantity, remark="no value", **facts, **where)
            else:
                yield from _over_seeds(quantity, stat, row.runs, facts, **where)


def transfer_records(board: Board, found: TransferTable, baseline: str | None) -> Iterator[Record]:
    """Yield every number of the transfer to one domain."""
    for row in found.rows:
        facts = {
            "source": found.domain, "backbone": found.backbone, "segmentor": found.segmentor,
            "method": row.method, "protocol": board.protocol, "selection": board.selection or "",
            "domain": found.domain,
        }  # fmt: skip
        for share, stat in row.scores.items():
            where = {"condition": f"{row.start} {share:g} %"}
            yield from _over_seeds("transfer_miou", stat, row.networks[share], facts, **where)
            if share in row.to_scratch:
                yield _difference(
                    "transfer_source_minus_scratch", row.to_scratch[share], facts, **where
                )
            if share in row.to_baseline:
                yield _difference(
                    "transfer_minus_baseline", row.to_baseline[share], facts, **where,
                    baseline=baseline or "",
                )  # fmt: skip


def published_records(rows: Sequence[PublishedRow]) -> Iterator[Record]:
    """Yield the published figures, marked as such."""
    for row in rows:
        mark = "" if row.verified else "not verified; "
        for domain, value in row.values.items():
            yield Record(
                "published_miou",
                source=row.train_set,
                backbone=row.backbone,
                segmentor=row.segmentor,
                method=row.method,
                role="published",
                domain=domain,
                value=value,
                remark=f"{mark}{row.paper} {row.year}; {row.source}",
            )


def csv_text(records: Iterable[Record]) -> str:
    """Return records as CSV with a header line."""
    names = [field.name for field in fields(Record)]
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(names)
    writer.writerows([getattr(record, name) for name in names] for record in records)
    return out.getvalue()


def markdown_text(tables: Sequence[Table], facts: Sequence[str]) -> str:
    """Return tables as Markdown, with rules above and notes below each.

    Args:
        tables: The tables.
        facts: Lines that say how all was made: commands, commit.
    """
    parts = []
    for table in tables:
        rows = [
            row if part.title is None else (_prefixed(row[0], part.title), *row[1:])
            for part in table.parts
            for row in part.rows
        ]
        parts.append(f"**{_line(table.caption)}**\n")
        parts += [f"_{_line(rule)}_\n" for rule in table.rules]
        parts.append(markdown_lines(table.header, rows, table.names))
        parts += [f"{_line(note)}\n" for note in table.notes]
    return "\n".join([*parts, *(f"{fact}\n" for fact in facts)])


def latex_text(tables: Sequence[Table], facts: Sequence[str]) -> str:
    """Return tables for LaTeX with the package booktabs.

    Args:
        tables: The tables.
        facts: Lines that say how all was made, as comments.
    """
    head = ["% \\usepackage{booktabs}", *(f"% {_line(fact)}" for fact in facts), ""]
    return "\n".join([*head, *map(_latex_table, tables)])


def latex_escaped(text: str) -> str:
    """Return text as LaTeX shows it, every special character escaped."""
    return "".join(_LATEX.get(letter, letter) for letter in " ".join(text.split()))


def _latex_table(table: Table) -> str:
    width = len(table.header)
    caption = ". ".join([table.caption, *table.rules])
    lines = [
        "\\begin{table}",
        f"\\caption{{{latex_escaped(caption)}}}",
        f"\\label{{tab:{table.key}}}",
        "\\centering",
        f"\\begin{{tabular}}{{{'l' * table.names}{'r' * (width - table.names)}}}",
        "\\toprule",
        " & ".join(map(latex_escaped, table.header)) + r" \\",
    ]
    for part in table.parts:
        lines.append("\\midrule")
        if part.title is not None:
            lines.append(f"\\multicolumn{{{width}}}{{l}}{{{latex_escaped(part.title)}}} \\\\")
        lines += [" & ".join(map(_latex_cell, row)) + r" \\" for row in part.rows]
    lines += ["\\bottomrule", "\\end{tabular}"]
    lines += [f"\\par {latex_escaped(note)}" for note in table.notes]
    return "\n".join([*lines, "\\end{table}", ""])


def _latex_cell(cell: Cell) -> str:
    # Braces keep a row that begins with a bracket from being read as an argument of \\.
    text = latex_escaped(cell.text)
    text = f"\\textbf{{{text}}}" if cell.best else f"{{{text}}}" if text[:1] in "[*" else text
    return f"{text} {{\\scriptsize {latex_escaped(cell.small_print)}}}" if cell.detail else text


def _prefixed(cell: Cell, title: str) -> Cell:
    return Cell(f"{title}: {cell.text}")


def _line(text: str) -> str:
    return " ".join(text.split())


def _scores(row: Row, facts: dict[str, Any]) -> Iterator[Record]:
    for column, stat in row.scores.items():
        yield from _over_seeds("miou", stat, row.networks, facts, domain=column)
    for column, stat in row.target_selected.items():
        chosen = {**facts, "selection": "best on the target"}
        yield from _over_seeds("miou_target_selected", stat, row.networks, chosen, domain=column)


def _compared(row: Row, found: Comparison, facts: dict[str, Any]) -> Iterator[Record]:
    base = {"baseline": found.baseline or ""}
    for column, difference in row.differences.items():
        needed = row.needed[column].seeds
        yield _difference(
            "difference", difference, facts, domain=column, **base,
            seeds_needed="" if needed is None else needed,
        )  # fmt: skip
    for target, gap in row.gaps.items():
        low, high = _ends(gap.interval)
        value = "" if gap.percent is None else gap.percent
        yield Record(
            "gap_closed", **facts, **base, domain=target, value=value, low=low, high=high,
            n=len(gap.seeds), remark=gap.reason or "",
        )  # fmt: skip


def _over_seeds(
    quantity: str, stat: SeedSummary, runs: Sequence[Any], facts: dict[str, Any], **where: str
) -> Iterator[Record]:
    """Yield the mean over seeds, then each seed's own number."""
    facts = {**facts, **where}
    sd = "" if stat.sd is None else stat.sd
    yield Record(quantity, **facts, value=stat.mean, sd=sd, n=stat.n)
    for run, value in zip(runs, stat.values, strict=True):
        yield Record(
            quantity, **facts, seed=run.seed, value=value, n=1, result=str(run.result),
            command=run.command,
        )  # fmt: skip


def _difference(
    quantity: str, found: PairedDifference, facts: dict[str, Any], **more: Any
) -> Record:
    low, high = _ends(found.interval)
    return Record(
        quantity, **{**facts, **more, "unit": "points"}, value=found.per_seed.mean,
        sd="" if found.per_seed.sd is None else found.per_seed.sd, low=low, high=high,
        n=len(found.seeds), remark=f"seeds {', '.join(map(str, found.seeds))}",
    )  # fmt: skip


def _ends(interval: Interval | None) -> tuple[float | str, float | str]:
    """Return the ends of an interval; one seed has none."""
    if interval is None or interval.images_only:
        return "", ""
    return interval.low, interval.high
