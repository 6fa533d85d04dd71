"""Formats the leaderboard's tables for the page, LaTeX and Markdown."""

from collections.abc import Sequence

from ibn_seg.evaluation.confusion import scores
from ibn_seg.leaderboard.charts import about
from ibn_seg.leaderboard.comparison import SEES_TARGET, TARGETS, Comparison, Group, Row
from ibn_seg.leaderboard.pretraining_groups import ACROSS
from ibn_seg.report.board import Board, Network
from ibn_seg.report.cell_text import (
    EMPTY,
    MADE_FROM,
    difference_cell,
    gap_cell,
    needed_cell,
    rule_lines,
    score_cell,
)
from ibn_seg.report.links import Links
from ibn_seg.report.scores import is_best
from ibn_seg.report.table import Part, Table, slug
from ibn_seg.report.tables import Cell
from ibn_seg.statistics import SeedSummary, summarise


def main_table(board: Board, found: Comparison, links: Links) -> Table:
    """Return methods x domains for one source, with differences to the baseline."""
    primary = found.primary
    header = ["Method", *(_heading(name, found) for name in found.columns)]
    compared = found.baseline is not None and any(row.differences for row in found.rows)
    if compared:
        header += [f"{_label(name, found)} vs {found.baseline}" for name in _compared(found)]
        header.append("Seeds needed")
    gaps = any(row.gaps for row in found.rows)
    if gaps:
        header += [f"Gap closed on {name}" for name in _with_oracle(found)]
    chosen = any(primary in row.target_selected for row in found.rows)
    if chosen:
        header.append(f"{_label(primary, found)}, selected on the target")
    header += [SEES_TARGET] * found.some_see_target
    parts = []
    for group in found.groups:
        rows = []
        for row in group.rows:
            cells = [Cell(_name(row))]
            cells += [_score(row, name, group, links) for name in found.columns]
            if compared:
                cells += [_difference(row, name, links, found) for name in _compared(found)]
                cells.append(needed_cell(row.needed.get(primary), row.differences.get(primary)))
            if gaps:
                cells += [gap_cell(row.gaps.get(t), links, row.networks)
                          for t in _with_oracle(found)]  # fmt: skip
            if chosen:
                cells.append(score_cell(row.target_selected.get(primary), links, row.networks))
            if found.some_see_target:
                cells.append(Cell(_seen(row, group)))
            rows.append(tuple(cells))
        parts.append(Part(group.title, tuple(rows)))
    return Table(
        key=f"main-{found.key}",
        caption=f"mIoU (%) of networks trained on {found.title}",
        header=tuple(header),
        parts=tuple(parts),
        rules=rule_lines(board, [row.seeds for row in found.rows]),
        notes=main_notes(board, found, chosen=chosen, compared=compared),
        short="All columns: ranges, seeds needed, gap closed, selection on the target",
        about=about(found),
    )


def main_notes(board: Board, found: Comparison, *, chosen: bool, compared: bool) -> tuple[str, ...]:
    """Return notes on the rows of a comparison."""
    notes = []
    if compared:
        notes.append(
            "Differences are paired over the seeds that both have; in brackets their 95 % "
            f"intervals, {MADE_FROM[found.intervals]}. Seeds needed is for the difference on "
            f"{_label(found.primary, found)}: paired t-test, power 0.8, alpha 0.05."
        )
    elif found.baseline is None:
        notes.append("No row is the baseline, so there are no differences.")
    uneven = [row for row in found.rows if row.oracle_of is None and _lacking(row, found)]
    if uneven and compared:
        listed = "; ".join(
            f"{row.method} ({row.networks[0].backbone}) has {', '.join(map(str, row.seeds))}"
            for row in uneven
        )
        notes.append(f"Incomplete seeds: {listed}. Differences are over the common seeds alone.")
    oracles = sorted({row.oracle_of for row in found.rows if row.oracle_of})
    if oracles:
        notes.append(
            f"An oracle was trained on the training set of {' or '.join(oracles)} itself and is "
            "not ranked. Gap closed is (method - baseline) / (oracle - baseline), undefined where "
            "the oracle gains under 1 point."
        )
    if chosen:
        notes.append(
            "The last column takes each run's best validation on the target. It peeks at the "
            "target, is there for comparison with papers that do so, and is no result."
        )
    given = [row.method for row in found.rows if not all(n.selected for n in row.networks)]
    if given:
        notes.append(f"Evaluated as given, without a selection rule: {', '.join(given)}.")
    if len(found.pretrainings) > 1:
        notes.append(ACROSS)
    unknown = [row.method for row in found.rows if any(n.source is None for n in row.networks)]
    if unknown:
        notes.append(f"Trained on data that are not stated: {', '.join(unknown)}.")
    return tuple(notes)


def condition_tables(board: Board, found: Comparison, links: Links) -> list[Table]:
    """Return one table per domain: score, difference, seeds needed, gap closed, target-selected."""
    tables = []
    for domain in (*found.targets, *found.sources):
        having = [(g, [r for r in g.rows if domain in r.scores]) for g in found.groups]
        rows_of = [(group, rows) for group, rows in having if rows]
        target, gaps = domain in found.targets, domain in _with_oracle(found)
        header = ["Method", "mIoU (%)"]
        if found.baseline:
            header += [f"vs {found.baseline}", "Seeds needed"]
        header += ["Gap closed"] * gaps + ["Selected on the target"] * target
        parts = []
        for group, rows in rows_of:
            body = []
            for row in rows:
                cells = [Cell(_name(row)), _score(row, domain, group, links)]
                if found.baseline:
                    cells.append(_difference(row, domain, links, found))
                    cells.append(needed_cell(row.needed.get(domain), row.differences.get(domain)))
                if gaps:
                    cells.append(gap_cell(row.gaps.get(domain), links, row.networks))
                if target:
                    cells.append(score_cell(row.target_selected.get(domain), links, row.networks))
                body.append(tuple(cells))
            parts.append(Part(group.title, tuple(body)))
        role = "target" if target else "source"
        tables.append(
            Table(
                key=f"domain-{found.key}-{slug(domain)}",
                caption=f"{domain} ({role}), trained on {found.title}",
                header=tuple(header),
                parts=tuple(parts),
                rules=rule_lines(board, [row.seeds for _, rows in rows_of for row in rows]),
                short=f"{domain} ({role})",
                about=about(found),
            )
        )
    return tables


def class_tables(board: Board, found: Comparison, links: Links) -> list[Table]:
    """Return classes x methods for each domain and group."""
    tables = []
    for group in found.groups:
        for domain in (*found.targets, *found.sources):
            rows = [row for row in group.rows if domain in row.scores]
            if rows:
                tables.append(_class_table(board, found, group, domain, rows, links))
    return tables


def class_values(row: Row, domain: str) -> dict[str, SeedSummary]:
    """Return the IoU over seeds, percent, of each class that has one for every seed."""
    found = [_ious(network, domain) for network in row.networks]
    return {
        name: summarise(ious[name] for ious in found)
        for name in found[0]
        if all(name in ious for ious in found)
    }


def _class_table(
    board: Board, found: Comparison, group: Group, domain: str, rows: Sequence[Row], links: Links
) -> Table:
    values = [class_values(row, domain) for row in rows]
    names = rows[0].networks[0].stored.names(domain)
    body = []
    for name in names:
        stats = [some.get(name) for some in values]
        if not any(stats):
            continue
        ranked = [
            stat for row, stat in zip(rows, stats, strict=True) if stat and row.oracle_of is None
        ]
        cells = [
            score_cell(
                stat,
                links,
                row.networks,
                stat is not None and row.oracle_of is None and is_best(stat, ranked),
            )
            for row, stat in zip(rows, stats, strict=True)
        ]
        body.append((Cell(name), *cells))
    return Table(
        key=f"classes-{found.key}-{slug(group.title)}-{slug(domain)}",
        caption=f"IoU (%) by class on {domain}: {group.title}, trained on {found.title}",
        header=("Class", *(_name(row) for row in rows)),
        parts=(Part(None, tuple(body)),),
        rules=rule_lines(board, [row.seeds for row in rows]),
        short=domain,
        about=f"{group.title}, trained on {found.title}",
    )


def _ious(network: Network, domain: str) -> dict[str, float]:
    images = network.stored.domains[domain]
    counts, names = images.scored_counts.sum(axis=0), network.stored.names(domain)
    return scores(counts, names, scored=images.scored).IoU


def _score(row: Row, column: str, group: Group, links: Links) -> Cell:
    if column not in row.scores:
        return EMPTY
    others = [other.scores[column] for other in group.ranked if column in other.scores]
    best = row.oracle_of is None and is_best(row.scores[column], others)
    return score_cell(row.scores[column], links, row.networks, best)


def _difference(row: Row, column: str, links: Links, found: Comparison) -> Cell:
    if row.oracle_of is None and row.method == found.baseline:
        return Cell("baseline")
    return difference_cell(row.differences.get(column), links, row.networks)


def _compared(found: Comparison) -> list[str]:
    """Return the main table's columns with a difference: the ranking column and the sources."""
    return list(dict.fromkeys([found.primary, *found.sources]))


def _with_oracle(found: Comparison) -> list[str]:
    return [t for t in found.targets if any(t in row.gaps for row in found.rows)]


def _lacking(row: Row, found: Comparison) -> bool:
    """Tell whether a row's seeds differ from those of its network's baseline."""
    network = row.networks[0]
    shape = network.backbone, network.segmentor
    return any(
        one.method == found.baseline and one.seeds != row.seeds
        for group in found.groups
        if (group.backbone, group.segmentor) == shape
        for one in group.ranked
    )


def _name(row: Row) -> str:
    return row.method if row.oracle_of is None else f"{row.method}, oracle of {row.oracle_of}"


def _heading(column: str, found: Comparison) -> str:
    if column == TARGETS:
        return f"mean of {len(found.targets)} targets"
    return f"{column} ({'source' if column in found.sources else 'target'})"


def _label(column: str, found: Comparison) -> str:
    return f"mean of {len(found.targets)} targets" if column == TARGETS else column


def _seen(row: Row, group: Group) -> str:
    """Return whether a row has seen images of the target; an oracle was trained on them."""
    return "yes" if group.sees_target or row.oracle_of is not None else "no"
