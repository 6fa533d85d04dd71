"""Exports the leaderboard for programs and pages: tidy CSV, and Markdown."""

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import fields
from typing import Any

from ibn_seg.leaderboard.comparison import Comparison, Group, Row
from ibn_seg.leaderboard.score_tables import class_values
from ibn_seg.report.board import UNKNOWN, Board
from ibn_seg.report.number_record import Record, difference_record, ends_of, over_seeds
from ibn_seg.report.published_figures import PublishedRow
from ibn_seg.report.table import Table
from ibn_seg.report.tables import Cell, markdown_lines

FORMATS = {"csv": ".csv", "latex": ".tex", "markdown": ".md"}


def comparison_records(board: Board, found: Comparison) -> Iterator[Record]:
    """Yield every number of one source's comparison."""
    for group in found.groups:
        for row in group.rows:
            first = row.networks[0]
            facts = {
                "source": first.source or UNKNOWN,
                "backbone": group.backbone,
                "segmentor": group.segmentor,
                "pretraining": group.pretraining,
                "method": row.method,
                "role": _role(row, group),
                "protocol": board.protocol,
                "selection": (board.selection or "") if first.selected else "as given",
            }
            yield from _scores(row, facts)
            yield from _compared(row, found, facts)
            for domain in first.scores:
                for name, stat in class_values(row, domain).items():
                    yield from over_seeds(
                        "class_iou", stat, row.networks, facts, domain=domain, condition=name
                    )


def _role(row: Row, group: Group) -> str:
    if row.oracle_of is not None:
        return "oracle"
    return "test time" if group.sees_target else "method"


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
                pretraining=row.pretraining,
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
        facts: Lines on how the results were made: commands, commit.
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


def _prefixed(cell: Cell, title: str) -> Cell:
    return Cell(f"{title}: {cell.text}")


def _line(text: str) -> str:
    return " ".join(text.split())


def _scores(row: Row, facts: dict[str, Any]) -> Iterator[Record]:
    for column, stat in row.scores.items():
        yield from over_seeds("miou", stat, row.networks, facts, domain=column)
    for column, stat in row.target_selected.items():
        chosen = {**facts, "selection": "best on the target"}
        yield from over_seeds("miou_target_selected", stat, row.networks, chosen, domain=column)


def _compared(row: Row, found: Comparison, facts: dict[str, Any]) -> Iterator[Record]:
    base = {"baseline": found.baseline or ""}
    for column, difference in row.differences.items():
        needed = row.needed[column].seeds
        yield difference_record(
            "difference", difference, facts, domain=column, **base,
            seeds_needed="" if needed is None else needed,
        )  # fmt: skip
    for target, gap in row.gaps.items():
        low, high = ends_of(gap.interval)
        value = "" if gap.percent is None else gap.percent
        yield Record(
            "gap_closed", **facts, **base, domain=target, value=value, low=low, high=high,
            n=len(gap.seeds), remark=gap.reason or "",
        )  # fmt: skip
