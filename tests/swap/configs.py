"""Small mmseg configs, written to files."""

import copy
from collections.abc import Mapping
from pathlib import Path
from typing import Any

NORM = {"type": "BN", "requires_grad": True}
HEAD = {
    "type": "FCNHead", "in_channels": 64, "in_index": 3, "channels": 8, "num_convs": 1,
    "num_classes": 19, "norm_cfg": NORM, "align_corners": False,
}  # fmt: skip
BACKBONE = {
    "type": "ResNet", "depth": 18, "stem_channels": 8, "base_channels": 8, "norm_cfg": NORM,
    "strides": (1, 2, 2, 2), "dilations": (1, 1, 1, 1), "out_indices": (0, 1, 2, 3),
}  # fmt: skip
BOTTLENECK = {**BACKBONE, "depth": 50, "stem_channels": 8, "base_channels": 4}


def segmentor(backbone: Mapping | None = None, **model: Any) -> dict:
    """Return a config of a segmentor; the head takes the last map of a ResNet of 64 channels."""
    return copy.deepcopy({
        "default_scope": "mmseg",
        "model": {
            "type": "EncoderDecoder",
            "data_preprocessor": {"type": "SegDataPreProcessor"},
            "backbone": dict(backbone or BACKBONE),
            "decode_head": HEAD,
            "train_cfg": {},
            "test_cfg": {"mode": "whole"},
            **model,
        },
    })  # fmt: skip


def write_config(folder: Path, config: Mapping, name: str = "old.py") -> Path:
    """Write a config file and return its path."""
    path = folder / name
    path.write_text("".join(f"{key} = {value!r}\n" for key, value in config.items()))
    return path
