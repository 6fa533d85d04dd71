"""The family-specific rules for fitting a checkpoint to a network."""

import abc
from collections.abc import Iterable, Mapping
from typing import Protocol

import torch

Weights = Mapping[str, torch.Tensor]


class Described(Protocol):
    """What the rules of every family read from a network."""

    classifier_name: str
    stage_blocks: tuple[int, ...]
    depth: int


class WeightRules(abc.ABC):
    """The form of one family's checkpoints; see `weights.adapt_state_dict`."""

    def rename(self, weights: Weights) -> dict[str, torch.Tensor]:
        """Return `weights` under the names of this package."""
        return dict(weights)

    @abc.abstractmethod
    def check(self, model: Described, weights: Weights) -> None:
        """Raise a `UserError` if `weights` belong to another network."""

    def unused(self, model: Described) -> Iterable[str]:
        """Return modules of the family's checkpoints that `model` was built without."""
        return [] if hasattr(model, model.classifier_name) else [model.classifier_name]

    def optional(self, model: Described) -> Iterable[str]:
        """Return modules of `model` that ordinary checkpoints of the family do not have."""
        return []

    def hint(self, model: Described, weights: Weights, target: Weights) -> str:
        """Return the most likely remedy that makes `weights` fit a network that takes `target`."""
        have, need = instance_share(weights), instance_share(target)
        if have is not None and need is not None and have != need:
            return f"its IBN ratio is {have:.3g}, here {need:.3g}: set ibn_ratio"
        return "use weights of this architecture"


def instance_share(weights: Weights) -> float | None:
    """Return the share of instance-normalised channels in the first `IBN` of a network.

    Returns:
        None if it has none.
    """
    end = ".IN.weight"
    for key, value in weights.items():
        batch = weights.get(f"{key.removesuffix(end)}.BN.weight") if key.endswith(end) else None
        if batch is not None:
            return len(value) / (len(value) + len(batch))
    return None


def some(names: list[str]) -> str:
    """Return the first names of a list."""
    return ", ".join(names[:3]) + (f", ... ({len(names) - 3} more)" if len(names) > 3 else "")
