"""Computes what the report compares: scores over seeds, and differences to the baseline.

Values stay unrounded here; `tables` formats them.
"""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ibn_seg.methods.all_methods import BASELINE
from ibn_seg.report.runs import Run, order_methods, read_runs
from ibn_seg.statistics.summary import SeedSummary


@dataclass(frozen=True)
class Score:
    """mIoU of a method on a domain, percent.

    Args:
        domain: Name of the domain; for a mean, such as over the targets, a description of it.
        role: 'source', 'target', or 'mean' over the targets (without any, over the sources).
        stat: mIoU over seeds.
        best: Whether, at the shown precision, no other method is above and at least one is below.
    """

    domain: str
    role: str
    stat: SeedSummary
    best: bool


@dataclass(frozen=True)
class Difference:
    """A method minus the baseline, paired by seed, on the targets (without any, on the source).

    Args:
        baseline: The method compared with.
        seeds: Seeds that both have.
        stat: Differences of mIoU, points, in the order of `seeds`.
        method_mean: Mean mIoU of the method over `seeds`.
        baseline_mean: Mean mIoU of the baseline over `seeds`.
    """

    baseline: str
    seeds: tuple[int, ...]
    stat: SeedSummary
    method_mean: float
    baseline_mean: float

    @property
    def wins(self) -> int:
        """Number of seeds in which the method is above the baseline."""
        return sum(value > 0 for value in self.stat.values)


@dataclass(frozen=True)
class SummaryRow:
    """One method: its scores on every domain, its gap, and its distance to the baseline.

    Args:
        method: Name of the method.
        seeds: Training seeds, ascending.
        scores: Source first, then the targets, then the mean of those over the same classes if
            there are several.
        gap: Source mIoU minus the mean over targets; None unless both were evaluated.
        difference: Its difference to the baseline. None for the baseline itself, without a
            baseline, or without a common seed.
        baseline: Name of the baseline, None if it is not among the methods.
    """

    method: str
    seeds: tuple[int, ...]
    scores: tuple[Score, ...]
    gap: SeedSummary | None
    difference: Difference | None
    baseline: str | None

    @property
    def primary(self) -> Score:
        """The score that ranks methods: the mean over targets, or the only one, or the source."""
        for role in ("mean", "target"):
            if found := [score for score in self.scores if score.role == role]:
                return found[0]
        return self.scores[0]


@dataclass(frozen=True)
class ClassRow:
    """IoU of one class on one domain, by method; `stats` is None if no label has the class."""

    name: str
    stats: Mapping[str, SeedSummary] | None


def summary_rows(results: Sequence[Mapping[str, Any]]) -> list[SummaryRow]:
    """Return one row per method: BN, IBN-a, IBN-b, then the others in the given order.

    Args:
        results: Contents of result files.

    Raises:
        UserError: A result is incomplete, or the results are not of one experiment.
    """
    return rows_of_runs(read_runs(results))


def rows_of_runs(runs: Sequence[Run]) -> list[SummaryRow]:
    """Return one row per method of checked runs."""
    groups = group_by_method(runs)
    baseline = BASELINE if BASELINE in groups else None
    columns = {method: score_columns(group) for method, group in groups.items()}
    rows = []
    for method, group in groups.items():
        scores = tuple(
            Score(domain, role, stat, is_best(stat, [c[k][2] for c in columns.values()]))
            for k, (domain, role, stat) in enumerate(columns[method])
        )
        gaps = tuple(run.gap for run in group if run.gap is not None)
        difference = None
        if baseline and method != baseline:
            difference = paired_difference(group, groups[baseline])
        seeds = tuple(run.seed for run in group)
        gap = SeedSummary(gaps) if gaps else None
        rows.append(SummaryRow(method, seeds, scores, gap, difference, baseline))
    return rows


def group_by_method(runs: Sequence[Run]) -> dict[str, list[Run]]:
    """Return the runs of each method, by seed; methods in the order of the report."""
    methods = order_methods([run.method for run in runs])
    return {
        method: sorted((run for run in runs if run.method == method), key=lambda run: run.seed)
        for method in methods
    }


def paired_difference(group: Sequence[Run], baseline: Sequence[Run]) -> Difference | None:
    """Return method minus baseline over their common seeds; None without a common seed."""
    base = {run.seed: run for run in baseline}
    pairs = [(run, base[run.seed]) for run in group if run.seed in base]
    if not pairs:
        return None
    return Difference(
        baseline=baseline[0].method,
        seeds=tuple(run.seed for run, _ in pairs),
        stat=SeedSummary(tuple(run.score - other.score for run, other in pairs)),
        method_mean=statistics.fmean(run.score for run, _ in pairs),
        baseline_mean=statistics.fmean(other.score for _, other in pairs),
    )


def class_rows(runs: Sequence[Run], domain: str, classes: Sequence[str]) -> list[ClassRow]:
    """Return the per-class IoU of every method on a domain.

    Args:
        runs: Runs of one experiment.
        domain: One of their domains.
        classes: Order of the classes. Classes that the runs do not mention are left out. Classes
            that are not listed come last.
    """
    first = runs[0].domains[domain]
    known = [*first.iou, *first.absent]
    names = [name for name in classes if name in known]
    names += [name for name in known if name not in names]
    groups = group_by_method(runs)
    return [
        ClassRow(
            name,
            {
                method: SeedSummary(tuple(run.domains[domain].iou[name] for run in group))
                for method, group in groups.items()
            }
            if name in first.labelled
            else None,
        )
        for name in names
    ]


def by_difference(rows: Sequence[ClassRow], method: str, baseline: str | None) -> list[ClassRow]:
    """Return classes by a method's IoU minus the baseline's, the largest first, absent ones last.

    Args:
        rows: The classes.
        method: The method.
        baseline: The baseline; None, or the method itself, sorts by the method's IoU.
    """

    def key(row: ClassRow) -> float:
        base = 0.0 if baseline in (None, method) else row.stats[baseline].mean
        return base - row.stats[method].mean

    present = [row for row in rows if row.stats is not None]
    return [*sorted(present, key=key), *(row for row in rows if row.stats is None)]


def score_columns(group: Sequence[Run]) -> list[tuple[str, str, SeedSummary]]:
    """Return (domain, role, mIoU) of each score column of a method."""
    first = group[0]
    columns = [
        (
            name,
            "source" if name in first.sources else "target",
            SeedSummary(tuple(run.domains[name].miou for run in group)),
        )
        for name in first.domains
    ]
    kind = "targets" if first.targets else "sources"
    # Scores over different classes have no mean.
    if len(first.compared) > 1:
        stat = SeedSummary(tuple(run.score for run in group))
        columns.append((f"{len(first.compared)} {kind}", "mean", stat))
    return columns


def is_best(stat: SeedSummary, others: Sequence[SeedSummary]) -> bool:
    """Return whether `stat` is the highest shown figure; equal figures share first place."""
    shown = [round(other.mean, 1) for other in others]
    return round(stat.mean, 1) == max(shown) and min(shown) < max(shown)
