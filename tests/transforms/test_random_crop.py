"""`LoadRandomCrop` gives what the chain of mmcv's and mmseg's own transforms gives."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mmengine.dataset import Compose

from ibn_seg.datasets.cache import FrameCache
from ibn_seg.datasets.labels import TRAIN_IDS
from ibn_seg.errors import UserError
from tests.datasets.test_cache import AVAILABLE
from tests.helpers import image_for, random_train_ids, write_image

PIXELS = ("img", "gt_seg_map")


@pytest.fixture(scope="module", autouse=True)
def _mmseg_scope():
    from mmengine.registry import init_default_scope

    from ibn_seg.run.setup import register

    register()
    init_default_scope("mmseg")


def chain(crop, scale, ratio, keep, most, flip):
    return Compose([
        dict(type="LoadImageFromFile"),
        dict(type="LoadUrbanLabels"),
        dict(type="RandomResize", scale=scale, ratio_range=ratio, keep_ratio=keep),
        dict(type="RandomCrop", crop_size=crop, cat_max_ratio=most),
        dict(type="RandomFlip", prob=flip),
    ])  # fmt: skip


def fused(crop, scale, ratio, keep, most, flip):
    return Compose([
        dict(type="LoadRandomCrop", scale=scale, ratio_range=ratio, keep_ratio=keep,
             crop_size=crop, cat_max_ratio=most, flip_prob=flip),
    ])  # fmt: skip


def frame(folder, seed, size, block=8):
    rng = np.random.default_rng(seed)
    train_ids = random_train_ids(rng, size, block)
    image = image_for(train_ids, rng)
    paths = {
        "img_path": str(write_image(folder / f"{seed}_{size}.png", image)),
        "seg_map_path": str(write_image(folder / f"{seed}_{size}_label.png", train_ids)),
    }
    return {**paths, "label_table": TRAIN_IDS, "reduce_zero_label": False, "seg_fields": []}


def same(info, seed, arguments, cache=None):
    """Run both with one seed; compare every key and the state that the generator is left in."""
    np.random.seed(seed)
    expected = chain(*arguments)({**info, "seg_fields": []})
    after = np.random.random()
    np.random.seed(seed)
    more = {} if cache is None else {"frame_cache": cache}
    found = fused(*arguments)({**info, "seg_fields": [], **more})
    assert np.random.random() == after, "other draws"
    for key in PIXELS:
        assert found[key].dtype == expected[key].dtype
        assert found[key].shape == expected[key].shape
        assert np.array_equal(found[key], expected[key]), key
    for key in expected.keys() - set(PIXELS):
        assert repr(found[key]) == repr(expected[key]), key
    return expected


# Narrower frames would be resized to nothing, by mmseg too.
sides = st.integers(16, 150)


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    seed=st.integers(0, 2**31),
    size=st.tuples(sides, sides),
    crop=st.tuples(st.integers(1, 120), st.integers(1, 120)),
    scale=st.one_of(
        st.tuples(sides, sides), st.lists(st.tuples(sides, sides), min_size=2, max_size=2)
    ),
    ratio=st.sampled_from([(0.5, 2.0), (1.0, 1.0), (0.5, 0.5), (2.0, 2.0), (0.8, 1.6)]),
    keep=st.booleans(),
    most=st.sampled_from([1.0, 0.75, 0.4, 0.1]),
    codec=st.sampled_from([None, *AVAILABLE]),
)
def test_same_crop_scale_flip_and_pixels(
    tmp_path, seed, size, crop, scale, ratio, keep, most, codec
):
    info = frame(tmp_path, seed % 5, size)
    cache = FrameCache(tmp_path / "cache", codec) if codec else None
    same(info, seed, (crop, scale, ratio, keep, most, 0.5), cache)


@pytest.mark.parametrize("size", [(9, 54), (300, 200)])
def test_a_part_that_keeps_its_size_is_resized_all_the_same(tmp_path, size):
    """One row or column more: near the corner, the part that is read has as many as before."""
    info = frame(tmp_path, 1, size)
    scale = (max(size) + 1, min(size) + 1)
    for seed in range(20):
        same(info, seed, ((8, 8), scale, (1.0, 1.0), True, 1.0, 0.5))


def test_crops_are_drawn_again_as_often_as_by_mmseg(tmp_path):
    """Seeds where the first crop is taken, where a later one is, and where none is good enough."""
    info = frame(tmp_path, 0, (150, 100), block=40)
    retried = 0
    for seed in range(40):
        expected = same(info, seed, ((40, 50), (150, 100), (0.5, 2.0), True, 0.6, 0.5))
        np.random.seed(seed)
        first = chain((40, 50), (150, 100), (0.5, 2.0), True, 1.0, 0.5)({**info, "seg_fields": []})
        retried += not np.array_equal(first["gt_seg_map"], expected["gt_seg_map"])
    assert 5 < retried < 40


@pytest.mark.parametrize("codec", [None, *AVAILABLE])
@pytest.mark.parametrize("crop", [(512, 1024), (768, 768)])
def test_full_size(tmp_path, crop, codec):
    info = frame(tmp_path, 1, (1914, 1052), block=64)
    cache = FrameCache(tmp_path / "cache", codec) if codec else None
    for seed in range(3):
        same(info, seed, (crop, (1914, 1052), (0.5, 2.0), True, 0.75, 0.5), cache)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (dict(crop_size=(0, 5)), "crop_size"),
        (dict(crop_size=(5, 5, 5)), "crop_size"),
        (dict(scale=5), "scale"),
        (dict(scale=(0, 5)), "scale"),
        (dict(ratio_range=None), "ratio_range"),
        (dict(ratio_range=(2.0, 1.0)), "ratio_range"),
        (dict(cat_max_ratio=1.5), r"cat_max_ratio=1.5: allowed: 0..1"),
        (dict(flip_prob=-1), "flip_prob"),
    ],
)
def test_bad_settings(wrong, message):
    given = dict(type="LoadRandomCrop", scale=(8, 8), ratio_range=(0.5, 2.0), crop_size=8)
    with pytest.raises(UserError, match=message):
        Compose([{**given, **wrong}])


def test_a_crop_holds_the_wanted_pixel(tmp_path):
    """Corners included: the crop is moved back into the frame."""
    info = frame(tmp_path, 0, (60, 40), block=4)
    marked = np.full((40, 60), 5, np.uint8)
    for row, column in ((0, 0), (39, 59), (20, 30), (0, 59)):
        label = marked.copy()
        # Wide enough to survive halving by nearest neighbours.
        label[max(row - 2, 0) : row + 3, max(column - 2, 0) : column + 3] = 7
        write_image(tmp_path / "marked.png", label)
        for seed in range(10):
            np.random.seed(seed)
            arguments = ((16, 16), (60, 40), (0.6, 1.6), True, 1.0, 0.5)
            wish = dict(crop_center=(row, column), seg_map_path=str(tmp_path / "marked.png"))
            found = fused(*arguments)({**info, **wish, "seg_fields": []})
            assert found["img"].shape == (16, 16, 3)
            assert 7 in found["gt_seg_map"]


def test_a_sample_without_label_is_refused(tmp_path):
    load = fused((8, 8), (8, 8), (1.0, 1.0), True, 1.0, 0.5)
    info = frame(tmp_path, 0, (16, 16))
    for key in ("seg_map_path", "label_table"):
        with pytest.raises(UserError, match=f"{key}' is missing"):
            load({name: value for name, value in info.items() if name != key})
