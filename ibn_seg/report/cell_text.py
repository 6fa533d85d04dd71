"""The leaderboard's text for numbers and rules: wording and rounding that its tables share."""

from collections.abc import Iterable, Sequence

from ibn_seg.report.board import Board
from ibn_seg.report.links import Links, Run
from ibn_seg.report.tables import NOTHING, Cell, number, signed, stat_text
from ibn_seg.statistics import (
    OVER_BOTH,
    OVER_SEEDS,
    GapClosed,
    PairedDifference,
    SeedsNeeded,
    SeedSummary,
)

_RULES = {
    "last": "last checkpoint",
    "best-on-source-validation": "checkpoint that is best on the source's validation images",
}
EMPTY = Cell(NOTHING)


def rule_lines(
    board: Board, rows: Iterable[Sequence[int]], *, ranges: bool = True
) -> tuple[str, ...]:
    """Return the header of every table: selection, protocol, seeds and spread.

    Args:
        board: Everything that the leaderboard has read.
        rows: The seeds of each table row.
        ranges: Whether the table has the range over few seeds.
    """
    seeds = [tuple(some) for some in rows]
    counts = sorted({len(some) for some in seeds})
    every = sorted({seed for some in seeds for seed in some})
    rule = _RULES.get(board.selection, board.selection or "checkpoint as given")
    listed = f"{' or '.join(map(str, counts))} ({', '.join(map(str, every))})"
    lines = [f"Selection: {rule}", f"protocol: {board.protocol}", f"seeds: {listed}"]
    if counts and counts[-1] > 1:
        lines.append("mean ± standard deviation (n - 1)")
        if ranges and any(SeedSummary((0.0,) * n).few for n in counts if n > 1):
            lines.append("few seeds: the range over seeds is given too")
    if 1 in counts:
        lines.append("n = 1: one seed has no spread and no interval")
    return ("; ".join(lines) + ".",)


def score_cell(
    stat: SeedSummary | None, links: Links, runs: Sequence[Run], best: bool = False
) -> Cell:
    """Return a score: mean and deviation, and with few seeds the range."""
    if stat is None:
        return EMPTY
    where, title = links.of(runs)
    return Cell(stat_text(stat), best, spread_text(stat), stat.mean, where, title)


def spread_text(stat: SeedSummary) -> str:
    """Return the range of a few seeds, 'n = 1' for one seed, and nothing for many."""
    if stat.n == 1:
        return "n = 1"
    return f"{number(stat.low)} to {number(stat.high)}" if stat.few else ""


def difference_cell(
    found: PairedDifference | None,
    links: Links,
    runs: Sequence[Run],
    best: bool = False,
) -> Cell:
    """Return a paired difference with its interval.

    Args:
        found: The difference, or None.
        links: The links of numbers.
        runs: The runs that it was measured on.
        best: Whether it is the largest difference.
    """
    if found is None:
        return EMPTY
    where, title = links.of(runs)
    text, detail = signed(found.per_seed.mean), interval_text(found)
    if len(found.seeds) < len(runs):
        detail += f", seeds {', '.join(map(str, found.seeds))}"
    return Cell(text, best, detail, found.per_seed.mean, where, title)


# How intervals of differences are made, for notes below tables.
MADE_FROM = {
    OVER_BOTH: "percentiles of a two-level bootstrap over seeds and images, 2,000 draws",
    OVER_SEEDS: "Student's over seeds: these images are no sample of others",
}


def interval_text(found: PairedDifference) -> str:
    """Return the interval of a difference; one seed has none."""
    if found.interval.images_only:
        return "n = 1, no interval"
    return f"[{signed(found.interval.low)}, {signed(found.interval.high)}]"


def gap_cell(gap: GapClosed | None, links: Links, runs: Sequence[Run]) -> Cell:
    """Return the gap closed, or why it is undefined."""
    if gap is None:
        return EMPTY
    where, title = links.of(runs)
    if gap.percent is None:
        return Cell("undefined", detail=gap.reason or "", href=where, title=title)
    text, detail = f"{number(gap.percent)} %", gap.reason or ""
    if gap.interval is not None:
        low, high = number(gap.interval.low), number(gap.interval.high)
        one = gap.interval.images_only
        detail = "n = 1, no interval" if one else f"[{low}, {high}]"
    elif len(gap.seeds) == 1:
        detail = "n = 1, no interval"
    return Cell(text, False, detail, gap.percent, where, title)


def needed_cell(needed: SeedsNeeded | None, found: PairedDifference | None) -> Cell:
    """Return the seeds needed to detect a difference, or why no number exists (as for one seed)."""
    if needed is None or found is None or len(found.seeds) == 1:
        return EMPTY
    if needed.seeds is None:
        return Cell(NOTHING, detail=needed.reason or "")
    return Cell(str(needed.seeds), value=float(needed.seeds))


def significant(value: float) -> str:
    """Format a quantity of any size with three significant digits, never as a power of ten."""
    if value == 0:
        return "0"
    text = f"{value:.3g}"
    return f"{float(text):.10f}".rstrip("0").rstrip(".") if "e" in text else text
