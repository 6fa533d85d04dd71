"""Layers that randomise features: only in training, and by seed, iteration and image."""

import copy

import pytest
import torch
import torch.distributed as dist
from torch.autograd import gradcheck

from ibn_seg.errors import UserError
from ibn_seg.layers.style.draws import Draws, partners
from ibn_seg.layers.style.kinds import RANDOMISERS
from ibn_seg.models import create_model
from ibn_seg.models.places import layers_of, modules_at, randomise

PLACES = {"PAdaIN": "conv", "CrossNorm": "block", "RandConv": "input", "DSU": "stem.conv"}


def maps(images=4, dtype=torch.float32):
    return torch.randn(images, 3, 6, 5, generator=torch.Generator().manual_seed(0)).to(dtype) + 1


def layer(name, seed=0):
    made = RANDOMISERS[name](p=1.0)
    made.draws = Draws(seed)
    return made


def network(name, **options):
    torch.manual_seed(0)
    net = create_model("resnet18", base_channels=8, features_only=True)
    place = PLACES.get(name, "end(1)")
    randomise(net, [place], lambda: RANDOMISERS[name](p=1.0, **options))
    return net


@pytest.mark.parametrize("name", RANDOMISERS)
def test_it_is_the_identity_in_evaluation_and_behind_a_closed_gate(name):
    x = maps()
    assert layer(name).eval()(x) is x
    assert RANDOMISERS[name](p=0.0).train()(x) is x
    changed = layer(name)(x)
    assert changed.shape == x.shape
    assert (changed - x).abs().max() > 1e-3
    assert list(layer(name).state_dict()) == []


@pytest.mark.parametrize("name", RANDOMISERS)
def test_in_a_network_it_costs_and_changes_nothing_in_evaluation(name):
    net, x = network(name).eval(), torch.randn(2, 3, 64, 64)
    plain = create_model("resnet18", base_channels=8, features_only=True).eval()
    plain.load_state_dict(net.state_dict())  # the same keys
    with torch.no_grad():
        for one, other in zip(net(x), plain(x), strict=True):
            assert torch.equal(one, other)
    before = net.draws.passes
    net(x)
    assert net.draws.passes == before
    assert len(layers_of(net)) >= 1


@pytest.mark.parametrize("name", RANDOMISERS)
def test_draws_are_a_function_of_seed_and_iteration(name):
    x, made = maps(), layer(name)
    first = made(x)
    assert torch.equal(made(x), first)
    made.draws.begin_iteration(1)
    assert not torch.equal(made(x), first)
    assert not torch.equal(layer(name, seed=1)(x), first)
    torch.manual_seed(5)  # no global generator decides
    assert torch.equal(layer(name)(x), first)


@pytest.mark.parametrize("name", RANDOMISERS)
def test_gradients_are_those_of_finite_differences(name):
    """But where the methods say that statistics are constants."""
    made, x = layer(name), maps(2, torch.float64)
    drawn = made.draw(x)
    if name in ("MixStyle", "EFDMix", "PAdaIN"):
        x.requires_grad_()
        (gradient,) = torch.autograd.grad(made.change(x, drawn).sum(), x)
        assert torch.isfinite(gradient).all()
        return
    assert gradcheck(lambda x: made.change(x, drawn), x.requires_grad_())


@pytest.mark.parametrize("name", RANDOMISERS)
def test_it_computes_in_float32_under_autocast(name):
    x = maps().bfloat16()
    with torch.autocast("cpu", torch.bfloat16):
        found = layer(name)(x)
    assert found.dtype == torch.bfloat16
    expected = layer(name)(x.float())
    torch.testing.assert_close(found.float(), expected, rtol=0.02, atol=0.05)


def test_one_image_has_no_partner_and_no_deviation():
    x = maps(1)
    for name in ("DSU", "NormalizationPerturbationPlus"):
        assert layer(name)(x) is x
    torch.testing.assert_close(layer("MixStyle")(x), x)


def test_images_draw_by_their_place_in_the_batch_of_all_processes(monkeypatch):
    whole = [rng.random() for rng in Draws(3).of_images(0, 4)]
    monkeypatch.setattr(dist, "is_initialized", lambda: True)
    monkeypatch.setattr(dist, "get_world_size", lambda: 2)
    parts = []
    for rank in range(2):
        monkeypatch.setattr(dist, "get_rank", lambda rank=rank: rank)
        parts.append([rng.random() for rng in Draws(3).of_images(0, 2)])
    # As samples are dealt: the first to the first process, the second to the second.
    assert [parts[k % 2][k // 2] for k in range(4)] == whole


def test_partners_of_two_domains_come_from_the_other_half():
    found = partners(Draws().of_batch(0), 6, halves=True)
    assert sorted(found[:3]) == [3, 4, 5]
    assert sorted(found[3:]) == [0, 1, 2]


def test_layers_with_a_common_gate_open_together_and_one_crossnorm_is_active():
    net = network("CrossNorm")
    active = []
    for iteration in range(20):
        net.draws.begin_iteration(iteration)
        active.append([made.is_open() for made in layers_of(net)])
    assert all(sum(row) == 1 for row in active)
    assert len({row.index(True) for row in active}) > 3
    both = create_model("resnet18", base_channels=8, features_only=True)
    made = randomise(both, ["pool", "end(1)"], RANDOMISERS["NormalizationPerturbationPlus"])
    gates = []
    for iteration in range(20):
        both.draws.begin_iteration(iteration)
        gates.append([one.is_open() for one in made])
    assert {tuple(row) for row in gates} == {(True, True), (False, False)}


def test_a_block_that_is_computed_again_draws_the_same():
    torch.manual_seed(0)
    gradients = []
    x = torch.randn(2, 3, 64, 64)
    for again in (False, True):
        torch.manual_seed(0)
        net = create_model("resnet18", base_channels=8, features_only=True, with_cp=again)
        randomise(net, ["conv"], lambda: RANDOMISERS["PAdaIN"](p=0.5))
        sum(y.square().mean() for y in net.train()(x.requires_grad_())).backward()
        gradients.append(net.conv1.weight.grad.clone())
    torch.testing.assert_close(*gradients)


def test_a_copy_of_a_network_has_layers_of_its_own():
    net = network("MixStyle").train()
    other = copy.deepcopy(net)
    x = torch.randn(4, 3, 64, 64)
    other(x)
    assert (net.draws.passes, other.draws.passes) == (0, 1)
    assert torch.equal(net(x)[0], copy.deepcopy(net).eval().train()(x)[0]) is False
    net.draws.begin_iteration(0)
    other.draws.begin_iteration(0)
    assert torch.equal(net(x)[0], other(x)[0])


def test_a_network_without_the_place_is_refused():
    net = create_model("resnet18", base_channels=8, features_only=True)
    with pytest.raises(UserError, match=r"a ResNet-18 has no place 'conv\(3\)'"):
        modules_at(net, "conv(3)")
    with pytest.raises(UserError, match=r"has no place 'end\(5\)'"):
        randomise(net, ["end(5)"], RANDOMISERS["MixStyle"])
    dense = create_model("densenet121", features_only=True)
    with pytest.raises(UserError, match=r"DenseNet-121 has no place 'end\(1\)'"):
        randomise(dense, ["end(1)"], RANDOMISERS["MixStyle"])


def test_two_methods_at_one_place_are_refused():
    net = network("MixStyle")
    with pytest.raises(UserError, match=r"two methods change features at 'end\(1\)'"):
        randomise(net, ["end(1)"], RANDOMISERS["EFDMix"])


@pytest.mark.parametrize(
    ("name", "settings"),
    [("MixStyle", {"p": 2}), ("MixStyle", {"mix": "x"}), ("RandConv", {"kernel_sizes": (2,)}),
     ("CrossNorm", {"crop": "both"})],
)  # fmt: skip
def test_wrong_settings_are_one_line(name, settings):
    with pytest.raises(UserError, match=r"allowed|give"):
        RANDOMISERS[name](**settings)
