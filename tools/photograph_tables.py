"""The tables of the plan `photographs`, from its kept results."""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import replace

from kept_tables import Kept, bold, difference_text, heads, place, scores_of, whole

from ibn_seg.leaderboard.comparison import Comparison
from ibn_seg.methods.all_methods import BASELINE, METHODS
from ibn_seg.report.marked_tables import Lines
from ibn_seg.report.scores import is_best
from ibn_seg.report.tables import number, stat_text
from ibn_seg.statistics import rank_correlation

# Methods of the ablations, by what they are compared with.
_ABLATIONS = {
    "IBN-a": ("IBN-a stage 1", "IBN-a and stem", "IBN-b"),
    "BN 1500": ("IBN-a 1500",),
}


def directions(kept: Kept) -> Lines:
    """Return the unseen target of each source in `photographs`: scores, and differences to BN.

    Sources whose trainings are not finished are left out.
    """
    methods = [row.method for row in kept.comparison("photographs").groups[0].ranked
               if row.method in METHODS]  # fmt: skip
    others = [method for method in methods if method != BASELINE]
    lines = [["trained on → tested on", *methods, *(f"{one} over {BASELINE}" for one in others)]]
    for found in finished(kept.comparisons("photographs")):
        group = found.groups[0]
        rows = {row.method: row for row in group.ranked if row.method in METHODS}
        for target in found.targets:
            stats = [row.scores[target] for row in rows.values()]
            scores = [bold(stat_text(stat), is_best(stat, stats)) for stat in stats]
            over = [difference_text(rows[method].differences.get(target)) for method in others]
            lines.append([f"{place(found.source)} → {place(target)}", *scores, *over])
    return lines


def photographs(kept: Kept) -> Lines:
    """Return the methods of the paper in `photographs`, trained on its first source."""
    found = kept.comparison("photographs")
    # Ablations do not compete for the best score.
    groups = [replace(group, rows=tuple(row for row in group.rows if row.method in METHODS))
              for group in found.groups]  # fmt: skip
    return whole(replace(found, groups=tuple(groups)), lambda group, row: True)


def photographs_ablations(kept: Kept) -> Lines:
    """Return the ablations of IBN-a in `photographs`, each compared with what it changes.

    Those that are not finished are left out.
    """
    lines: Lines = []
    trained = kept.board("photographs").methods
    for baseline in (one for one in _ABLATIONS if one in trained):
        found = kept.comparison("photographs", baseline)
        group, columns = found.groups[0], [*found.sources, found.primary]
        lines = lines or [["", *heads(found, columns), f"difference: {place(found.primary)}"]]
        rows = {row.method: row for row in group.rows}
        for method in (baseline, *(one for one in _ABLATIONS[baseline] if one in rows)):
            text = difference_text(rows[method].differences.get(found.primary))
            scores = [stat_text(rows[method].scores[column]) for column in columns]
            lines.append([method, *scores, f"{text} to {baseline}" if text else ""])
    return lines


def photographs_elsewhere(kept: Kept) -> Lines:
    """Return the networks of the other sources in `photographs`: their source and each target."""
    lines = [["", "source", "target", "over BN: source", "over BN: target"]]
    for found in finished(kept.comparisons("photographs"))[1:]:
        for group in found.groups:
            for row in group.ranked:
                where = f"{place(found.source)} → {place(found.primary)}, {row.method}"
                columns = [*found.sources, found.primary]
                over = [difference_text(row.differences.get(column)) for column in columns]
                lines.append([where, *scores_of(row, group, columns), *over])
    return lines


def photographs_ranks(kept: Kept) -> Lines:
    """Return whether each direction of `photographs` orders the methods as `embedded` does."""

    def scores(found: Comparison) -> dict[str, Sequence[float]]:
        rows = [row for row in found.groups[0].ranked if row.method in METHODS]
        return {row.method: row.scores[found.primary].values for row in rows}

    def order(methods: Mapping[str, Sequence[float]]) -> str:
        return ", ".join(sorted(methods, key=lambda name: -statistics.fmean(methods[name])))

    rendered = scores(kept.comparison("embedded"))
    lines = [["", "best first", "tau", "by chance"], ["rendered scenes", order(rendered), "", ""]]
    for found in finished(kept.comparisons("photographs")):
        real = scores(found)
        agreed = rank_correlation(rendered, real)
        interval = f"[{agreed.interval.low:.2f}, {agreed.interval.high:.2f}]"
        cells = [order(real), f"{agreed.tau:.2f} {interval}", f"{number(100 * agreed.chance)} %"]
        lines.append([f"{place(found.source)} → {place(found.primary)}", *cells])
    return lines


def finished(comparisons: Sequence[Comparison]) -> list[Comparison]:
    """Return the comparisons that have every method and seed of the first."""

    def seeds(found: Comparison) -> dict[str, int]:
        rows = found.groups[0].ranked
        return {row.method: len(row.networks) for row in rows if row.method in METHODS}

    first, *others = comparisons
    return [first, *(one for one in others if seeds(one) == seeds(first))]
