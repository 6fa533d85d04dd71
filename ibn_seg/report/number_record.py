"""One number for other programs, with its owner: a line of the leaderboard's CSV."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from ibn_seg.statistics import Interval, PairedDifference, SeedSummary


@dataclass(frozen=True)
class Record:
    """One CSV line: an unrounded number and its owner. A field without meaning is empty.

    Args:
        quantity: 'miou', 'miou_target_selected', 'difference', 'gap_closed', 'class_iou',
            'published_miou', or an analysis's quantity such as 'retention'.
        unit: 'percent', 'points', 'ms' or nothing.
        source: Training domains.
        backbone: The backbone.
        segmentor: The segmentor.
        pretraining: The data of the first weights; 'none' without.
        method: The method.
        role: 'method'; 'test time', for one that adapts to images of the target; 'oracle' or
            'published'.
        baseline: The method that a difference is measured from.
        domain: The domain, or 'mean of targets'. For a divergence, the pair of sides.
        condition: Class, start and share, or the conditions of an analysis, such as corruption and
            severity.
        seed: One training seed; empty for a value over seeds.
        value: The number, or its mean over seeds.
        sd: Standard deviation over seeds (n - 1).
        low: Lower end of the 95 % interval.
        high: Its upper end.
        n: Number of seeds.
        seeds_needed: Number of seeds that would detect the difference.
        remark: Why there is no value or interval, or the citation of a published figure.
        protocol: The evaluation protocol.
        selection: The rule that chose the checkpoint.
        result: The result file of a single seed's number.
        command: The command that repeats its run.
    """

    quantity: str
    unit: str = "percent"
    source: str = ""
    backbone: str = ""
    segmentor: str = ""
    pretraining: str = ""
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


def role_of(row: Any) -> str:
    """Return the role of a row of a table that is no oracle.

    Args:
        row: It has `sees_target`, whether its method adapts to images of the target.
    """
    return "test time" if row.sees_target else "method"


def over_seeds(
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


def difference_record(
    quantity: str, found: PairedDifference, facts: dict[str, Any], **more: Any
) -> Record:
    """Return a paired difference as one record, in points."""
    low, high = ends_of(found.interval)
    return Record(
        quantity, **{**facts, **more, "unit": "points"}, value=found.per_seed.mean,
        sd="" if found.per_seed.sd is None else found.per_seed.sd, low=low, high=high,
        n=len(found.seeds), remark=f"seeds {', '.join(map(str, found.seeds))}",
    )  # fmt: skip


def ends_of(interval: Interval | None) -> tuple[float | str, float | str]:
    """Return the ends of an interval; one seed has none."""
    if interval is None or interval.images_only:
        return "", ""
    return interval.low, interval.high
