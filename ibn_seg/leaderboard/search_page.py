"""The leaderboard of re-identification: one page, and CSV, LaTeX and Markdown."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from ibn_seg.errors import unknown
from ibn_seg.io import write_text
from ibn_seg.leaderboard.board_frame import (
    Claim,
    claim_of,
    framed,
    listed,
    training_time,
    unfinished_warnings,
)
from ibn_seg.leaderboard.export_formats import FORMATS, csv_text, markdown_text
from ibn_seg.leaderboard.latex_tables import latex_text
from ibn_seg.leaderboard.search_board import BEST, LAST, SearchBoard, SearchGroup, SearchRow
from ibn_seg.leaderboard.sections import MOST_UNFOLDED, published_table, unfinished_table
from ibn_seg.reid.identity_bootstrap import MEASURES
from ibn_seg.report.cell_text import EMPTY
from ibn_seg.report.links import Links
from ibn_seg.report.number_record import Record, over_seeds
from ibn_seg.report.published_figures import by_train_set, published_searches
from ibn_seg.report.section import Section
from ibn_seg.report.table import Part, Table, slug
from ibn_seg.report.tables import Cell, number, signed, stat_text
from ibn_seg.statistics.bootstrap import Interval
from ibn_seg.statistics.summary import FEW_SEEDS

# The measures of a table, and the one that methods are compared by.
SHOWN = ("rank-1", "mAP")
COMPARED = "mAP"
_RULE = (
    "Selection: {}; mAP is the mean precision at matches; no re-ranking. Brackets: 95 % of draws "
    "of people, and of seeds where there are several."
)
_FEW = " With so few seeds the intervals may be too narrow."
# What CSV calls the rules for checkpoints.
_SELECTIONS = {LAST: "last", BEST: "best on the source"}
_INTRODUCTION = (
    "Networks that search people or vehicles in the pictures of other cameras, trained on one data "
    "set or several and searched with in others without adaptation. Higher is better. Every number "
    "links to its runs."
)
_PUBLISHED = (
    "What papers and tools report, as they report it. Other recipes and other data: not measured "
    "here, and not ranked with what is."
)


def write_search_page(
    board: SearchBoard,
    page: Path,
    *,
    exports: Sequence[str] = (),
    only: Sequence[str] = (),
    columns: Sequence[str] = (),
    published: str = "verified",
    title: str,
    command: str,
) -> list[Path]:
    """Write the page, and exports beside it; return the files, the page first.

    Args:
        board: The results.
        page: The page.
        exports: 'csv', 'latex', 'markdown'.
        only: Beginnings of names of tables for LaTeX and Markdown; default all.
        columns: Beginnings of names of columns for LaTeX; default all.
        published: The published figures to show: 'verified', 'all' or 'none'.
        title: Heading of the page.
        command: The command line, for the record.

    Raises:
        UserError: No table or column has one of these names.
        EnvError: A file cannot be written.
    """
    links = Links(page)
    tables = [_table(group, board.baseline, links) for group in board.groups]
    texts = {page: _page(board, tables, links, published, title, command)}
    facts = [f"Command: `{command}`."]
    for beginning in only:
        if not any(table.key.startswith(beginning) for table in tables):
            raise unknown("table", beginning, [table.key for table in tables])
    chosen = [table for table in tables if not only or table.key.startswith(tuple(only))]
    for name in exports:
        path = page.with_suffix(FORMATS[name])
        if name == "csv":
            texts[path] = csv_text(record for group in board.groups
                                   for record in _records(group, board.baseline))  # fmt: skip
        elif name == "latex":
            texts[path] = latex_text(chosen, facts, columns)
        else:
            texts[path] = markdown_text(chosen, facts)
    for path, text in texts.items():
        write_text(path, text)
    return list(texts)


def _table(group: SearchGroup, baseline: str, links: Links) -> Table:
    """Return the table of a group: methods by data sets, then the upper bounds."""
    base = group.row(baseline)
    header = ["Method"]
    for name in group.domains:
        header += [f"{name} {measure}" for measure in SHOWN]
        header += [f"{name} {COMPARED} vs {baseline}"] if len(group.rows) > 1 and base else []
    rows = [_cells(row, row.method, group, baseline, links) for row in group.rows]
    rows += [
        _cells(row, f"{row.method} trained on {name}", group, baseline, links)
        for name, row in group.upper.items()
    ]
    about = f"{group.backbone}, {group.recipe}"
    key = f"main-{slug(f'{group.source} {group.backbone} {group.recipe}')}"
    return Table(
        key=key,
        caption=f"Trained on {group.source}: {about}",
        header=(*header, "Seeds"),
        parts=(Part(None, tuple(rows), reference=len(group.upper)),),
        rules=(_RULE.format(" or ".join(group.selections)) + (_FEW if _few(group) else ""),),
        notes=_notes(group),
    )


def _notes(group: SearchGroup) -> tuple[str, ...]:
    """Return what a reader has to know of some rows or columns."""
    upper = "The last rows saw a target in training: they are upper bounds there."
    chosen = "Scores on the source are those that chose the checkpoints, so they are a little high."
    return (*([upper] if group.upper else []), *([chosen] if BEST in group.selections else []))


def _few(group: SearchGroup) -> bool:
    """Tell whether a row's draws of seeds are of few; of one seed there are none."""
    return any(1 < len(row.seeds) <= FEW_SEEDS for row in (*group.rows, *group.upper.values()))


def _cells(
    row: SearchRow, title: str, group: SearchGroup, baseline: str, links: Links
) -> tuple[Cell, ...]:
    """Return the cells of a row; those of an upper bound are compared with nothing."""
    base = group.row(baseline) if row in group.rows else None
    where, what = links.of(row.runs)
    cells = [Cell(title)]
    for name in group.domains:
        there = all(name in run.matches for run in row.runs)
        for measure in SHOWN:
            if not there:
                cells.append(EMPTY)
                continue
            stat, best = row.scores(name, measure), _best(row, group, name, measure)
            detail = _ends(row.interval(name, measure))
            cells.append(Cell(stat_text(stat), best, detail, stat.mean, where, what))
        if len(group.rows) > 1 and group.row(baseline):
            cells.append(_difference(row, base, name, where, what))
    cells.append(Cell(", ".join(map(str, row.seeds))))
    return tuple(cells)


def _best(row: SearchRow, group: SearchGroup, name: str, measure: str) -> bool:
    """Tell whether a row of a group has the highest score."""
    if row not in group.rows or len(group.rows) < 2:
        return False
    values = [one.scores(name, measure).mean for one in group.rows
              if all(name in run.matches for run in one.runs)]  # fmt: skip
    return row.scores(name, measure).mean == max(values)


def _difference(row: SearchRow, base: SearchRow | None, name: str, where: str, what: str) -> Cell:
    if row is base:
        return Cell("baseline")
    if base is None or (found := row.difference(base, name, COMPARED)) is None:
        return EMPTY
    detail = f"[{signed(found.interval.low)}, {signed(found.interval.high)}]"
    if len(found.seeds) < len(row.runs):
        detail += f", seeds {', '.join(map(str, found.seeds))}"
    return Cell(signed(found.mean), False, detail, found.mean, where, what)


def _ends(interval: Interval) -> str:
    return f"[{number(interval.low)}, {number(interval.high)}]"


def _claims(board: SearchBoard) -> list[Claim]:
    """Return what the best method gains or loses on the first target of each group."""
    made = []
    for group in board.groups:
        base = group.row(board.baseline)
        if base is None or not group.targets:
            continue
        target = group.targets[0]
        compared = [(row, found) for row in group.rows if row is not base
                    and (found := row.difference(base, target, COMPARED))]  # fmt: skip
        if compared:
            row, found = max(compared, key=lambda pair: pair[1].mean)
            about = f"{group.backbone}, {group.recipe}, trained on {group.source}"
            made.append(claim_of(
                row.method, board.baseline, found.mean, found.interval, seeds=len(found.seeds),
                measure=COMPARED, where=target, about=about,
            ))  # fmt: skip
    return made


def _page(
    board: SearchBoard,
    tables: Sequence[Table],
    links: Links,
    published: str,
    title: str,
    command: str,
) -> str:
    """Return the page."""
    rows = by_train_set(published_searches(published))
    figures = tuple(published_table(name, some, "figures") for name, some in rows.items())
    missing = unfinished_table(board)
    sections = [
        Section("searches", "Searches", tuple(tables)),
        Section("published", "Published figures", figures, (_PUBLISHED,), folded=True),
        Section("unfinished-cells", "Not finished", (missing,) if missing else (),
                folded=len(board.unfinished) > MOST_UNFOLDED),
    ]  # fmt: skip
    return framed(
        sections,
        board.heads.values(),
        [run.record for run in board.runs],
        title=title,
        introduction=_INTRODUCTION,
        claims=_claims(board),
        warnings=unfinished_warnings(board.unfinished),
        runs=_runs(board, links),
        command=command,
        facts=_facts(board),
    )


def _runs(board: SearchBoard, links: Links) -> list[dict[str, Any]]:
    """Return the lists of runs that numbers link to."""
    shown = []
    for key, runs in links.lists:
        first = runs[0]
        about = f"{first.backbone}, {first.segmentor}, trained on {first.source}"
        members = [
            {
                "seed": run.seed, "href": links.run(run), "command": run.command,
                "name": f"{run.result.parent.name}/{run.result.name}",
                "scores": ", ".join(f"{name} mAP {number(run.score(name, COMPARED))}"
                                    for name in run.matches),
            }
            for run in runs
        ]  # fmt: skip
        shown.append({"key": key, "title": first.method, "about": about, "members": members})
    return shown


def _facts(board: SearchBoard) -> list[tuple[str, str]]:
    """Return the facts of the runs, by term."""
    heads, runs = board.heads.values(), board.runs
    return [
        ("Benchmarks", listed(head.get("name") for head in heads)),
        ("Plans", listed(head.get("plan") for head in heads)),
        ("Networks", str(len(runs))),
        ("Threads", listed(head.get("threads") for head in heads)),
        ("CPU", listed(run.record.get("cpu") for run in runs)),
        ("Time of trainings and searches", training_time(run.record for run in runs)),
        ("Commit", listed(run.record.get("git_commit") for run in runs)),
    ]


def _records(group: SearchGroup, baseline: str) -> Iterator[Record]:
    """Yield every number of a group."""
    base = group.row(baseline)
    bounds = [(row, "oracle") for row in group.upper.values()]
    for row, role in [*((row, "method") for row in group.rows), *bounds]:
        facts = {
            "source": row.runs[0].source, "backbone": group.backbone, "segmentor": group.recipe,
            "method": row.method, "role": role,
            "selection": " or ".join(dict.fromkeys(_SELECTIONS[run.selection] for run in row.runs)),
        }  # fmt: skip
        for name in group.domains:
            if not all(name in run.matches for run in row.runs):
                continue
            for measure in MEASURES:
                stat = row.scores(name, measure)
                yield from over_seeds(_quantity(measure), stat, row.runs, facts, domain=name)
            if role == "method" and base is not None and row is not base:
                found = row.difference(base, name, COMPARED)
                if found is not None:
                    yield Record(
                        "map_difference", **facts, unit="points", baseline=baseline, domain=name,
                        value=found.mean, low=found.interval.low, high=found.interval.high,
                        n=len(found.seeds), remark=f"seeds {', '.join(map(str, found.seeds))}",
                    )  # fmt: skip


def _quantity(measure: str) -> str:
    """Return a measure's name in CSV: 'rank_1', 'map', 'map_trapezoid', 'minp'."""
    kept = "".join(letter if letter.isalnum() else "_" for letter in measure.lower())
    return "_".join(part for part in kept.split("_") if part)
