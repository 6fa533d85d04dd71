"""Large pictures go through a ViT in windows, whatever their size."""

import numpy as np
import pytest
import torch
from mmengine.config import ConfigDict
from mmengine.registry import init_default_scope
from mmseg.registry import MODELS

from ibn_seg.run.setup import register
from tests.foundation.made import SIZES
from tests.predict.windows.test_large_images import large_labels, mmseg_labels

WINDOW = (64, 96)


def segmentor():
    register()
    init_default_scope("mmseg")
    torch.manual_seed(0)
    config = {
        "type": "EncoderDecoder",
        "data_preprocessor": {
            "type": "SegDataPreProcessor", "mean": [120.0] * 3, "std": [60.0] * 3,
            "bgr_to_rgb": True,
        },
        "backbone": {
            "type": "TimmBackbone", "model": "vit_small_patch14_dinov2", "patch_size": 16,
            "img_size": 64, "timm_args": SIZES,
        },
        "decode_head": {
            "type": "FCNHead", "in_channels": 32, "in_index": 0, "channels": 32, "num_convs": 0,
            "concat_input": False, "num_classes": 19, "align_corners": False,
        },
        "test_cfg": {"mode": "slide", "crop_size": WINDOW, "stride": (40, 60)},
    }  # fmt: skip
    model = MODELS.build(ConfigDict(config))
    torch.nn.init.normal_(model.decode_head.conv_seg.weight)
    model.eval()  # mmseg's returns nothing
    return model


def test_a_vit_sees_windows_alone_and_gives_mmsegs_labels():
    pytest.importorskip("timm")
    # 205 and 331 are no multiples of the patch; the windows are.
    model = segmentor()
    expected = mmseg_labels(model, (205, 331))
    found, pixels = large_labels(model, (205, 331), most=WINDOW[0] * WINDOW[1])
    assert len(np.unique(expected)) > 1
    assert np.array_equal(found, expected)
    assert set(pixels) == {WINDOW[0] * WINDOW[1]}
