"""A section of a page: tables, drawings and notes on them."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from markupsafe import Markup

from ibn_seg.report.board import Board
from ibn_seg.report.number_record import Record
from ibn_seg.report.plots import SERIES_COLOURS
from ibn_seg.report.runs import order_methods
from ibn_seg.report.table import Table

Chart = dict[str, Any]


@dataclass(frozen=True)
class Section:
    """A section of a page.

    Args:
        key: Its anchor on the page.
        title: Its heading.
        tables: Its tables.
        lines: Notes before the tables.
        folded: Whether each table is collapsed at first.
        legend: Methods with their colour numbers, for its charts.
        charts: Drawings, each with 'title' and 'svg'.
        scenes: Return value of `ibn_seg.report.page.scenes`.
    """

    key: str
    title: str
    tables: tuple[Table, ...] = ()
    lines: tuple[str, ...] = ()
    folded: bool = False
    legend: tuple[tuple[str, int], ...] = ()
    charts: tuple[dict[str, Any], ...] = field(default=())
    scenes: tuple[dict[str, Any], ...] = field(default=())


@dataclass(frozen=True)
class Contribution:
    """The contribution of an analysis to a leaderboard.

    Args:
        section: Its section of the page.
        records: Its numbers, unrounded.
    """

    section: Section
    records: tuple[Record, ...]


def analysis_section(
    board: Board,
    task: str,
    introduction: str,
    tables: Iterable[Table],
    charts: Iterable[Chart],
    *,
    title: str = "",
    folded: bool = False,
) -> Section:
    """Return the section of an analysis, with a legend of the methods that it measured.

    Args:
        board: Everything that the leaderboard has read.
        task: Name of the analysis, which is the section's anchor.
        introduction: The note before its tables.
        tables: Its tables.
        charts: Its drawings.
        title: Its heading. Default: the name of the analysis, capitalised.
        folded: Whether each table is collapsed at first.
    """
    return Section(
        task,
        title or task.capitalize(),
        tuple(tables),
        (introduction,),
        folded=folded,
        legend=legend(board, (run.method for run in board.analyses if run.task == task)),
        charts=tuple(charts),
    )


def legend(board: Board, drawn: Iterable[str]) -> tuple[tuple[str, int], ...]:
    """Return the methods of some charts with their colour numbers on the whole page."""
    colours = {name: k % SERIES_COLOURS for k, name in enumerate(order_methods(board.methods))}
    kept = set(drawn)
    return tuple((name, colour) for name, colour in colours.items() if name in kept)


def chart(title: str, svg: str) -> Chart:
    """Return a drawing with its title."""
    return {"title": title, "svg": Markup(svg)}
