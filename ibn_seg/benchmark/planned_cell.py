"""A cell: one piece of a plan's work, and what tables and files say of it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mmengine.config import Config

TRAINING = "train"
# A training of re-identification, with its searches.
SEARCHING = "reid"
# The tasks that train a network.
TRAINED = (TRAINING, SEARCHING)
_FACTS = (
    "id", "task", "method", "backbone", "segmentor", "source", "targets", "seed", "iterations",
    "share", "start", "needs",
)  # fmt: skip


@dataclass(frozen=True)
class Cell:
    """One piece of work: a training, or a measurement of a trained network.

    Attributes:
        id: The first 12 hexadecimal digits of the SHA-256 of `identity` as sorted JSON.
        method: Name of the method.
        backbone: Name of the backbone.
        segmentor: Name of the segmentor; for re-identification that of the recipe.
        source: The training domains, joined by '+'.
        targets: The other evaluated data sets, by their names in the plan or config.
        seed: Training seed.
        iterations: Training iterations; for re-identification epochs.
        identity: The settings that change the cell's numbers.
        config: The config to train or measure, with the data roots of this machine.
        task: 'train', 'reid', or the name of an analysis.
        needs: Ids of the cells whose output it needs. They come earlier in a plan's list.
        share: Percent of the training set used for training; None is all of it.
        start: For a transfer 'source' (from the network of `needs`) or 'scratch'; None otherwise.
        options: Options of an analysis.
    """

    id: str
    method: str
    backbone: str
    segmentor: str
    source: str
    targets: tuple[str, ...]
    seed: int
    iterations: int
    identity: Mapping[str, Any] = field(repr=False, compare=False)
    config: "Config" = field(repr=False, compare=False)
    task: str = TRAINING
    needs: tuple[str, ...] = ()
    share: float | None = None
    start: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict, compare=False)

    @property
    def label(self) -> str:
        """A short name for readers."""
        what = "" if self.task in TRAINED else f"{self.task} of "
        part = "" if self.share is None else f" {self.share:g} % from {self.start}"
        recipe = f" {self.segmentor}" if self.task == SEARCHING else ""
        return f"{what}{self.method} {self.backbone} {self.source}{recipe}{part} seed {self.seed}"

    @property
    def kind(self) -> tuple:
        """The common properties of cells that take about the same time."""
        return (
            self.task, self.backbone, self.segmentor, self.source, self.targets, self.iterations
        )  # fmt: skip

    def facts(self) -> dict[str, Any]:
        """Return the cell's entry in a JSON file."""
        facts = {name: getattr(self, name) for name in _FACTS}
        if self.task == SEARCHING:
            # How many iterations an epoch has is known from the pictures; the result says it.
            facts["epochs"] = facts.pop("iterations")
        return {**facts, "targets": list(self.targets), "needs": list(self.needs)}
