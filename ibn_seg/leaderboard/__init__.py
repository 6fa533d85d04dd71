"""The leaderboard: turns folders of results into one page, and CSV, LaTeX and Markdown.

It reads the results of `ibn-seg benchmark`, `evaluate` and `test`. It trains nothing.
"""

import os
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from ibn_seg.analyses.all_analyses import ANALYSES, part
from ibn_seg.errors import unknown
from ibn_seg.io import write_text
from ibn_seg.leaderboard import charts, export_formats, score_tables, sections
from ibn_seg.leaderboard.board_page import TITLE, commits_of, page_text
from ibn_seg.leaderboard.compare import check_baseline, compare
from ibn_seg.leaderboard.comparison import Comparison
from ibn_seg.leaderboard.latex_tables import check_columns, latex_text
from ibn_seg.leaderboard.network_table import network_table
from ibn_seg.leaderboard.rank_tables import rank_table
from ibn_seg.leaderboard.ranked_table import difference_axis, ranked_table
from ibn_seg.leaderboard.read import read_board
from ibn_seg.leaderboard.search_board import holds_searches, read_searches
from ibn_seg.leaderboard.search_page import write_search_page
from ibn_seg.methods.all_methods import BASELINE
from ibn_seg.report.board import Board
from ibn_seg.report.links import Links
from ibn_seg.report.number_record import Record
from ibn_seg.report.page import scenes
from ibn_seg.report.published_figures import WHICH, by_train_set, published_rows, train_set_of
from ibn_seg.report.section import Section, legend
from ibn_seg.report.stored_panels import FOLDER, read_panels
from ibn_seg.report.table import Table

NAME = "leaderboard.html"


def write_leaderboard(
    folders: Sequence[str | os.PathLike],
    out: str | os.PathLike | None = None,
    *,
    exports: Iterable[str] = (),
    only: Iterable[str] = (),
    columns: Sequence[str] = (),
    baseline: str | None = None,
    published: str = "verified",
    title: str = TITLE,
    command: str = "ibn-seg leaderboard",
) -> list[Path]:
    """Write a page of results, and exports beside it.

    Args:
        folders: Folders of `ibn-seg benchmark`, `evaluate` or `test`.
        out: The page; default `leaderboard.html` in the first folder. An older one is replaced.
        exports: 'csv', 'latex', 'markdown'. The files have the page's name with another ending.
        only: Beginnings of table names, such as 'main', to select the tables for LaTeX and
            Markdown. Default: all except published figures for training sets that no network here
            uses.
        columns: Beginnings of names of columns, such as 'mean', for the tables of LaTeX. Default:
            what fits a paper's column.
        baseline: The method to compare others with; default 'BN' if there is one, else the first
            method of a plan.
        published: The published figures to show: 'verified', 'all' or 'none'.
        title: Heading of the page.
        command: The command line, for the record.

    Returns:
        The files written, the page first.

    Raises:
        UserError: Results are missing, damaged or cannot be compared. Or a name is unknown.
        EnvError: A file cannot be written.
    """
    exports = list(dict.fromkeys(exports))
    check_columns(columns, exports)
    for name in exports:
        if name not in export_formats.FORMATS:
            raise unknown("export", name, export_formats.FORMATS)
    if published not in WHICH:
        raise unknown("choice of published figures", published, WHICH)
    if holds_searches(folders):
        return write_search_page(
            read_searches(folders, baseline, BASELINE),
            Path(out) if out is not None else Path(folders[0]) / NAME,
            exports=exports, only=list(only), columns=columns, published=published, title=title,
            command=command,
        )  # fmt: skip
    board = read_board(folders)
    compared_with = check_baseline(board, baseline, BASELINE)
    comparisons = compare(board, compared_with)
    page = Path(out) if out is not None else Path(folders[0]) / NAME
    made = _Content(board, comparisons, compared_with, published, Links(page))
    chosen = _chosen(made, list(only)) if only else made.exported()
    # Compute everything before anything is written.
    texts = {page: page_text(board, comparisons, made.sections(), made.links,
                             title=title, command=command)}  # fmt: skip
    lines = _provenance(board, command)
    for name in exports:
        path = page.with_suffix(export_formats.FORMATS[name])
        if name == "csv":
            texts[path] = export_formats.csv_text(made.records())
        elif name == "latex":
            texts[path] = latex_text(made.narrow(chosen), lines, columns)
        else:
            texts[path] = export_formats.markdown_text(chosen, lines)
    for path, text in texts.items():
        write_text(path, text)
    return list(texts)


class _Content:
    """Every table of a leaderboard, computed once."""

    def __init__(
        self,
        board: Board,
        comparisons: Sequence[Comparison],
        baseline: str | None,
        published: str,
        links: Links,
    ) -> None:
        self.board, self.comparisons, self.baseline, self.links = (
            board, comparisons, baseline, links,
        )  # fmt: skip
        self.analyses = [
            part(name, "contribution").contribution(board, baseline, links) for name in ANALYSES
        ]
        self.published = by_train_set(published_rows(published))
        each = [score_tables.main_table, score_tables.condition_tables, score_tables.class_tables]
        self.main, self.conditions, self.classes = (
            [make(board, found, links) for found in comparisons] for make in each
        )
        self.figures = [
            sections.published_table(name, rows) for name, rows in self.published.items()
        ]
        axis = difference_axis(comparisons)
        self.ranked = [ranked_table(board, found, links, axis) for found in comparisons]
        self.ranks = rank_table(comparisons)
        self.networks = network_table(comparisons)
        self.unfinished = sections.unfinished_table(board)

    def sections(self) -> list[Section]:
        """Return the page's sections in order."""
        missing = (self.unfinished,) if self.unfinished else ()
        ranks = (self.ranks,) if self.ranks else ()
        published = (
            "What papers report, as they report it: other resolutions, schedules and ways to "
            "choose a checkpoint, usually one seed. Not measured here, and not ranked with what is."
        )
        board = self.board
        return [
            Section("ranking", "Ranking", tuple(self.ranked)),
            Section("disagreement", "Where methods disagree most", scenes=self._scenes()),
            Section("agreement", "Do comparisons agree?", ranks),
            Section("methods", "Domains",
                    (*self.main, *(t for some in self.conditions for t in some)),
                    folded=True, legend=legend(board, board.methods),
                    charts=tuple(charts.difference_charts(board, self.comparisons))),
            Section("classes", "Classes", tuple(t for some in self.classes for t in some),
                    folded=True),
            Section("networks", "Networks", (self.networks,) if self.networks else ()),
            *(one.section for one in self.analyses),
            Section("published", "Published figures", tuple(self.figures), (published,),
                    folded=True),
            Section("unfinished-cells", "Not finished", missing,
                    folded=len(board.unfinished) > sections.MOST_UNFOLDED),
        ]  # fmt: skip

    def _scenes(self) -> tuple[dict[str, Any], ...]:
        """Return the panels from `ibn-seg panels` in the folders."""
        sources = {domain for found in self.comparisons for domain in found.sources}
        panels = [p for folder in self.board.heads for p in read_panels(folder / FOLDER)]
        role_of = {domain: "source" for domain in sources}
        methods = self.board.methods
        return tuple(scenes(panels, lambda domain: role_of.get(domain, "unseen"), methods))

    def exported(self) -> list[Table]:
        """Return the tables of an export, without published figures for other training sets."""
        sources = {train_set_of(found.source) for found in self.comparisons}
        fitting = [
            text for name, text in zip(self.published, self.figures, strict=True) if name in sources
        ]
        return [*self.all_tables(published=False), *fitting]

    def all_tables(self, *, published: bool = True) -> list[Table]:
        """Return every table."""
        found = [*self.main, *([self.ranks] if self.ranks else [])]
        for some in (*self.conditions, *self.classes):
            found += some
        found += [self.networks] if self.networks else []
        for one in self.analyses:
            found += one.section.tables
        found += self.figures if published else []
        return [*found, *([self.unfinished] if self.unfinished else [])]

    def narrow(self, tables: Iterable[Table]) -> list[Table]:
        """Return tables with the main ones in the form that fits a paper's column."""
        ranked = {
            main.key: ranked_table(self.board, found, self.links, difference_axis([found]), False)
            for main, found in zip(self.main, self.comparisons, strict=True)
        }
        return [
            replace(ranked[table.key], key=table.key) if table.key in ranked else table
            for table in tables
        ]

    def records(self) -> list[Record]:
        """Return every number."""
        board = self.board
        found = [
            record
            for one in self.comparisons
            for record in export_formats.comparison_records(board, one)
        ]
        for one in self.analyses:
            found += one.records
        for rows in self.published.values():
            found += export_formats.published_records(rows)
        return found


def _chosen(made: _Content, only: Sequence[str]) -> list[Table]:
    """Return the tables whose names have one of the given beginnings.

    Raises:
        UserError: No table's name has one of the beginnings.
    """
    tables_ = made.all_tables()
    for beginning in only:
        if not any(table.key.startswith(beginning) for table in tables_):
            kinds = dict.fromkeys(table.key.partition("-")[0] for table in tables_)
            raise unknown("table", beginning, kinds)
    return [table for table in tables_ if table.key.startswith(tuple(only))]


def _provenance(board: Board, command: str) -> list[str]:
    """Return the lines on how the results and the page were made."""
    plans = [f"`ibn-seg benchmark {head.get('plan')}`" for head in board.heads.values()]
    return [
        f"Commands: {', '.join([*plans, f'`{command}`'])}.",
        f"Git commit: {', '.join(commits_of(board))}.",
    ]
