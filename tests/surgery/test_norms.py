"""What becomes of a single batch norm."""

import copy

import hypothesis.strategies as st
import pytest
import torch
from hypothesis import given, settings
from torch import nn
from torch.nn import functional as F

from ibn_seg.layers import IBN, native
from ibn_seg.surgery.norms import identity_norm, instance_norm, split_norm
from tests.surgery import libraries


@pytest.fixture(autouse=True, scope="module")
def plain_layers():
    """Tests compare with PyTorch's own layers bit for bit; the C passes round in another order."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(native.SWITCH, "plain")
        yield


def randomised(norm, seed=0):
    torch.manual_seed(seed)
    for tensor in (norm.weight.data, norm.running_var):
        tensor.uniform_(0.5, 1.5)
    for tensor in (norm.bias.data, norm.running_mean):
        tensor.normal_()
    return norm.eval()


@st.composite
def cases(draw):
    channels = draw(st.integers(2, 12))
    first = draw(st.integers(1, channels - 1))
    instance_first = draw(st.booleans())
    share = (first + draw(st.floats(0.05, 0.95))) / channels
    shape = draw(st.tuples(st.integers(1, 3), st.integers(1, 5), st.integers(2, 6)))
    eps = draw(st.sampled_from([1e-5, 1e-3]))
    ratio = min(share, 0.999) if instance_first else max(1 - share, 0.001)
    return channels, first, instance_first, ratio, shape, eps, draw(st.integers(0, 99))


@settings(max_examples=100, deadline=None)
@given(cases())
def test_channels_of_the_batch_norm_are_unchanged_bit_for_bit(case):
    channels, first, instance_first, ratio, (batch, height, width), eps, seed = case
    norm = randomised(nn.BatchNorm2d(channels, eps=eps, momentum=0.3), seed)
    before = copy.deepcopy(norm.state_dict())
    ibn = split_norm(norm, ratio, instance_first)
    assert ibn.split == (first, channels - first)
    instance, kept = slice(first), slice(first, None)
    if not instance_first:
        instance, kept = kept, instance
    x = torch.randn(batch, channels, height, width)
    out, expected = ibn(x), norm(x)
    assert torch.equal(out[:, kept], expected[:, kept])
    normal = F.instance_norm(x[:, instance], None, None, norm.weight[instance], norm.bias[instance])
    assert torch.equal(out[:, instance], normal)
    assert (ibn.BN.eps, ibn.BN.momentum) == (eps, 0.3)

    # Training the result leaves the original alone.
    ibn.train()(x + 1)
    with torch.no_grad():
        for parameter in ibn.parameters():
            parameter.add_(1)
    assert all(torch.equal(norm.state_dict()[key], before[key]) for key in before)


@pytest.mark.parametrize("frozen", [False, True])
@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("kind", [nn.BatchNorm2d, nn.SyncBatchNorm])
def test_kind_flags_and_dtype_are_kept(kind, training, frozen):
    norm = kind(8).to(torch.bfloat16).train(training).requires_grad_(not frozen)
    norm.num_batches_tracked.fill_(7)
    ibn = split_norm(norm, 0.5, True)
    assert type(ibn.BN) is kind
    assert ibn.BN.num_batches_tracked == 7
    assert ibn.BN.num_features == 4
    for layer in (ibn, instance_norm(norm), identity_norm(norm)):
        assert {m.training for m in layer.modules()} == {training}
        assert {p.requires_grad for p in layer.parameters()} == {not frozen}
        assert {p.dtype for p in layer.parameters()} == {torch.bfloat16}


def test_device_is_kept():
    norm = nn.BatchNorm2d(8, device="meta")
    for layer in (split_norm(norm, 0.5, True), instance_norm(norm), identity_norm(norm)):
        tensors = [*layer.parameters(), *layer.buffers()]
        assert {tensor.device.type for tensor in tensors} == {"meta"}


def test_without_scale_and_shift():
    norm = nn.BatchNorm2d(8, affine=False, dtype=torch.double).eval()
    norm.running_mean.normal_()
    ibn = split_norm(norm, 0.5, True)
    x = torch.randn(2, 8, 5, 5, dtype=torch.double)
    assert ibn.BN.weight is None
    torch.testing.assert_close(ibn(x)[:, 4:], norm(x)[:, 4:])
    torch.testing.assert_close(ibn(x)[:, :4], F.instance_norm(x[:, :4]))
    torch.testing.assert_close(identity_norm(norm)(x), F.instance_norm(x))


def test_without_statistics():
    norm = nn.BatchNorm2d(8, track_running_stats=False)
    x = torch.randn(2, 8, 5, 5)
    ibn = split_norm(norm, 0.5, True).eval()
    assert ibn.BN.running_mean is None
    torch.testing.assert_close(ibn(x)[:, 4:], norm(x)[:, 4:])


@pytest.mark.parametrize("act", [nn.ReLU, nn.SiLU, None])
def test_the_activation_inside_timm_norms_is_kept(act):
    layers = pytest.importorskip("timm.layers")
    norm = randomised(layers.BatchNormAct2d(8, act_layer=act, apply_act=act is not None))
    plain = nn.BatchNorm2d(8)
    plain.load_state_dict(norm.state_dict())
    expected = split_norm(plain.eval(), 0.25, True)
    act = act() if act else nn.Identity()
    x = torch.randn(2, 8, 5, 5)
    ibn = split_norm(norm, 0.25, True)
    assert isinstance(ibn, IBN)
    assert type(ibn.BN) is layers.BatchNormAct2d
    assert list(ibn.state_dict()) == list(expected.state_dict())
    torch.testing.assert_close(ibn(x), act(expected(x)))
    torch.testing.assert_close(instance_norm(norm)(x), act(instance_norm(plain)(x)))
    torch.testing.assert_close(norm(x), act(plain(x)))


def test_the_activation_is_kept_in_a_whole_network():
    """timm's DenseNet, whose norms activate, against torchvision's, whose norms do not."""
    import ibn_seg

    theirs = libraries.torchvision("densenet121")
    model = libraries.timm("densenet121")
    model.load_state_dict(theirs.state_dict())
    x = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        torch.testing.assert_close(
            ibn_seg.convert(model).model.eval()(x), ibn_seg.convert(theirs).model.eval()(x)
        )
