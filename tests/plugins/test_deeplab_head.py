"""RobustNet's decoder: written out once more with functions of PyTorch alone."""

import pytest
import torch
from mmengine.registry import DefaultScope
from mmseg.registry import MODELS
from torch.nn import functional

import ibn_seg.plugins.mmseg  # noqa: F401
from ibn_seg.config import load_config

CONFIG = "ibn_seg::deeplabv3plus/deeplabv3plus_r50-d16_4xb4-40k_gta5-768x768"
SMALL = {"in_channels": 24, "channels": 16, "c1_in_channels": 8, "c1_channels": 4}


@pytest.fixture(autouse=True)
def scope():
    with DefaultScope.overwrite_default_scope("mmseg"):
        yield


@pytest.fixture(scope="module")
def settings():
    config = load_config(CONFIG).model.decode_head
    return {**config.to_dict(), "norm_cfg": {"type": "BN", "requires_grad": True}}


def block(unit, x, dilation=1):
    """Convolution, batch norm in eval mode, ReLU."""
    conv, norm = unit.conv, unit.bn
    padding = dilation * (conv.kernel_size[0] // 2)
    x = functional.conv2d(x, conv.weight, None, 1, padding, dilation)
    x = functional.batch_norm(x, norm.running_mean, norm.running_var, norm.weight, norm.bias)
    return x.relu()


def enlarged(x, size):
    return functional.interpolate(x, size, mode="bilinear", align_corners=True)


def by_hand(head, early, late):
    pyramid = [enlarged(block(head.image_pool[1], late.mean((2, 3), keepdim=True)), late.shape[2:])]
    for unit, dilation in zip(head.aspp_modules, (1, 6, 12, 18), strict=True):
        pyramid.append(block(unit, late, dilation))
    deep = enlarged(block(head.bottleneck, torch.cat(pyramid, 1)), early.shape[2:])
    x = torch.cat([deep, block(head.c1_bottleneck, early)], 1)
    for unit in head.fuse:
        x = block(unit, x)
    return functional.conv2d(x, head.conv_seg.weight, head.conv_seg.bias)


def test_the_head_is_what_the_protocol_says(settings):
    torch.manual_seed(0)
    head = MODELS.build({**settings, **SMALL}).double().eval()
    for name, value in head.named_buffers():
        if "running" in name:
            value.uniform_(0.5, 1.5)
    maps = [torch.randn(2, c, s, s + 2, dtype=torch.float64) for c, s in ((8, 17), (1, 9), (1, 5))]
    maps.append(torch.randn(2, 24, 5, 6, dtype=torch.float64))
    assert torch.allclose(head(maps), by_hand(head, maps[0], maps[3]), rtol=1e-10, atol=1e-12)
    assert head.dropout is None


def test_its_size_is_that_of_ordinary_convolutions(settings):
    head = MODELS.build(settings)
    pyramid = 2 * 2048 * 256 + 3 * 9 * 2048 * 256 + 1280 * 256
    decoder = 256 * 48 + 9 * 304 * 256 + 9 * 256 * 256
    norms = 2 * (8 * 256 + 48)
    assert sum(p.numel() for p in head.parameters()) == pyramid + decoder + norms + 257 * 19


@pytest.mark.parametrize("depth", [50, 101])
def test_the_whole_network_trains_as_robustnets(depth):
    config = load_config(CONFIG.replace("r50", f"r{depth}"))
    assert config.model.auxiliary_head.channels == 512
    assert config.model.auxiliary_head.align_corners
    assert config.optim_wrapper.optimizer.weight_decay == 5e-4
    assert "paramwise_cfg" not in config.optim_wrapper
