"""Registers `AppearancePreProcessor` without loading mmseg's networks."""

from mmengine.registry import MODELS
from torch import nn


@MODELS.register_module(name="AppearancePreProcessor")
def appearance_preprocessor(**settings: object) -> nn.Module:
    """Return an `AppearancePreProcessor`; until then mmseg's networks need no import (seconds)."""
    from ibn_seg.transforms.preprocessor import AppearancePreProcessor

    return AppearancePreProcessor(**settings)
