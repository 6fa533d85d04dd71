"""What a leaderboard compares: the methods of a source, with scores and differences."""

from dataclasses import dataclass, field

from ibn_seg.leaderboard.pretraining_groups import title_end
from ibn_seg.report.board import Network
from ibn_seg.report.table import slug
from ibn_seg.statistics import OVER_BOTH, GapClosed, PairedDifference, SeedsNeeded, SeedSummary

# The column of the mean over all targets. No domain has this name.
TARGETS = "mean of targets"
# The column that keeps methods at test time apart, where there are any.
SEES_TARGET = "sees target"


@dataclass(frozen=True, eq=False)
class Row:
    """One method with one backbone and segmentor.

    Args:
        method: Its name.
        networks: One per seed, by seed.
        scores: mIoU over seeds by column: the domains, and `TARGETS`; percent.
        target_selected: The same at the checkpoint that is best on the column itself.
        differences: Method minus baseline by column; empty for the baseline or without one.
        needed: Number of seeds that would detect the difference, by column.
        gaps: Gap closed by target; empty without an oracle.
        oracle_of: The target whose training set it was trained on; None if it is not an oracle.
    """

    method: str
    networks: tuple[Network, ...]
    scores: dict[str, SeedSummary]
    target_selected: dict[str, SeedSummary]
    differences: dict[str, PairedDifference] = field(default_factory=dict)
    needed: dict[str, SeedsNeeded] = field(default_factory=dict)
    gaps: dict[str, GapClosed] = field(default_factory=dict)
    oracle_of: str | None = None

    @property
    def seeds(self) -> tuple[int, ...]:
        """The training seeds."""
        return tuple(network.seed for network in self.networks)


@dataclass(frozen=True, eq=False)
class Group:
    """The methods with one backbone, segmentor and pretraining that compete with each other.

    Args:
        backbone: The backbone.
        segmentor: The segmentor.
        pretraining: The data of the first weights; 'none' without.
        rows: The methods.
        sees_target: Whether they adapt to images of the target at test time. Such methods have a
            group of their own, and never rank among others.
        apart: Whether its comparison has groups of other pretraining too.
    """

    backbone: str
    segmentor: str
    pretraining: str
    rows: tuple[Row, ...]
    sees_target: bool = False
    apart: bool = False

    @property
    def title(self) -> str:
        """Backbone and segmentor, and what sets the methods apart from others."""
        title = f"{self.backbone}, {self.segmentor}{title_end(self.pretraining, self.apart)}"
        return f"{title}, adapted to images of the target" if self.sees_target else title

    @property
    def ranked(self) -> tuple[Row, ...]:
        """The competing rows: all except the oracles."""
        return tuple(row for row in self.rows if row.oracle_of is None)


@dataclass(frozen=True, eq=False)
class Comparison:
    """All networks of one source.

    Args:
        source: The training domains, joined by '+'.
        sources: The evaluated training domains.
        targets: The other evaluated domains.
        groups: The rows by backbone and segmentor.
        baseline: The baseline method; None if it is not among the methods.
        over: The classes of the scores in words, if the source has comparisons over others too or
            its own labels have others.
        intervals: What intervals tell about, one of `ibn_seg.statistics.INTERVALS`.
    """

    source: str
    sources: tuple[str, ...]
    targets: tuple[str, ...]
    groups: tuple[Group, ...]
    baseline: str | None
    over: str | None = None
    intervals: str = OVER_BOTH

    @property
    def key(self) -> str:
        """The start of the names of its tables."""
        return slug(f"{self.source} {self.over or ''}")

    @property
    def title(self) -> str:
        """The training domains, and the classes if they are not those of all domains."""
        source = self.source or "data that are not stated"
        return f"{source}, over {self.over}" if self.over else source

    @property
    def primary(self) -> str:
        """The column that ranks methods."""
        if len(self.targets) > 1:
            return TARGETS
        return self.targets[0] if self.targets else self.sources[0]

    @property
    def columns(self) -> tuple[str, ...]:
        """Sources, targets, and their mean if there are several."""
        return (*self.sources, *self.targets, *([TARGETS] if len(self.targets) > 1 else []))

    @property
    def pretrainings(self) -> tuple[str, ...]:
        """The data of the first weights of all groups."""
        return tuple(dict.fromkeys(group.pretraining for group in self.groups))

    @property
    def some_see_target(self) -> bool:
        """Whether some methods adapt to images of the target."""
        return any(group.sees_target for group in self.groups)

    @property
    def rows(self) -> tuple[Row, ...]:
        """The rows of all groups."""
        return tuple(row for group in self.groups for row in group.rows)
