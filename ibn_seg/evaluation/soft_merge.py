"""Predict groups of classes by the sum of their probabilities (MSeg, Lambert et al., CVPR 2020)."""

import torch
from torch import Tensor

from ibn_seg.datasets.class_map import ClassMap


def soft_merge(logits: Tensor, mapping: ClassMap) -> Tensor:
    """Return the group with the largest sum of probabilities at each pixel.

    Args:
        logits: (C, H, W).
        mapping: The map from C classes to G groups. Classes without group have no say.

    Returns:
        (H, W) int64, the first class of the group, by which `ClassMap` finds the group again.
    """
    groups = torch.zeros(len(mapping.groups), len(mapping.classes), device=logits.device)
    for at, group in enumerate(mapping.group_of):
        if group is not None:
            groups[group, at] = 1
    sums = torch.einsum("gc,chw->ghw", groups, logits.float().softmax(dim=0))
    first = torch.tensor(
        [mapping.group_of.index(g) if g in mapping.group_of else 0 for g in range(len(groups))],
        device=logits.device,
    )
    return first[sums.argmax(dim=0)]
