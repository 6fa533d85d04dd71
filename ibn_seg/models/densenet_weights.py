"""The form of DenseNet checkpoints."""

import re

import torch

from ibn_seg.errors import UserError
from ibn_seg.models.weight_rules import Described, WeightRules, Weights, some

_LAYER = re.compile(r"features\.denseblock(\d)\.denselayer(\d+)\.")
# torchvision's published files were saved under older names: `norm.1` is today's `norm1`.
_OLD_NAME = re.compile(r"(\.denselayer\d+\.(?:norm|conv))\.([12]\.)")


class DenseNetWeights(WeightRules):
    """Checkpoints of DenseNet, with torchvision's names."""

    def rename(self, weights: Weights) -> dict[str, torch.Tensor]:
        """Rename keys of torchvision's published files to their current names."""
        return {_OLD_NAME.sub(r"\1\2", key): value for key, value in weights.items()}

    def check(self, model: Described, weights: Weights) -> None:
        """Raise if the dense blocks in the checkpoint belong to another network."""
        counts = layer_counts(weights)
        if not any(counts):
            raise UserError(
                "the checkpoint holds no DenseNet backbone,"
                f" its keys start with {some(list(weights))}",
                "use weights of this architecture, with names like"
                " features.denseblock1.denselayer1.conv1.weight",
            )
        if counts != model.stage_blocks:
            raise UserError(
                f"the checkpoint has dense blocks of {list(counts)} layers,"
                f" depth {model.depth} has {list(model.stage_blocks)}",
                f"give weights of depth {model.depth}",
            )


def layer_counts(weights: Weights) -> tuple[int, ...]:
    """Return the number of layers in each of the four dense blocks."""
    counts = [0, 0, 0, 0]
    for key in weights:
        match = _LAYER.match(key)
        if match and 1 <= int(match[1]) <= 4:
            counts[int(match[1]) - 1] = max(counts[int(match[1]) - 1], int(match[2]))
    return tuple(counts)
