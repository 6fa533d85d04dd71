"""Numbers of the report: grouped over seeds, compared with the baseline, and formatted.

Values stay unrounded in the rows; the only place that rounds is the formatting here, to one
decimal. The HTML report, the terminal and Markdown all show the cells made by this module.
"""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ibn_seg.report.runs import BASELINE, Run, order_methods, read_runs

if TYPE_CHECKING:
    from rich.table import Table

NOTHING = "-"


@dataclass(frozen=True)
class Stat:
    """A quantity over seeds.

    Args:
        values: One unrounded value per seed.
    """

    values: tuple[float, ...]

    @property
    def n(self) -> int:
        """Number of seeds."""
        return len(self.values)

    @property
    def mean(self) -> float:
        """Mean over seeds."""
        return statistics.fmean(self.values)

    @property
    def std(self) -> float | None:
        """Sample standard deviation (n - 1); None for a single seed."""
        return statistics.stdev(self.values) if self.n > 1 else None


@dataclass(frozen=True)
class Score:
    """mIoU of a method on a domain, percent.

    Args:
        domain: Name of the domain; for the mean over targets, what it is the mean of.
        role: 'source', 'target', or 'mean' over the targets.
        stat: mIoU over seeds.
        best: Whether no other method is above at the precision shown, and one is below.
    """

    domain: str
    role: str
    stat: Stat
    best: bool


@dataclass(frozen=True)
class Difference:
    """A method minus the baseline, paired by seed, on the targets (or the source without targets).

    Args:
        baseline: The method compared with.
        seeds: Seeds that both were trained with.
        stat: Differences of mIoU, points, in the order of `seeds`.
        method_mean: Mean mIoU of the method over `seeds`.
        baseline_mean: Mean mIoU of the baseline over `seeds`.
    """

    baseline: str
    seeds: tuple[int, ...]
    stat: Stat
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
        scores: Source first, then the targets, then their mean if there are several.
        gap: Source mIoU minus the mean over targets; None unless both were evaluated.
        difference: None for the baseline, without one, or without a common seed.
        baseline: Name of the baseline, None if it is not among the methods.
    """

    method: str
    seeds: tuple[int, ...]
    scores: tuple[Score, ...]
    gap: Stat | None
    difference: Difference | None
    baseline: str | None

    @property
    def primary(self) -> Score:
        """What methods are compared by: the (mean over) targets, or the source without a target."""
        return self.scores[-1]


@dataclass(frozen=True)
class ClassRow:
    """IoU of one class on one domain, by method; `stats` is None if no label has the class."""

    name: str
    stats: Mapping[str, Stat] | None


@dataclass(frozen=True)
class Cell:
    """One formatted table cell."""

    text: str
    best: bool = False


@dataclass(frozen=True)
class TextTable:
    """A formatted table: the first column holds names, the others numbers."""

    header: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]


def summary_rows(results: Sequence[Mapping[str, Any]]) -> list[SummaryRow]:
    """Return one row per method: BN, IBN-a, IBN-b, then the others as given.

    Args:
        results: Contents of result files.

    Raises:
        UserError: A result is incomplete, or the results are not of one experiment.
    """
    return rows_of_runs(read_runs(results))


def rows_of_runs(runs: Sequence[Run]) -> list[SummaryRow]:
    """Return one row per method of runs that were read."""
    groups = group_by_method(runs)
    baseline = BASELINE if BASELINE in groups else None
    columns = {method: _columns(group) for method, group in groups.items()}
    rows = []
    for method, group in groups.items():
        scores = tuple(
            Score(domain, role, stat, _is_best(stat, [c[k][2] for c in columns.values()]))
            for k, (domain, role, stat) in enumerate(columns[method])
        )
        gaps = tuple(run.gap for run in group if run.gap is not None)
        difference = None
        if baseline and method != baseline:
            difference = paired_difference(group, groups[baseline])
        seeds = tuple(run.seed for run in group)
        gap = Stat(gaps) if gaps else None
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
    """Return method minus baseline over the seeds that both have; None without such a seed."""
    base = {run.seed: run for run in baseline}
    pairs = [(run, base[run.seed]) for run in group if run.seed in base]
    if not pairs:
        return None
    return Difference(
        baseline=baseline[0].method,
        seeds=tuple(run.seed for run, _ in pairs),
        stat=Stat(tuple(run.score - other.score for run, other in pairs)),
        method_mean=statistics.fmean(run.score for run, _ in pairs),
        baseline_mean=statistics.fmean(other.score for _, other in pairs),
    )


def class_rows(runs: Sequence[Run], domain: str, classes: Sequence[str]) -> list[ClassRow]:
    """Return the per-class IoU of every method on a domain.

    Args:
        runs: Runs of one experiment.
        domain: One of their domains.
        classes: Order of the classes; those that the runs do not mention are left out, those not
            listed come last.
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
                method: Stat(tuple(run.domains[domain].iou[name] for run in group))
                for method, group in groups.items()
            }
            if name in first.labelled
            else None,
        )
        for name in names
    ]


def seeds_note(rows: Sequence[SummaryRow]) -> str:
    """Return the sentence that says over how many seeds the numbers are."""
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
        cells += [number(stat.mean) for _, _, stat in _columns([run])]
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
            (Cell(row.name), *(Cell(stat_text(stat), _is_best(stat, stats)) for stat in stats))
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
        # Names may hold brackets, which rich would read as markup.
        table.add_column(Text(name), justify="right" if k else "left")
    for row in content.rows:
        table.add_row(*(Text(cell.text, style="bold" if cell.best else "") for cell in row))
    return table


def markdown_table(rows: Sequence[SummaryRow]) -> str:
    """Return the summary as a Markdown table, the best of each domain in bold."""
    content = summary_table(rows)
    lines = ["| " + " | ".join(map(_markdown, content.header)) + " |"]
    lines.append("|" + "|".join(["---"] + ["---:"] * (len(content.header) - 1)) + "|")
    for row in content.rows:
        cells = (f"**{_markdown(c.text)}**" if c.best else _markdown(c.text) for c in row)
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def number(value: float) -> str:
    """Format percent or points with one decimal."""
    # Adding zero turns the -0.0 that small negative values round to into 0.0.
    return f"{round(value, 1) + 0.0:.1f}"


def signed(value: float) -> str:
    """Format a difference with one decimal and its sign; no sign for a difference of 0.0."""
    return f"{'+' if sign(value) > 0 else ''}{number(value)}"


def sign(value: float) -> int:
    """Return 1, 0 or -1: the sign of a difference as it is shown."""
    shown = round(value, 1)
    return (shown > 0) - (shown < 0)


def stat_text(stat: Stat) -> str:
    """Format mean and standard deviation, or the one value of a single seed."""
    spread = "" if stat.std is None else f" ± {number(stat.std)}"
    return f"{number(stat.mean)}{spread}"


def difference_text(row: SummaryRow) -> str:
    """Format the distance of a method to the baseline."""
    if row.method == row.baseline:
        return "baseline"
    if row.difference is None:
        return "no common seed"
    stat = row.difference.stat
    spread = "" if stat.std is None else f" ± {number(stat.std)}"
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


def _columns(group: Sequence[Run]) -> list[tuple[str, str, Stat]]:
    """Return (domain, role, mIoU) of each score column of a method."""
    first = group[0]
    columns = [
        (
            name,
            "source" if name == first.source else "target",
            Stat(tuple(run.domains[name].miou for run in group)),
        )
        for name in first.domains
    ]
    if len(first.targets) > 1:
        stat = Stat(tuple(run.targets_miou for run in group))
        columns.append((f"{len(first.targets)} targets", "mean", stat))
    return columns


def _is_best(stat: Stat, others: Sequence[Stat]) -> bool:
    """Whether `stat` is the highest as the reader sees it; equal figures share the place."""
    shown = [round(other.mean, 1) for other in others]
    return round(stat.mean, 1) == max(shown) and min(shown) < max(shown)


def _compared_on(row: SummaryRow) -> str:
    return {"mean": "Targets"}.get(row.primary.role, row.primary.role.capitalize())


def _markdown(text: str) -> str:
    return " ".join(text.replace("\\", "\\\\").replace("|", "\\|").split())
