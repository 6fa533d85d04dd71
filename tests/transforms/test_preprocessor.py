"""`AppearancePreProcessor` against mmseg's preprocessor behind transforms that change pixels."""

import copy

import numpy as np
import pytest
import torch
from mmengine.dataset import Compose, default_collate, pseudo_collate
from mmengine.registry import init_default_scope
from mmseg.registry import MODELS

from ibn_seg.transforms import appearance  # noqa: F401
from ibn_seg.transforms.appearance import RECORD

SETTINGS = dict(
    mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375], bgr_to_rgb=True, pad_val=0,
    seg_pad_val=255, size=(48, 64),
)  # fmt: skip
COLORS = ("ColorJitter", "Uint8PhotoMetricDistortion")


@pytest.fixture(scope="module", autouse=True)
def _mmseg_scope():
    from ibn_seg.run.setup import register

    register()
    init_default_scope("mmseg")


def build(kind="AppearancePreProcessor", **more):
    return MODELS.build(dict(type=kind, **SETTINGS, **more))


def batch(on_device, color="ColorJitter", sizes=((40, 50), (48, 64), (1, 7), (33, 64))):
    """Return the samples of a batch, each with draws of its own."""
    pipeline = Compose([
        dict(type=color, on_device=on_device),
        dict(type="RandomGaussianBlur", sigma=(0.3, 3.0), prob=0.7, on_device=on_device),
        dict(type="PackSegInputs", meta_keys=("flip", RECORD)),
    ])  # fmt: skip
    samples = []
    for seed, size in enumerate(sizes):
        rng = np.random.default_rng(seed)
        label = rng.integers(0, 19, size, dtype=np.uint8)
        image = rng.integers(0, 256, (*size, 3), dtype=np.uint8)
        np.random.seed(seed)
        samples.append(pipeline(dict(img=image, gt_seg_map=label, flip=bool(seed % 2))))
    return pseudo_collate(samples)


def assert_same(found, expected):
    assert torch.equal(found["inputs"], expected["inputs"])
    for one, other in zip(found["data_samples"], expected["data_samples"], strict=True):
        assert torch.equal(one.gt_sem_seg.data, other.gt_sem_seg.data)
        given = {key: value for key, value in one.metainfo.items() if key != RECORD}
        assert given == {key: value for key, value in other.metainfo.items() if key != RECORD}


@pytest.mark.parametrize("color", COLORS)
def test_the_batch_is_that_of_transforms_on_the_cpu(color):
    """Padding included: a blur that saw it would be darker at the right and lower edges."""
    expected = build("SegDataPreProcessor")(batch(False, color), training=True)
    found = build()(batch(True, color), training=True)
    assert found["inputs"].shape == (4, 3, 48, 64)
    assert found["inputs"].dtype == torch.float32
    assert_same(found, expected)
    unchanged = build("SegDataPreProcessor")(batch(True, color), training=True)
    assert not torch.equal(found["inputs"], unchanged["inputs"])


def test_the_batch_is_left_alone():
    data = batch(True)
    before = copy.deepcopy(data["inputs"])
    build()(data, training=True)
    assert all(torch.equal(a, b) for a, b in zip(before, data["inputs"], strict=True))


def test_samples_without_a_record_are_as_mmseg_has_them():
    for data in (batch(False), batch(False, sizes=[(48, 64)])):
        expected = build("SegDataPreProcessor")(copy.deepcopy(data), training=True)
        assert_same(build()(data, training=True), expected)


def test_testing_is_as_mmseg_has_it():
    for settings in ({}, {"test_cfg": dict(size_divisor=32)}):
        data = batch(True, sizes=[(40, 50), (40, 50)])
        expected = build("SegDataPreProcessor", **settings)(copy.deepcopy(data), training=False)
        assert_same(build(**settings)(data, training=False), expected)
    images = [torch.zeros(3, 8, 8, dtype=torch.uint8)]
    assert build()({"inputs": images})["data_samples"] is None


def test_a_stacked_batch():
    data = batch(True, sizes=[(40, 50), (40, 50)])
    expected = build()(copy.deepcopy(data), training=True)
    images = default_collate(data["inputs"])
    found = build()({"inputs": images, "data_samples": data["data_samples"]}, training=True)
    assert torch.equal(found["inputs"], expected["inputs"])


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
@pytest.mark.parametrize("color", COLORS)
def test_a_gpu_gives_the_same(color):
    expected = build()(batch(True, color), training=True)
    found = build().cuda()(batch(True, color), training=True)
    assert found["inputs"].is_cuda
    assert (found["inputs"].cpu() - expected["inputs"]).abs().max() < 1e-5
