"""Predict groups of classes by the sum of their probabilities (MSeg, Lambert et al., CVPR 2020)."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from ibn_seg.datasets.class_map import ClassMap
from ibn_seg.errors import UserError


def soft_merge(logits: Tensor, mapping: ClassMap) -> Tensor:
    """Return the group with the largest sum of probabilities at each pixel.

    Args:
        logits: (C, H, W); or (1, H, W), mmseg's probabilities of the second of two classes.
        mapping: The map from C classes to G groups. Classes without group have no say.

    Returns:
        (H, W) int64, the first class of the group, by which `ClassMap` finds the group again.
    """
    groups = torch.zeros(len(mapping.groups), len(mapping.classes), device=logits.device)
    for at, group in enumerate(mapping.group_of):
        if group is not None:
            groups[group, at] = 1
    single = len(logits) == 1 and len(mapping.classes) == 2
    chances = torch.cat([1 - logits, logits]).float() if single else logits.float().softmax(dim=0)
    sums = torch.einsum("gc,chw->ghw", groups, chances)
    first = torch.tensor(
        [mapping.group_of.index(g) if g in mapping.group_of else 0 for g in range(len(groups))],
        device=logits.device,
    )
    return first[sums.argmax(dim=0)]


def logits_of(sample: Mapping[str, Any]) -> Any:
    """Return the logits of mmseg's sample, (C, H, W).

    Raises:
        UserError: It has none.
    """
    if "seg_logits" not in sample:
        raise UserError(
            "merge 'soft': the network's predictions have no logits", "choose merge 'hard'"
        )
    return sample["seg_logits"]["data"]
