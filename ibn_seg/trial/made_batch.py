"""Makes a synthetic batch of pictures for a segmentor of mmseg."""

from collections.abc import Mapping
from typing import Any

import torch
from mmengine.structures import PixelData
from mmseg.structures import SegDataSample

_IGNORED = 255


def made_batch(count: int, size: tuple[int, int], classes: int) -> dict[str, list[Any]]:
    """Return a batch like a data loader's, with edges and depths for heads that need them.

    Args:
        count: Number of pictures.
        size: Height and width.
        classes: Number of classes. The labels hold all of them, and ignored pixels.

    Returns:
        The same batch at every call.
    """
    drawn = torch.Generator().manual_seed(0)
    inputs = [
        torch.randint(0, 256, (3, *size), generator=drawn, dtype=torch.uint8) for _ in range(count)
    ]
    return {"inputs": inputs, "data_samples": [_sample(size, classes) for _ in range(count)]}


def _sample(size: tuple[int, int], classes: int) -> SegDataSample:
    height, width = size
    labels = torch.arange(height * width).reshape(1, height, width) % (classes + 1)
    labels[labels == classes] = _IGNORED
    sample = SegDataSample(metainfo=_facts(size, classes))
    sample.gt_sem_seg = PixelData(data=labels)
    sample.gt_edge_map = PixelData(data=labels % 2)
    sample.gt_depth_map = PixelData(data=torch.ones(1, height, width))
    return sample


def _facts(size: tuple[int, int], classes: int) -> Mapping[str, Any]:
    """Return a picture's meta information, as mmseg's pipelines do."""
    return {
        "img_path": f"a label of {classes} classes", "seg_map_path": "", "ori_shape": size,
        "img_shape": size, "pad_shape": size, "scale_factor": (1.0, 1.0), "flip": False,
        "flip_direction": None, "reduce_zero_label": False,
    }  # fmt: skip
