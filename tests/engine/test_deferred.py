"""Steps that leave pixels to the device are refused where nothing would apply what they drew."""

from types import SimpleNamespace

import pytest
from mmengine.dataset import Compose
from mmengine.registry import TRANSFORMS
from torch import nn

import ibn_seg.transforms.photometric  # noqa: F401
from ibn_seg.engine.deferred import check_deferred
from ibn_seg.errors import UserError
from ibn_seg.transforms.appearance import RECORD
from ibn_seg.transforms.deferred_preprocessor import appearance_preprocessor

JITTER = dict(type="ColorJitter", on_device=True)
BLUR = dict(type="RandomGaussianBlur", on_device=True)
PACK = dict(type="mmseg.PackSegInputs", meta_keys=("flip", RECORD))
FLIP = dict(type="RandomFlip", prob=0.5)


class Network(nn.Module):
    def __init__(self, ours=True):
        super().__init__()
        self.data_preprocessor = appearance_preprocessor(size=(8, 8)) if ours else nn.Identity()


def dataset(*steps):
    """Return what wraps a pipeline: two wrappers around two data sets."""
    plain = SimpleNamespace(pipeline=Compose([]))
    inner = SimpleNamespace(pipeline=Compose([TRANSFORMS.build(step) for step in steps]))
    return SimpleNamespace(dataset=SimpleNamespace(datasets=[plain, inner]))


@pytest.mark.parametrize("steps", [(FLIP, JITTER, BLUR, PACK), (FLIP, BLUR, PACK)])
def test_what_will_be_applied_passes(steps):
    check_deferred(dataset(*steps), Network())


def test_without_deferred_steps_nothing_is_checked():
    check_deferred(dataset(dict(JITTER, on_device=False), FLIP), Network(ours=False))
    check_deferred(SimpleNamespace(), Network(ours=False))


@pytest.mark.parametrize(
    ("steps", "message"),
    [
        ((JITTER, FLIP, PACK), r"RandomFlip comes after ColorJitter\(on_device=True\)"),
        ((JITTER, dict(BLUR, on_device=False), PACK), "RandomGaussianBlur comes after ColorJitter"),
        ((JITTER, BLUR, dict(PACK, meta_keys=("flip",))), "add 'appearance' to meta_keys"),
        ((JITTER, BLUR), "RandomGaussianBlur at the end .* drops"),
        ((dict(type="RandomApply", transforms=[JITTER]), PACK), "inside RandomApply"),
        ((dict(type="RandomChoice", transforms=[[FLIP], [JITTER]]), PACK), "inside RandomChoice"),
    ],
)
def test_what_would_be_lost_is_refused(steps, message):
    with pytest.raises(UserError, match=message) as error:
        check_deferred(dataset(*steps), Network())
    assert "\n" not in error.value.line


def test_another_preprocessor_is_refused():
    with pytest.raises(UserError, match="ColorJitter has on_device=True, which Identity ignores"):
        check_deferred(dataset(JITTER, PACK), Network(ours=False))
    with pytest.raises(UserError, match="NoneType ignores"):
        check_deferred(dataset(JITTER, PACK), nn.Identity())
