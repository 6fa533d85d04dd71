"""Networks made ready for inference: what is folded, what is kept, what is refused."""

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
from tests.networks import scrambled
from tests.surgery.outputs import assert_same, images


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
    with pytest.raises(UserError, match=r"fusing changes its output .* allowed is 1e-04"):
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
