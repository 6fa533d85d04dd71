"""Networks made ready for inference: the same outputs, and what became of each norm."""

import copy
import pickle

import hypothesis.strategies as st
import pytest
import torch
from hypothesis import given, settings
from torch import nn

import ibn_seg
from ibn_seg.errors import UserError
from ibn_seg.layers import IBN
from ibn_seg.layers.fused import Folded, FusedIBN, FusedInstanceNorm, ScaleShift
from ibn_seg.models import create_model
from tests.networks import scrambled, segmentor
from tests.surgery import libraries
from tests.surgery.test_convert import images, outputs

# folded, split, scaled, instance, activations; kept is 0 where it is not said.
NETWORKS = {
    "resnet18": (20, 0, 0, 0, 0),
    "resnet18_ibn_a": (14, 6, 0, 0, 0),
    "resnet18_ibn_b": (19, 0, 0, 3, 1),
    "resnet34": (36, 0, 0, 0, 0),
    "resnet34_ibn_a": (23, 13, 0, 0, 0),
    "resnet34_ibn_b": (35, 0, 0, 3, 1),
    "resnet50": (53, 0, 0, 0, 0),
    "resnet50_ibn_a": (40, 13, 0, 0, 0),
    "resnet50_ibn_b": (52, 0, 0, 3, 1),
    "resnet101": (104, 0, 0, 0, 0),
    "resnet101_ibn_a": (74, 30, 0, 0, 0),
    "resnet101_ibn_b": (103, 0, 0, 3, 1),
    "resnet152": (155, 0, 0, 0, 0),
    "resnet152_ibn_a": (108, 47, 0, 0, 0),
    "resnet152_ibn_b": (154, 0, 0, 3, 1),
    "resnext50": (53, 0, 0, 0, 0),
    "resnext50_ibn_a": (40, 13, 0, 0, 0),
    "resnext101_ibn_a": (74, 30, 0, 0, 0),
    "resnext152_ibn_a": (108, 47, 0, 0, 0),
    "se_resnet50": (53, 0, 0, 0, 0),
    "se_resnet50_ibn_a": (40, 13, 0, 0, 0),
    "se_resnet101_ibn_a": (74, 30, 0, 0, 0),
    "se_resnet152_ibn_a": (108, 47, 0, 0, 0),
    # norm0 and every norm2; every norm1, three transitions and norm5, with their ReLUs.
    "densenet121": (59, 0, 62, 0, 62),
    "densenet121_ibn_a": (59, 0, 62, 0, 62),
    "densenet161_ibn_a": (79, 0, 82, 0, 82),
    "densenet169_ibn_a": (83, 0, 86, 0, 86),
    "densenet201_ibn_a": (99, 0, 102, 0, 102),
}
# Those of the default suite; the others take seconds each.
QUICK = (
    "resnet18",
    "resnet18_ibn_b",
    "resnet50_ibn_a",
    "resnext50_ibn_a",
    "se_resnet50_ibn_a",
    "densenet121_ibn_a",
)
KINDS = ("folded", "split", "scaled", "instance", "activations")
OTHERS = {
    "torchvision resnet18": (lambda: libraries.torchvision("resnet18"), (20, 0, 0, 0, 0)),
    "torchvision densenet121": (
        lambda: libraries.torchvision("densenet121"), (59, 0, 62, 0, 61)),
    "timm resnet50d": (lambda: libraries.timm("resnet50d"), (55, 0, 0, 0, 0)),
    "timm regnety_004": (lambda: libraries.timm("regnety_004"), (53, 0, 0, 0, 0)),
    "timm densenet121": (lambda: libraries.timm("densenet121"), (59, 0, 62, 0, 0)),
    "smp resnet34": (lambda: libraries.smp("resnet34"), (46, 0, 0, 0, 0)),
    "mmseg ResNetV1c": (lambda: libraries.mmseg("ResNetV1c", depth=18), (22, 0, 0, 0, 0)),
    "mmseg HRNet": (lambda: libraries.mmseg("HRNet", extra=libraries.HRNET), (74, 0, 0, 0, 0)),
}  # fmt: skip


def counts(report):
    assert set(report.counts) == {*KINDS, "kept"}
    return tuple(report.counts[kind] for kind in KINDS)


@torch.no_grad()
def assert_same(one, other, x):
    for a, b in zip(outputs(one(x)), outputs(other(x)), strict=True):
        assert (a - b).abs().max() <= 1e-4 * b.abs().max()


def check_network(name):
    model = scrambled(create_model(name, num_classes=7, zero_init_residual=False)
                      if "densenet" not in name else create_model(name, num_classes=7))  # fmt: skip
    state = {key: value.clone() for key, value in model.state_dict().items()}
    fused, report = ibn_seg.fuse(model)
    assert counts(report) == NETWORKS[name], report
    assert not report.kept
    left = [m for m in fused.modules() if isinstance(m, (nn.BatchNorm2d, nn.InstanceNorm2d, IBN))]
    assert left == []
    for layout in (torch.contiguous_format, torch.channels_last):
        assert_same(fused, model, images(72).contiguous(memory_format=layout))
    after = model.state_dict()
    assert list(after) == list(state)
    assert all(torch.equal(after[key], state[key]) for key in state)
    assert not any(isinstance(m, (Folded, FusedIBN)) for m in model.modules())


@pytest.mark.parametrize("name", QUICK)
def test_our_networks(name):
    check_network(name)


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(NETWORKS.keys() - set(QUICK)))
def test_our_other_networks(name):
    check_network(name)


@pytest.mark.parametrize("name", OTHERS)
def test_networks_of_other_libraries(name):
    build, expected = OTHERS[name]
    model = scrambled(build())
    fused, report = ibn_seg.fuse(model)
    assert counts(report) == expected, report
    assert not report.kept
    norms = sum(isinstance(module, nn.BatchNorm2d) for module in model.modules())
    assert norms == sum(expected) - len(report.activations)
    assert_same(fused, model, images(96))


def test_converted_networks():
    """Also those whose norms end in an activation (timm)."""
    for model, split in ((libraries.timm("resnet18"), 6), (libraries.timm("regnety_004"), 10)):
        network = scrambled(ibn_seg.convert(model, "a").model)
        fused, report = ibn_seg.fuse(network)
        assert report.counts["split"] == split
        assert_same(fused, network, images(96))


def test_only_the_filters_of_the_batch_norm_change():
    model = scrambled(create_model("resnet18_ibn_a"))
    fused = ibn_seg.fuse(model).model
    before, after = model.layer1[0].conv1, fused.layer1[0].conv1
    assert torch.equal(after.weight[:32], before.weight[:32])
    assert not after.bias[:32].any()
    assert (after.weight[32:] != before.weight[32:]).flatten(1).any(1).all()
    assert isinstance(fused.layer1[0].bn1, FusedIBN)
    assert torch.equal(fused.layer1[0].bn1.IN.weight, model.layer1[0].bn1.IN.weight)


@pytest.mark.parametrize(
    "config",
    [
        "ibn_seg::deeplabv3plus/deeplabv3plus_r50-ibn-a-d16_4xb4-40k_gta5-768x768",
        "ibn_seg::demo/mlp_r18-ibn-b_1xb8-600_scenes-128x128",
    ],
)
def test_segmentors_with_all_heads(config):
    pytest.importorskip("mmseg")
    model = segmentor(config)
    norms = sum(isinstance(m, nn.BatchNorm2d) for m in model.modules())
    plain = norms - sum(isinstance(m, IBN) for m in model.modules())
    fused, report = ibn_seg.fuse(model)
    assert not report.kept
    assert report.counts["folded"] == plain
    assert any(name.startswith("decode_head.") for name in report.folded)
    heads = [name for name in ("auxiliary_head",) if getattr(model, name, None)]
    assert all(any(norm.startswith(head) for norm in report.folded) for head in heads)
    with torch.no_grad():
        x = images(96)
        assert_same(fused.decode_head, model.decode_head, model.extract_feat(x))
        assert_same(fused.extract_feat, model.extract_feat, x)


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_in_place(layout):
    model = scrambled(create_model("resnet18_ibn_b")).to(memory_format=layout)
    other = copy.deepcopy(model)
    fused, _ = ibn_seg.fuse(model, inplace=True)
    assert fused is model
    assert model.conv1.weight.is_contiguous(memory_format=layout)
    assert_same(model, other, images(80).contiguous(memory_format=layout))


def test_a_fused_network_is_a_module_like_others():
    fused = ibn_seg.fuse(scrambled(create_model("resnet18_ibn_a", num_classes=3))).model
    x = images()
    for again in (copy.deepcopy(fused), pickle.loads(pickle.dumps(fused))):
        assert_same(again, fused, x)
    other = ibn_seg.fuse(create_model("resnet18_ibn_a", num_classes=3).eval()).model
    other.load_state_dict(fused.state_dict())
    assert_same(other, fused, x)
    # Gradients are there for who wants to see what the network looks at.
    with torch.no_grad():
        expected = fused(x)
    given = fused(x.requires_grad_())
    given.sum().backward()
    assert x.grad.isfinite().all()
    torch.testing.assert_close(given.detach(), expected, rtol=1e-4, atol=1e-5)


def test_old_checkpoints_are_refused():
    model = scrambled(create_model("resnet18_ibn_a"))
    fused = ibn_seg.fuse(model).model
    for strict in (True, False):
        with pytest.raises(UserError, match=r"not fused.*load the weights first, then fuse"):
            fused.load_state_dict(model.state_dict(), strict=strict)


class Twice(nn.Module):
    """A convolution whose output is read by its norm and, as `how` says, by something else."""

    def __init__(self, how, norm=None):
        super().__init__()
        self.how = how
        self.conv = nn.Conv2d(3, 8, 3)
        self.norm = norm or nn.BatchNorm2d(8)
        self.seen = None

    def forward(self, x):
        out = self.conv(x)
        if self.how == "before":
            out = out + 1
        view = out[:, :2] if self.how == "view" else None
        if self.how == "kept":
            self.seen = out
        normed = self.norm(out)
        if self.how == "added":
            return normed + out
        if self.how == "view":
            return normed[:, :2] + view
        if self.how == "output":
            return {"a": [normed], "b": out}
        if self.how == "again":
            return self.norm(normed)
        if self.how == "conv again":
            return normed.sum() + self.conv(x).sum()
        return normed


HOWS = ("before", "kept", "added", "view", "output", "again", "conv again")


@pytest.mark.parametrize("norm", [nn.BatchNorm2d, IBN])
@pytest.mark.parametrize("how", HOWS)
def test_nothing_is_folded_where_something_else_reads(how, norm):
    model = scrambled(Twice(how, norm(8)))
    weight = model.conv.weight.clone()
    fused, report = ibn_seg.fuse(model)
    assert report.folded == report.split == ()
    assert report.scaled == ("norm",)
    assert torch.equal(fused.conv.weight, weight)


def hooked(model):
    model.conv.register_forward_hook(lambda module, args, output: output * 2)


def norm_hooked(model):
    model.norm.register_forward_hook(lambda module, args, output: output * 2)


def weight_norm(model):
    nn.utils.parametrizations.weight_norm(model.conv)


def in_training(model):
    model.norm.train()


def without_statistics(model):
    model.norm = nn.BatchNorm2d(8, track_running_stats=False).eval()


CHANGES = {hooked: True, norm_hooked: False, weight_norm: True, in_training: False,
           without_statistics: False}  # fmt: skip


@pytest.mark.parametrize("change", CHANGES)
def test_nothing_is_folded_that_is_not_plain(change):
    """After another convolution the norm is scale and shift still, if it is a plain one itself."""
    model = scrambled(Twice("once"))
    change(model)
    state = copy.deepcopy(model.state_dict())
    if CHANGES[change]:
        report = ibn_seg.fuse(model).report
        assert (report.folded, report.scaled) == ((), ("norm",))
    else:
        with pytest.raises(UserError, match=r"nothing to fuse: norm \(it"):
            ibn_seg.fuse(model)
    assert all(torch.equal(value, state[key]) for key, value in model.state_dict().items())


def test_what_is_read_once_is_folded():
    """So that the tests above can fail."""
    for norm in (None, IBN(8)):
        report = ibn_seg.fuse(scrambled(Twice("once", norm))).report
        assert report.folded + report.split == ("norm",)


def test_a_norm_that_did_not_run_is_kept():
    model = scrambled(nn.ModuleDict({"net": Twice("once"), "unused": nn.BatchNorm2d(8)}))
    model.forward = lambda x: model["net"](x)
    fused, report = ibn_seg.fuse(model, inplace=True)
    assert report.kept == {"unused": "it did not run"}
    assert type(fused["unused"]) is nn.BatchNorm2d
    assert "kept 1 norms: unused (it did not run)" in str(report)


class Hidden(nn.Module):
    """Uses the filters behind the back of the module, so that the fused network is another."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3)
        self.norm = nn.BatchNorm2d(8)

    def forward(self, x):
        return self.norm(self.conv(x)) + nn.functional.conv2d(x, self.conv.weight)


@pytest.mark.parametrize("inplace", [False, True])
def test_another_result_is_refused_and_undone(inplace):
    model = scrambled(Hidden())
    conv, norm = model.conv, model.norm
    with pytest.raises(UserError, match=r"fused, it differs by .* allowed is 1e-04"):
        ibn_seg.fuse(model, inplace=inplace)
    assert model.conv is conv
    assert model.norm is norm


def test_refusals():
    network = create_model("resnet18")
    fused = ibn_seg.fuse(create_model("resnet18").eval()).model
    for model, words in (
        (network, r"ResNet is in training mode.*call eval\(\)"),
        (fused, "ResNet is fused already: bn1"),
        (nn.Conv2d(3, 4, 1).eval(), "nothing to fuse: it has no norms"),
        (nn.Linear(3, 3).eval(), r"no 2D convolution.*fuse\(model, example=...\)"),
        (torch.jit.trace(nn.Conv2d(3, 4, 1).eval(), images()), "is compiled"),
        (3, "a int cannot be fused"),
    ):
        with pytest.raises(UserError, match=words) as caught:
            ibn_seg.fuse(model)
        assert "\n" not in caught.value.line
    with pytest.raises(UserError, match="cannot be run on the example"):
        ibn_seg.fuse(network.eval(), example=torch.zeros(1, 4, 64, 64))


def test_an_example_of_the_user():
    model = scrambled(nn.Sequential(nn.Conv1d(5, 6, 3), nn.BatchNorm1d(6), nn.ReLU()))
    x = torch.randn(2, 5, 9)
    fused, report = ibn_seg.fuse(model, example=(x,))
    assert report.folded == ("1",)
    assert_same(fused, model, x)


@st.composite
def stacks(draw):
    """Convolutions of every kind, each followed by a norm, some by a ReLU."""
    layers, width = [], 4
    for _ in range(draw(st.integers(1, 3))):
        groups = draw(st.sampled_from([1, 2, 4]))
        wider = draw(st.sampled_from([4, 8]))
        kind = draw(st.sampled_from([nn.Conv2d, nn.ConvTranspose2d]))
        options = {
            "bias": draw(st.booleans()), "groups": groups, "stride": draw(st.integers(1, 2)),
            "dilation": draw(st.integers(1, 2)), "padding": draw(st.integers(1, 2)),
        }  # fmt: skip
        layers.append(kind(width, wider, 3, **options))
        width = wider
        norm = draw(st.sampled_from(["bn", "plain", "first", "last", "in", "none"]))
        if norm in ("bn", "plain"):
            layers.append(nn.BatchNorm2d(width, affine=norm == "bn", eps=draw(st.floats(1e-6, 1))))
        elif norm in ("first", "last"):
            ratio = draw(st.floats(0.3, 0.7))
            layers.append(IBN(width, ratio, instance_first=norm == "first"))
        elif norm == "in":
            layers.append(nn.InstanceNorm2d(width, affine=draw(st.booleans())))
        if draw(st.booleans()):
            layers.append(nn.ReLU(inplace=draw(st.booleans())))
    layers.append(nn.BatchNorm2d(width))
    return nn.Sequential(*layers)


@settings(deadline=None, max_examples=40)
@given(stacks(), st.integers(0, 2**16), st.booleans())
@torch.no_grad()
def test_random_stacks(model, seed, channels_last):
    torch.manual_seed(seed)
    for key, value in model.state_dict().items():
        if value.is_floating_point():
            value.uniform_(0.3, 2) if "var" in key else value.normal_(std=0.7)
    layout = torch.channels_last if channels_last else torch.contiguous_format
    model = model.eval().to(memory_format=layout)
    x = torch.randn(2, 4, 24, 21).contiguous(memory_format=layout)
    expected, given_input = model(x), x.clone()
    fused, report = ibn_seg.fuse(model, example=torch.randn(3, 4, 25, 30))
    found = fused(x)
    assert torch.equal(x, given_input)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4 * expected.abs().max().item())
    norms = dict(model.named_children())
    for name, module in norms.items():
        follows = int(name) > 0 and isinstance(
            norms[str(int(name) - 1)], (nn.Conv2d, nn.ConvTranspose2d)
        )
        kind = {nn.BatchNorm2d: report.folded, IBN: report.split}.get(type(module))
        if kind is not None:
            assert (name in kind) == follows
        if type(module) is nn.InstanceNorm2d:
            assert name in report.instance
    classes = (Folded, FusedIBN, FusedInstanceNorm, ScaleShift)
    sizes = [sum(type(m) is kind for m in fused.children()) for kind in classes]
    assert sum(sizes) == sum(
        isinstance(m, (nn.BatchNorm2d, IBN, nn.InstanceNorm2d)) for m in norms.values()
    )


def test_gradients_through_a_fused_instance_norm_of_one_sample():
    """PyTorch's own are wrong where the gradient of the result is channels-last."""
    x = torch.randn(1, 16, 5, 6, requires_grad=True)
    weights = torch.randn(1, 16, 5, 6).contiguous(memory_format=torch.channels_last)
    layer = FusedInstanceNorm(nn.InstanceNorm2d(16, affine=True))
    (found,) = torch.autograd.grad(layer(x), x, weights)
    (expected,) = torch.autograd.grad(layer(x), x, weights.contiguous())
    torch.testing.assert_close(found, expected)
