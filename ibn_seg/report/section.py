"""A section of a page: tables, drawings and notes on them."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from markupsafe import Markup

from ibn_seg.report.board import SEES_TARGET, Board
from ibn_seg.report.method_looks import Look, method_looks
from ibn_seg.report.number_record import Record
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
        legend: Methods with their looks, for its charts.
        charts: Drawings, as `chart` returns them.
        scenes: Return value of `ibn_seg.report.page.scenes`.
    """

    key: str
    title: str
    tables: tuple[Table, ...] = ()
    lines: tuple[str, ...] = ()
    folded: bool = False
    legend: tuple[tuple[str, Look], ...] = ()
    charts: tuple[Chart, ...] = field(default=())
    scenes: tuple[dict[str, Any], ...] = field(default=())

    @property
    def blocks(self) -> list["Block"]:
        """The drawings and tables by what they are about, in the order of the drawings."""
        drawn = [one["about"] for one in self.charts]
        about = dict.fromkeys(drawn + [table.about for table in self.tables])
        return [
            Block(
                name,
                tuple(one for one in self.charts if one["about"] == name),
                tuple(table for table in self.tables if table.about == name),
            )
            for name in about
        ]


@dataclass(frozen=True)
class Block:
    """Drawings and tables of a section that are about the same.

    Args:
        about: Their heading; an empty one for none.
        charts: The drawings.
        tables: The tables.
    """

    about: str
    charts: tuple[Chart, ...]
    tables: tuple[Table, ...]

    @property
    def open_charts(self) -> tuple[Chart, ...]:
        """The drawings that are seen at once."""
        return tuple(one for one in self.charts if not one["fold"])

    @property
    def folds(self) -> list[tuple[str, list[Chart]]]:
        """The other drawings under the lines that unfold them."""
        lines = dict.fromkeys(one["fold"] for one in self.charts if one["fold"])
        return [(line, [one for one in self.charts if one["fold"] == line]) for line in lines]


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
) -> Section:
    """Return the section of an analysis, with a legend of the methods that it measured.

    Args:
        board: Everything that the leaderboard has read.
        task: Name of the analysis, which is the section's anchor.
        introduction: The note before its tables.
        tables: Its tables.
        charts: Its drawings.
        title: Its heading. Default: the name of the analysis, capitalised.
    """
    charts = tuple(charts)
    return Section(
        task,
        title or task.capitalize(),
        tuple(tables),
        (introduction,),
        # Where there are drawings, the numbers behind them are details.
        folded=bool(charts),
        legend=legend(board, (run.method for run in board.analyses if run.task == task)),
        charts=charts,
    )


def legend(board: Board, drawn: Iterable[str]) -> tuple[tuple[str, Look], ...]:
    """Return the methods of some charts with their looks on the whole page.

    Charts draw methods at test time beside the others, so their names say it.
    """
    kept = set(drawn)
    adapting = {one.method for one in (*board.networks, *board.analyses) if one.sees_target}
    return tuple(
        (f"{name} ({SEES_TARGET})" if name in adapting else name, look)
        for name, look in method_looks(board.every_method).items()
        if name in kept
    )


def chart(title: str, svg: str, *, about: str = "", fold: str = "") -> Chart:
    """Return a drawing for a page.

    Args:
        title: Its title.
        svg: The drawing.
        about: What it has in common with others of its section, such as the network.
        fold: The line that unfolds it together with others; an empty one if it is seen at once.
    """
    return {"title": title, "svg": Markup(svg), "about": about, "fold": fold}
