"""RandConv's consistency loss: three views of the same images, and nothing is left behind."""

import copy
import types

import pytest
import torch
from torch import nn

from ibn_seg.engine import MethodHook, ViewConsistencyHook
from ibn_seg.errors import UserError
from ibn_seg.layers.style.mix_style import MixStyle
from ibn_seg.layers.style.random_convolution import RandConv
from ibn_seg.models import create_model
from ibn_seg.models.places import randomise


class Segmentor(nn.Module):
    """What the hook needs of mmseg's segmentors, which call `forward` of the head directly."""

    def __init__(self, kind=RandConv, **options):
        super().__init__()
        torch.manual_seed(0)
        self.backbone = create_model("resnet18", base_channels=8, features_only=True, ibn="iw")
        randomise(self.backbone, ["input"], lambda: kind(**options))
        self.decode_head = nn.Conv2d(16, 5, 1)

    def extract_feat(self, inputs):
        return self.backbone(inputs)[1]

    def forward(self, inputs, data_samples=None, mode="tensor"):
        scores = self.decode_head.forward(self.extract_feat(inputs))
        return {"loss_ce": scores.square().mean()} if mode == "loss" else scores


def hooked(model, weight=None):
    hook = ViewConsistencyHook(weight)
    runner = types.SimpleNamespace(model=model)
    hook.before_train(runner)
    return hook, runner


IMAGES = torch.randn(2, 3, 48, 64, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize(
    ("options", "weight", "expected"),
    [({}, None, 10), ({}, 2.5, 2.5), ({"mixing": False, "p": 0.9}, None, 5), ({}, 0, 0)],
)
def test_it_is_the_weighted_divergence_of_three_views(options, weight, expected):
    model = Segmentor(**options).train()
    plain = copy.deepcopy(model)
    # Each pass of an iteration draws a convolution of its own.
    views = [plain(IMAGES).softmax(1) for _ in range(3)]
    mean = torch.stack(views).mean(0)
    divergence = sum((p * (p / mean).log()).sum(1).mean() for p in views) / 3
    assert divergence > 1e-5
    hooked(model, weight)
    losses = model(inputs=IMAGES, data_samples=None, mode="loss")
    assert losses["loss_consistency"].item() == pytest.approx(
        expected * divergence.item(), rel=1e-4
    )
    first = copy.deepcopy(plain)
    first.backbone.draws.begin_iteration(0)
    assert losses["loss_ce"] == first(inputs=IMAGES, mode="loss")["loss_ce"]
    if expected:
        losses["loss_consistency"].backward()
        assert model.backbone.conv1.weight.grad.abs().max() > 0


def test_losses_of_layers_are_those_of_the_first_view():
    model = Segmentor().train()
    layer = model.backbone.bn1
    layer.watched = True
    kept = []
    model.register_forward_hook(lambda *_: kept.append(layer.take_loss()) and None)
    hooked(model)
    model(inputs=IMAGES, data_samples=None, mode="loss")
    assert kept[0] > 0
    assert layer.loss is None
    assert layer.watched


def test_evaluation_and_what_follows_the_training_are_as_before():
    model = Segmentor().train()
    hook, runner = hooked(model)
    scores = model.eval()(inputs=IMAGES, mode="tensor")
    assert model.backbone.draws.passes == 0
    hook.after_train(runner)
    assert torch.equal(model(inputs=IMAGES), scores)
    assert list(model.train()(inputs=IMAGES, mode="loss")) == ["loss_ce"]
    assert "forward" not in vars(model.decode_head)


def test_a_compiled_head_stays_compiled():
    model = Segmentor().train()
    model.decode_head.forward = compiled = model.decode_head.forward
    hook, runner = hooked(model)
    assert "loss_consistency" in model(inputs=IMAGES, mode="loss")
    hook.after_train(runner)
    assert model.decode_head.forward is compiled


class Cascade(Segmentor):
    def __init__(self):
        super().__init__()
        self.decode_head = nn.ModuleList([self.decode_head])


class Masks(nn.Conv2d):
    def forward(self, x):
        return super().forward(x), x


def test_what_does_not_fit_is_refused():
    with pytest.raises(UserError, match="has no RandConv, which makes its views"):
        hooked(Segmentor(MixStyle))
    with pytest.raises(UserError, match="a Cascade has no single decode_head"):
        hooked(Cascade())
    for weight in (-1, float("nan"), float("inf")):
        with pytest.raises(UserError, match=f"weight={weight}"):
            ViewConsistencyHook(weight)
        with pytest.raises(UserError, match=f"semantic={weight}"):
            MethodHook(semantic=weight)
    model = Segmentor()
    model.decode_head = Masks(16, 5, 1)
    hooked(model)
    model.extract_feat = lambda inputs: torch.zeros(1, 16, 2, 2)
    model.forward = lambda **named: {"loss": model.decode_head.forward(torch.zeros(1, 16, 2, 2))}
    with pytest.raises(UserError, match="Masks gives no map of scores"):
        model(inputs=IMAGES, mode="loss")
