"""A pretrained network that gets pictures of another scale is named once, with what to set."""

import logging

import pytest
from mmengine.config import Config
from mmseg.models import SegDataPreProcessor
from torch import nn

pytest.importorskip("timm")

from ibn_seg.run.timm_statistics import tell_statistics
from tests.foundation.made import tiny

CLIP = {"mean": [122.771, 116.746, 104.094], "std": [68.501, 66.632, 70.323]}
IMAGENET = {"mean": [123.675, 116.28, 103.53], "std": [58.395, 57.12, 57.375]}


@pytest.mark.parametrize(
    ("given", "pretrained", "line"),
    [
        ({**CLIP, "bgr_to_rgb": True}, True, ""),
        ({**IMAGENET, "bgr_to_rgb": True}, None, ""),
        ({**IMAGENET, "bgr_to_rgb": True}, True, "has mean=[123.675, 116.28, 103.53]"),
        ({**CLIP, "bgr_to_rgb": False}, True, "bgr_to_rgb=False, but vit_base"),
        ({"bgr_to_rgb": True}, "own.pth", "has mean=[0.0, 0.0, 0.0]"),
    ],
)
def test_one_line_says_what_to_set(given, pretrained, line, caplog):
    network = nn.Module()
    network.backbone = tiny("clip", pretrained=pretrained)
    network.data_preprocessor = SegDataPreProcessor(**given)
    config = Config({"model": {"data_preprocessor": given}})
    with caplog.at_level(logging.WARNING):
        tell_statistics(network, config, logging.getLogger("statistics"))
    assert len(caplog.records) == bool(line)
    assert line in caplog.text
    if line:
        assert "was trained with mean=[122.771, 116.746, 104.094]" in caplog.text
