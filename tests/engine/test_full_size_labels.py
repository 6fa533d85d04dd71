"""Labels without logits at full size: the same as mmseg's, and only where nobody wants logits."""

import copy

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from mmengine.hooks import Hook
from mmengine.model import BaseTTAModel

pytest.importorskip("mmseg")

from mmengine.config import ConfigDict
from mmengine.registry import init_default_scope
from mmseg.models import SegTTAModel
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample

import ibn_seg.plugins.mmseg  # noqa: F401 - registers the backbone
from ibn_seg.engine.full_size_labels import LabelsOnlyHook, can_skip_logits, labels_only

# Below and above the size from which classes are taken one by one.
SIDES = st.integers(1, 40) | st.integers(257, 400)
LOW = st.integers(1, 50)
PADDING = st.tuples(*[st.integers(0, 3)] * 4)


def segmentor(align_corners=False, classes=19, **changes):
    """A segmentor whose logits are what is put into it, so that sizes are free."""
    init_default_scope("mmseg")
    head = dict(
        type="FCNHead", in_channels=4, channels=4, num_convs=0, concat_input=False,
        num_classes=classes, align_corners=align_corners, in_index=0,
    )  # fmt: skip
    config = dict(
        type="EncoderDecoder",
        backbone=dict(type="IBNResNet", depth=18, base_channels=4, out_indices=(3,)),
        decode_head=head,
        test_cfg=dict(mode="whole"),
    )
    return MODELS.build(ConfigDict({**config, **changes})).eval()


def predicted(network, logits, size, metas):
    """Predict from logits as if the network had given them for inputs of a size."""
    network.extract_feat = lambda inputs: logits
    network.decode_head.forward = lambda features: features
    samples = [SegDataSample(metainfo=dict(meta, pad_shape=size)) for meta in metas]
    with torch.no_grad():
        return network.predict(torch.zeros(len(metas), 3, *size), samples)


def is_rounding(logits, where):
    """Tell whether the best two logits are equal there but for rounding, in PyTorch 2.1 only.

    It rounds a resize of all classes in another way than that of one.
    """
    best, second = logits[:, where].topk(2, dim=0).values
    return torch.__version__ < (2, 2) and torch.allclose(best, second, rtol=1e-6, atol=1e-6)


def assert_same_labels(network, logits, size, metas):
    network = copy.deepcopy(network)
    expected = predicted(network, logits, size, metas)
    with labels_only(network):
        found = predicted(network, logits, size, metas)
    for one, other in zip(found, expected, strict=True):
        assert one.pred_sem_seg.data.dtype == torch.uint8
        differing = one.pred_sem_seg.data.long() != other.pred_sem_seg.data
        assert not differing.any() or is_rounding(other.seg_logits.data, differing[0])
        assert "seg_logits" in other
        assert "seg_logits" not in one


NETWORKS = {align: segmentor(align) for align in (False, True)}


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 2**31), st.booleans(), LOW, LOW, SIDES, SIDES, st.integers(2, 19))
def test_labels_are_those_of_logits_upsampled_whole(seed, align, h, w, height, width, classes):
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(2, classes, h, w, generator=generator)
    # Equal logits are common in low precision.
    logits[1] = logits[1].round()
    metas = [dict(img_shape=(height, width), ori_shape=(height, width))] * 2
    assert_same_labels(NETWORKS[align], logits, (height, width), metas)


@settings(deadline=None, max_examples=40)
@given(
    st.integers(0, 2**31), st.booleans(), SIDES, SIDES, PADDING,
    st.sampled_from([None, "horizontal", "vertical"]),
)  # fmt: skip
def test_padding_flip_and_resizing_are_undone(seed, align, height, width, padding, flip):
    generator = torch.Generator().manual_seed(seed)
    left, right, top, bottom = padding
    size = (260 + top + bottom, 270 + left + right)
    logits = torch.randn(1, 5, 33, 34, generator=generator)
    meta = dict(img_shape=(260, 270), ori_shape=(height, width), img_padding_size=padding)
    meta |= dict(flip=flip is not None, flip_direction=flip)
    assert_same_labels(NETWORKS[align], logits, size, [meta])


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_logits_that_are_not_finite(value):
    logits = torch.randn(1, 19, 5, 6)
    logits[0, 7, 2, 3] = value
    meta = dict(img_shape=(320, 384), ori_shape=(320, 384))
    assert_same_labels(NETWORKS[False], logits, (320, 384), [meta])


def test_full_size_with_logits_in_channels_last():
    """Other rounding may decide a tie, in a few pixels of a million."""
    logits = torch.randn(1, 19, 128, 256).contiguous(memory_format=torch.channels_last)
    size, network = (1024, 2048), copy.deepcopy(NETWORKS[False])
    metas = [dict(img_shape=size, ori_shape=size)]
    expected = predicted(network, logits, size, metas)[0].pred_sem_seg.data
    with labels_only(network):
        found = predicted(network, logits, size, metas)[0].pred_sem_seg.data
    assert (found != expected).double().mean() < 1e-5


def test_the_network_is_as_before_afterwards():
    network = segmentor()
    with pytest.raises(ZeroDivisionError), labels_only(network):
        _ = 1 / 0
    assert not {"predict_by_feat", "postprocess_result"} & {*vars(network.decode_head)}
    assert "postprocess_result" not in vars(network)


def test_without_samples_there_are_logits():
    network = copy.deepcopy(NETWORKS[False])
    network.extract_feat = lambda inputs: torch.randn(1, 19, 4, 4)
    network.decode_head.forward = lambda features: features
    with torch.no_grad(), labels_only(network):
        (sample,) = network.predict(torch.zeros(1, 3, 32, 32))
    assert sample.seg_logits.data.shape == (19, 32, 32)


class OwnUpsampling(type(NETWORKS[False].decode_head)):
    def predict_by_feat(self, seg_logits, batch_img_metas):
        return super().predict_by_feat(seg_logits.softmax(1), batch_img_metas)


def other_head(network):
    network.decode_head.__class__ = OwnUpsampling
    return network


@pytest.mark.parametrize(
    ("make", "possible"),
    [
        (segmentor, True),
        (lambda: segmentor(test_cfg=dict(mode="slide", crop_size=(8, 8), stride=(4, 4))), False),
        (lambda: other_head(segmentor()), False),
        (lambda: SegTTAModel(segmentor()), False),
        (lambda: torch.nn.Conv2d(3, 19, 1), False),
    ],
    ids=["plain", "windows", "a head's own upsampling", "test-time augmentation", "other network"],
)
def test_where_it_is_possible(make, possible):
    assert can_skip_logits(make()) is possible


def test_binary_heads_keep_their_threshold():
    network = segmentor()
    network.decode_head.out_channels = 1
    assert not can_skip_logits(network)


class Metric:
    needs_logits = False


class Reader(Hook):
    def after_test_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        pass


class Bystander(Hook):
    def after_test_epoch(self, runner, metrics=None):
        pass


class Runner:
    def __init__(self, model, hooks=(), metrics=()):
        self.model, self.hooks = model, [LabelsOnlyHook(), *hooks]
        self.test_evaluator = self.val_evaluator = type("E", (), {"metrics": metrics})


@pytest.mark.parametrize(
    ("hooks", "metrics", "active"),
    [
        ([Bystander()], [Metric()], True),
        ([Reader()], [Metric()], False),
        ([], [object()], False),
        ([], [Metric(), object()], False),
    ],
)
def test_only_where_nobody_wants_logits(hooks, metrics, active):
    network = segmentor()
    runner = Runner(network, hooks, metrics)
    hook = runner.hooks[0]
    hook.before_test_epoch(runner)
    assert ("postprocess_result" in vars(network)) is active
    hook.after_test_epoch(runner)
    assert "postprocess_result" not in vars(network)
    hook.before_test_epoch(runner)
    hook.close()
    assert "postprocess_result" not in vars(network)


def test_augmentation_at_test_time_keeps_logits():
    model = SegTTAModel(segmentor())
    assert isinstance(model, BaseTTAModel)
    hook = LabelsOnlyHook()
    hook.before_test_epoch(Runner(model, metrics=[Metric()]))
    assert "postprocess_result" not in vars(model.module)
