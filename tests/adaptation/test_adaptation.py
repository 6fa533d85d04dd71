"""Test-time methods on plain networks: what they use, and that they leave nothing behind."""

import pytest
import torch
from torch import nn

import ibn_seg
from ibn_seg.adaptation.entropy import Tent, mean_entropy
from ibn_seg.adaptation.target_averages import averaging_statistics
from ibn_seg.adaptation.target_norm import TargetBatchNorm, target_statistics
from ibn_seg.errors import UserError
from ibn_seg.layers import IBN, SynchronisedBatchNorm
from tests.networks import scrambled


def network(kind=nn.BatchNorm2d):
    torch.manual_seed(0)
    return scrambled(nn.Sequential(nn.Conv2d(3, 6, 3), kind(6), nn.ReLU(), nn.Conv2d(6, 4, 1)))


def images(seed, count=3):
    return torch.randn(count, 3, 8, 8, generator=torch.Generator().manual_seed(seed)) + seed


def state(model):
    return {key: value.clone() for key, value in model.state_dict().items()}


def same(one, other):
    return one.keys() == other.keys() and all(torch.equal(one[key], other[key]) for key in one)


@torch.no_grad()
def test_the_prior_goes_from_the_batch_to_the_source():
    net, x = network(), images(2)
    before, source = state(net), net(x)
    found = {}
    for prior in (0.0, 0.5, 1.0):
        with target_statistics(net, "x", prior=prior):
            found[prior] = net(x)
    assert same(state(net), before)
    torch.testing.assert_close(found[1.0], source)
    net.train()
    torch.testing.assert_close(found[0.0], net(x))
    assert min((found[0.5] - found[k]).abs().max() for k in (0.0, 1.0)) > 0.01


@torch.no_grad()
def test_batch_norms_inside_ibn_and_synchronised_ones_adapt_too():
    for kind in (lambda channels: IBN(channels, 0.5), SynchronisedBatchNorm):
        net, x = network(kind), images(2)
        plain = net(x)
        with target_statistics(net, "x"):
            assert any(isinstance(module, TargetBatchNorm) for module in net.modules())
            assert (net(x) - plain).abs().max() > 0.01
        assert torch.equal(net(x), plain)


def test_averages_are_those_of_all_batches():
    net = network()
    weight = net[1].weight.clone()
    batches = [images(seed) for seed in (1, 2, 5)]
    with averaging_statistics(net):
        for batch in batches:
            net(batch)
    with torch.no_grad():
        maps = [net[0](batch) for batch in batches]
    means = torch.stack([m.mean((0, 2, 3)) for m in maps]).mean(0)
    variances = torch.stack([m.var((0, 2, 3)) for m in maps]).mean(0)
    torch.testing.assert_close(net[1].running_mean, means)
    torch.testing.assert_close(net[1].running_var, variances)
    assert not net[1].training
    assert net[1].momentum == 0.1
    assert torch.equal(net[1].weight, weight)


def test_tent_lowers_the_entropy_and_gives_everything_back():
    net, x = network(), images(1)
    net[3].bias.requires_grad_(False)
    before = state(net)
    tent = Tent(net, lr=0.01)
    first = mean_entropy(tent(x))
    for _ in range(5):
        last = mean_entropy(tent(x))
    assert last < first
    changed = state(net[1].norm)
    assert not torch.equal(changed["weight"], before["1.weight"])
    assert torch.equal(net[0].weight, before["0.weight"])
    tent.close()
    assert same(state(net), before)
    assert [p.requires_grad for p in net.parameters()] == [True] * 5 + [False]


def test_tent_forgets_between_batches_only_if_episodic():
    found = {}
    for episodic in (True, False):
        net = network()
        tent = Tent(net, lr=0.01, episodic=episodic)
        found[episodic] = [tent(images(seed)) for seed in (1, 2, 1)]
    assert torch.equal(found[True][0], found[True][2])
    assert torch.equal(found[True][0], found[False][0])
    assert not torch.equal(found[False][0], found[False][2])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda net: Tent(net), "TENT: the network has no batch norm"),
        (lambda net: averaging_statistics(net).__enter__(), "AdaBN: the network has no batch norm"),
        (lambda net: target_statistics(net, "batch BN").__enter__(), "batch BN: the network has"),
    ],
)
def test_a_network_without_batch_norms_is_refused(make, message):
    fused = ibn_seg.fuse(ibn_seg.create_model("resnet18", base_channels=8).eval()).model
    with pytest.raises(UserError, match=message):
        make(fused)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: TargetBatchNorm(nn.BatchNorm2d(2), prior=2), r"prior=2: allowed: 0"),
        (lambda: TargetBatchNorm(nn.BatchNorm2d(2), prior=0.5, momentum=0.1), "are not the source"),
        (lambda: Tent(network(), optimiser="Adm"), "did you mean 'Adam'"),
        (lambda: Tent(network(), steps=0), "TENT: steps=0"),
    ],
)
def test_wrong_settings_are_one_line(make, message):
    with pytest.raises(UserError, match=message):
        make()
