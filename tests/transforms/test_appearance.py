"""What goes into a sample's record, and through `PackSegInputs`."""

import pickle

import numpy as np
import pytest
from mmengine.dataset import Compose
from mmengine.registry import init_default_scope
from mmseg.datasets.transforms import PackSegInputs

from ibn_seg.errors import UserError
from ibn_seg.transforms.appearance import RECORD
from ibn_seg.transforms.distortion import Uint8PhotoMetricDistortion
from ibn_seg.transforms.photometric import ColorJitter, RandomGaussianBlur

PIXELS = np.random.default_rng(0).integers(0, 256, (40, 60, 3), dtype=np.uint8)
KINDS = (ColorJitter, RandomGaussianBlur, Uint8PhotoMetricDistortion)


def test_records_follow_the_pipeline_and_travel_with_the_sample():
    init_default_scope("mmseg")
    names = ("ColorJitter", "RandomGaussianBlur")
    steps = Compose(
        [dict(type=name, on_device=True) for name in names]
        + [PackSegInputs(meta_keys=("flip", RECORD))]
    )
    np.random.seed(0)
    packed = steps({"img": PIXELS, "flip": False})
    packed = pickle.loads(pickle.dumps(packed))
    assert np.array_equal(packed["inputs"].numpy().transpose(1, 2, 0), PIXELS)
    record = packed["data_samples"].get(RECORD)
    assert record[-1][0] == "blur"
    assert {name for name, _ in record[:-1]} == {"brightness", "contrast", "saturation", "hue"}


@pytest.mark.parametrize("kind", KINDS)
def test_records_are_small_and_left_out_by_default(kind):
    results = {"img": PIXELS}
    for seed in range(30):
        np.random.seed(seed)
        assert RECORD not in kind()({"img": PIXELS})
        np.random.seed(seed)
        results = kind(on_device=True)({"img": PIXELS})
        assert len(pickle.dumps(results[RECORD])) < 2500


def test_nothing_drawn_is_an_empty_record():
    assert RandomGaussianBlur(prob=0, on_device=True)({"img": PIXELS})[RECORD] == []


@pytest.mark.parametrize("kind", KINDS)
def test_bad_settings_and_images(kind):
    with pytest.raises(UserError, match=r"on_device='cuda'.*allowed: True, False"):
        kind(on_device="cuda")
    with pytest.raises(UserError, match="float32"):
        kind(on_device=True)({"img": PIXELS.astype(np.float32)})
    assert "on_device=True" in repr(kind(on_device=True))
