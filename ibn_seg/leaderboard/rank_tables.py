"""Makes the table that says whether comparisons order methods alike."""

import itertools
from collections.abc import Iterator, Sequence

from ibn_seg.leaderboard.comparison import TARGETS, Comparison, Group
from ibn_seg.report.table import Part, Table
from ibn_seg.report.tables import Cell, number
from ibn_seg.statistics import LEAST_METHODS, RankCorrelation, rank_correlation

RULES = (
    "Kendall's tau of the methods' mean scores: 1 means the same order, -1 the opposite. In "
    "brackets: the 95 % interval over drawn seeds, given these methods.",
    "By chance: how often methods in a random order would agree as well. With three methods it is "
    "17 % at best.",
)


def rank_table(comparisons: Sequence[Comparison]) -> Table | None:
    """Return the rank correlations of methods between comparisons; None if there are none.

    Each comparison ranks methods by its own column: the mean of its targets, or its only target.
    Only methods with the same backbone, segmentor and pretraining are compared.
    """
    parts = [
        (Cell(_place(one)), Cell(_place(other)), Cell(group.title), Cell(", ".join(found.methods)),
         _tau_cell(found), Cell(f"{number(100 * found.chance)} %", value=found.chance))
        for one, other in itertools.combinations(comparisons, 2)
        for group, found in _correlations(one, other)
    ]  # fmt: skip
    if not parts:
        return None
    return Table(
        key="ranks",
        caption="Do comparisons order methods alike?",
        header=("Comparison", "Other comparison", "Network", "Methods", "Tau", "By chance"),
        parts=(Part(None, tuple(parts)),),
        rules=RULES,
        names=4,
    )


def _correlations(one: Comparison, other: Comparison) -> Iterator[tuple[Group, RankCorrelation]]:
    """Yield each network that two comparisons share, with the rank correlation of its methods."""
    theirs = {_network(group): group for group in other.groups}
    for group in one.groups:
        twin = theirs.get(_network(group))
        if twin is None:
            continue
        sides = _scores(group, one), _scores(twin, other)
        if len(set(sides[0]) & set(sides[1])) >= LEAST_METHODS:
            yield group, rank_correlation(*sides)


def _network(group: Group) -> tuple[str, str, str, bool]:
    return group.backbone, group.segmentor, group.pretraining, group.sees_target


def _scores(group: Group, found: Comparison) -> dict[str, tuple[float, ...]]:
    """Return each method's scores over seeds in the column that ranks methods."""
    return {
        row.method: row.scores[found.primary].values
        for row in group.ranked
        if found.primary in row.scores
    }


def _place(found: Comparison) -> str:
    where = f"mean of {len(found.targets)} targets" if found.primary == TARGETS else found.primary
    return f"{found.title} -> {where}"


def _tau_cell(found: RankCorrelation) -> Cell:
    interval = found.interval
    detail = f"[{interval.low:.2f}, {interval.high:.2f}]"
    return Cell(
        f"{found.tau:.2f}",
        detail="n = 1, no interval" if interval.images_only else detail,
        value=found.tau,
    )
