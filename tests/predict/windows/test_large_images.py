"""Pictures above the limit: labels as of the whole picture, and never more pixels at once."""

import logging

import numpy as np
import pytest
import torch
from mmengine.config import ConfigDict
from mmengine.registry import init_default_scope
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample

import ibn_seg
from ibn_seg.predict.windows.large_images import LargeImages
from ibn_seg.predict.windows.window_plan import make_plan
from ibn_seg.run.setup import register
from tests.networks import scrambled

NORM = {"type": "BN"}
# Windows of the networks below need margins of 64 or 128 pixels. The small pictures on which it is
# found out how they can be cut have up to 1087 x 191 pixels.
MOST = 1087 * 191
SEGFORMER = {"type": "SegformerHead", "in_channels": [4, 8], "in_index": [0, 1]}
FCN = {"type": "FCNHead", "in_channels": 8, "in_index": 1, "num_convs": 1}
ASPP = {
    "type": "DepthwiseSeparableASPPHead", "in_channels": 8, "in_index": 1, "dilations": (1, 2),
    "c1_in_channels": 4, "c1_channels": 4,
}  # fmt: skip
PSP = {"type": "PSPHead", "in_channels": 8, "in_index": 1, "pool_scales": (1, 2)}


def build(head=SEGFORMER, ibn=None, test_cfg=None, preprocessor=None, backbone=None, spread=True):
    """Return a thin segmentor whose label maps have many classes."""
    register()
    init_default_scope("mmseg")
    torch.manual_seed(0)
    config = {
        "type": "EncoderDecoder",
        "data_preprocessor": {
            "type": "SegDataPreProcessor", "mean": [120.0] * 3, "std": [60.0] * 3,
            "bgr_to_rgb": True, "pad_val": 0, "seg_pad_val": 255, **(preprocessor or {}),
        },
        "backbone": {
            "type": "IBNResNet", "depth": 18, "base_channels": 4, "num_stages": 2, "ibn": ibn,
            "strides": (1, 2), "dilations": (1, 1), "out_indices": (0, 1), "norm_cfg": NORM,
            **(backbone or {}),
        },
        "decode_head": {
            "channels": 12, "num_classes": 19, "norm_cfg": NORM, "dropout_ratio": 0.0,
            "align_corners": False, **head,
        },
        "test_cfg": test_cfg or {"mode": "whole"},
    }  # fmt: skip
    model = scrambled(MODELS.build(ConfigDict(config)))
    if spread:
        _spread(model)
    return model


@torch.no_grad()
def _spread(model):
    """Scale the last layer, so that each class is somewhere the largest."""
    classify = model.decode_head.conv_seg
    sample = {key: [value] for key, value in data((256, 256)).items()}
    batch = model.data_preprocessor(sample, False)
    classify.bias.zero_()
    logits = model._forward(batch["inputs"])
    classify.weight /= logits.std((0, 2, 3)).view(-1, 1, 1, 1)
    classify.bias -= logits.mean((0, 2, 3)) / logits.std((0, 2, 3))


def data(size, picture=None, **meta):
    """Return what a test pipeline returns for a picture of patches that fade to the right."""
    random = np.random.default_rng(0)
    coarse = random.integers(0, 256, (3, size[0] // 8 + 1, size[1] // 8 + 1))
    image = np.kron(coarse, np.ones((8, 8)))[:, : size[0], : size[1]]
    image = image * np.linspace(0.3, 1.0, size[1]) + random.integers(0, 20, (3, *size))
    sample = SegDataSample(metainfo={"ori_shape": picture or size, "img_shape": size, **meta})
    return {"inputs": torch.from_numpy(image.clip(0, 255).astype(np.uint8)), "data_samples": sample}


def mmseg_labels(model, *args, **meta):
    batch = {key: [value] for key, value in data(*args, **meta).items()}
    with torch.inference_mode():
        sample = model.test_step(batch)[0]
    return sample.pred_sem_seg.data[0].numpy().astype(np.uint8)


def large_labels(model, *args, most=MOST, **meta):
    """Return labels by windows, and how many pixels the backbone saw at each run."""
    large, seen = LargeImages(model, most), []
    with torch.inference_mode():
        assert large.takes(data(*args, **meta))
        handle = model.backbone.register_forward_pre_hook(
            lambda module, inputs: seen.append(inputs[0].shape[2] * inputs[0].shape[3])
        )
        try:
            found = large.labels(data(*args, **meta))
        finally:
            handle.remove()
    return found, seen


def check(model, *args, most=MOST, share=1e-5, **meta):
    expected = mmseg_labels(model, *args, **meta)
    found, pixels = large_labels(model, *args, most=most, **meta)
    assert len(np.unique(expected)) >= min(model.num_classes, 10)
    assert found.shape == expected.shape
    assert (found != expected).mean() <= share
    assert max(pixels) <= most


@pytest.mark.parametrize(
    ("ibn", "size"), [(None, (97, 3001)), ("a", (533, 641)), ("b", (700, 500))], ids=str
)
def test_labels_are_those_of_the_whole_picture(ibn, size):
    """Also for sizes that no stride divides, and for one row of windows."""
    check(build(ibn=ibn), size)


@pytest.mark.parametrize("ibn", ["a", "b"])
def test_a_fused_network(ibn):
    model = build(ibn=ibn)
    ibn_seg.fuse(model)
    check(model, (533, 641))


@pytest.mark.parametrize("align_corners", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_a_head_that_pools_the_whole_picture(align_corners):
    check(build({**ASPP, "align_corners": align_corners}, "a"), (533, 641))


def test_norms_by_groups_and_channel_attention():
    norm = {"type": "GN", "num_groups": 4}
    se = {"type": "IBNSEResNet", "depth": 50, "base_channels": 4}
    check(build({**FCN, "in_channels": 32, "norm_cfg": norm}, backbone=se), (533, 641))


def test_a_single_class():
    model = build({**FCN, "num_classes": 2, "out_channels": 1, "threshold": 0.4})
    check(model, (533, 641))


@pytest.mark.parametrize(("direction", "share"), [("horizontal", 1e-5), ("vertical", 3e-5)])
def test_pictures_that_the_pipeline_resized_and_mirrored(direction, share):
    meta = {"flip": True, "flip_direction": direction}
    check(build(ibn="a"), (533, 641), (400, 777), share=share, **meta)


def test_pictures_that_the_preprocessor_pads():
    preprocessor = {"test_cfg": {"size_divisor": 128}}
    check(build(ibn="b", preprocessor=preprocessor), (533, 641))


def test_a_small_picture_of_a_large_one():
    """The network sees it at once, and its labels are made by rows."""
    model = build(ibn="a")
    expected = mmseg_labels(model, (300, 400), (1200, 1600))
    found, pixels = large_labels(model, (300, 400), (1200, 1600))
    assert pixels == [300 * 400]
    assert (found != expected).mean() <= 1e-5


@pytest.mark.parametrize("stride", [(100, 130), (128, 160)])
def test_sliding_windows_give_the_very_same_labels(stride):
    test_cfg = {"mode": "slide", "crop_size": (128, 160), "stride": stride}
    model = build(test_cfg=test_cfg)
    expected = mmseg_labels(model, (533, 641))
    found, pixels = large_labels(model, (533, 641))
    assert len(np.unique(expected)) >= 10
    assert np.array_equal(found, expected)
    assert set(pixels) == {128 * 160}


def test_a_network_that_cannot_be_cut_sees_the_whole_picture(caplog):
    model = build({**PSP, "channels": 8})
    expected = mmseg_labels(model, (533, 641))
    with caplog.at_level(logging.WARNING):
        found, pixels = large_labels(model, (533, 641))
    assert pixels[-1] == 533 * 641
    assert (found != expected).mean() <= 1e-5
    lines = [record.getMessage() for record in caplog.records]
    assert len(lines) == 1
    assert "as a whole" in lines[0]
    assert "each of its labels depends on pixels everywhere" in lines[0]


def test_margins_that_leave_no_room(caplog):
    model = build()
    expected = mmseg_labels(model, (300, 401))
    found, pixels = large_labels(model, (300, 401), most=128 * 128)
    assert pixels[-1] == 300 * 401
    assert (found != expected).mean() <= 1e-5
    assert "more pixels on each side" in caplog.text


def test_windows_need_what_the_layers_reach():
    """One 3x3 convolution of stride 4 reaches less than a period, whatever the size of the rest."""

    def network(x):
        return torch.nn.functional.conv2d(x, weight, stride=4, padding=1)

    def noise(height, width):
        return torch.randn(1, 3, height, width, generator=torch.Generator().manual_seed(0))

    weight = torch.randn(2, 3, 3, 3, generator=torch.Generator().manual_seed(1))
    for rest in (0, 1, 62, 63):
        assert make_plan(network, noise, (rest, rest)).margins == (64,)


def test_what_is_not_taken():
    model = build()
    assert not LargeImages(model, 64 * 80).takes(data((64, 80)))
    assert LargeImages(model, 64 * 80 - 1).takes(data((64, 80)))
    assert not LargeImages(torch.nn.Identity(), 1).takes(data((64, 80)))


def test_windows_that_differ_from_the_whole_are_noticed(caplog):
    """A layer that knows the border of the window from that of the picture, which NaN hides."""
    model = build()

    class Middle(torch.nn.Module):
        def forward(self, x):
            ramp = torch.linspace(0, 1, x.shape[3]).to(x)
            return x + ramp

    model.backbone.relu = torch.nn.Sequential(model.backbone.relu, Middle())
    expected = mmseg_labels(model, (533, 641))
    found, pixels = large_labels(model, (533, 641))
    assert pixels[-1] == 533 * 641
    assert (found != expected).mean() <= 1e-5
    assert "are not those of the whole picture" in caplog.text
