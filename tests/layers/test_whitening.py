"""Whitening norms and losses: gradients, state, precision, and maps that are overwritten."""

import itertools

import numpy as np
import pytest
import torch
from torch import nn
from torch.autograd import gradcheck

from ibn_seg.errors import UserError
from ibn_seg.layers.clusters import cluster_numbers
from ibn_seg.layers.semantic import SemanticAwareNorm, semantic_whitening_loss
from ibn_seg.layers.style.self_norm import SelfNorm
from ibn_seg.layers.whitening.covariance_loss import (
    relaxed_margin,
    upper_triangle,
    whitening_loss,
)
from ibn_seg.layers.whitening.instance_whitening import InstanceWhitening, StandardisingNorm
from ibn_seg.layers.whitening.iterative import IterNorm
from ibn_seg.layers.whitening.sensitive import common_mask, pair_variance, pair_variances
from ibn_seg.layers.whitening.switchable import SwitchWhiten2d

NORMS = {
    "IN": lambda: StandardisingNorm(4),
    "IterNorm": lambda: IterNorm(4, num_channels=2, T=2),
    "SW-2": lambda: SwitchWhiten2d(4, 2, 2, T=2),
    "SW-3": lambda: SwitchWhiten2d(4, 2, 3, T=2),
    "SW-5": lambda: SwitchWhiten2d(4, 2, 5, T=2, repaired=True),
    "SelfNorm": lambda: SelfNorm(4, is_two=True),
}


def maps(*shape, seed=0):
    torch.manual_seed(seed)
    return torch.randn(*shape, dtype=torch.float64)


@pytest.mark.parametrize("mode", [True, False])
@pytest.mark.parametrize("name", NORMS)
def test_gradients_are_those_of_finite_differences(name, mode):
    layer = NORMS[name]().double()
    if not mode:
        layer.train()(maps(3, 4, 3, 2))  # some state
    layer.train(mode)
    x = maps(2, 4, 3, 2, seed=1).requires_grad_()
    parameters = [value.detach().clone().requires_grad_() for value in layer.parameters()]
    names = [key for key, _ in layer.named_parameters()]
    buffers = {key: value.clone() for key, value in layer.named_buffers()}

    def output(x, *values):
        state = {
            **{k: b.clone() for k, b in buffers.items()},
            **dict(zip(names, values, strict=True)),
        }
        return torch.func.functional_call(layer, state, (x,))

    assert gradcheck(output, (x, *parameters))


def test_the_gradient_of_the_whitening_loss_is_right():
    mask = upper_triangle(4)
    norm = StandardisingNorm(4)
    assert gradcheck(
        lambda x: whitening_loss(norm(x), mask, 0.5), maps(2, 4, 3, 3).requires_grad_()
    )


def test_the_gradient_of_semantic_norm_and_loss_is_right():
    torch.manual_seed(0)
    # Regions are steps, so they have no derivative: here they are the whole map.
    layer = SemanticAwareNorm(4, (0, 2), regions=0).double()
    scores, weight = maps(2, 3, 3, 4, seed=2), maps(3, 4, 1, 1, seed=3)
    x = maps(2, 4, 3, 4).requires_grad_()
    assert gradcheck(lambda x: layer(x, scores), x)
    assert gradcheck(lambda x: semantic_whitening_loss(3 * x, weight, (0, 1, 2)), x)


@pytest.mark.parametrize("name", NORMS)
def test_statistics_are_float32_under_autocast(name):
    layer, x = NORMS[name](), maps(2, 4, 5, 5).float() + 3
    expected = layer(x)
    with torch.autocast("cpu", torch.bfloat16):
        found = layer(x.bfloat16())
    assert found.dtype == torch.bfloat16
    torch.testing.assert_close(found.float(), expected, rtol=0.05, atol=0.1)
    assert all(buffer.dtype != torch.bfloat16 for buffer in layer.buffers())


def test_what_a_norm_whitens_is_white():
    x = maps(8, 4, 9, 9)
    mixed = torch.einsum("cd,ndhw->nchw", torch.eye(4) + 0.2 * maps(4, 4, seed=5), x)
    y = IterNorm(4, num_channels=4, T=12).double()(mixed)
    rows = y.transpose(0, 1).flatten(1)
    torch.testing.assert_close(
        torch.cov(rows, correction=0), torch.eye(4).double(), rtol=0, atol=1e-3
    )


def test_a_relu_in_place_behind_the_layer_changes_no_loss():
    layer = InstanceWhitening(4).double()
    layer.watched = True
    x = maps(2, 4, 5, 5).requires_grad_()
    nn.ReLU(inplace=True)(layer(x))
    loss = layer.take_loss()
    assert loss == whitening_loss(StandardisingNorm(4)(x), upper_triangle(4))
    (gradient,) = torch.autograd.grad(loss, x)
    assert gradient.abs().max() > 0
    assert layer.take_loss() is None


def test_nothing_is_kept_where_no_loss_is_wanted():
    layer = InstanceWhitening(4)
    x = maps(2, 4, 5, 5).float()
    assert layer(x).shape == x.shape
    assert layer.loss is None
    layer.watched = True
    layer.eval()(x)
    assert layer.loss is None


def test_only_the_mask_of_isw_is_in_checkpoints():
    assert list(InstanceWhitening(4).state_dict()) == []
    assert list(InstanceWhitening(4, sensitive=True).state_dict()) == ["mask"]


def test_an_empty_mask_gives_no_loss_and_no_nan():
    layer = InstanceWhitening(4, sensitive=True)
    layer.watched = True
    layer(maps(2, 4, 5, 5).float())
    assert layer.take_loss() == 0
    with pytest.raises(UserError, match="ISW: no covariance was sensitive in all of 2 trials"):
        common_mask([upper_triangle(2), torch.zeros(2, 2, dtype=torch.bool)])


def test_margins_are_those_of_the_paper():
    assert [relaxed_margin(channels, 64) for channels in (64, 256, 512)] == [31, 510, 2044]
    assert relaxed_margin(64, 0) == 0


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: SwitchWhiten2d(16, sw_type=4), "sw_type=4: allowed: 2, 3, 5"),
        (lambda: SwitchWhiten2d(24), "groups of 16 do not divide 24 channels"),
        (lambda: IterNorm(8, T=0), "T=0"),
    ],
)
def test_wrong_settings_are_one_line(make, message):
    with pytest.raises(UserError, match=message):
        make()


@pytest.mark.parametrize("clusters", [1, 2, 3, 4])
def test_clusters_are_the_best_of_all(clusters):
    """Against every way to cut sorted numbers, ties included."""
    rng = np.random.default_rng(clusters)
    values = np.round(rng.random(9) ** 2, 1)
    ordered = np.sort(values)
    best = min(
        sum(((part - part.mean()) ** 2).sum() for part in np.split(ordered, cuts) if len(part))
        for cuts in itertools.combinations_with_replacement(range(len(ordered) + 1), clusters - 1)
    )
    label, centroids = cluster_numbers(values.reshape(3, 3), clusters)
    assert label.shape == (3, 3)
    assert (np.diff(centroids) > 0).all()
    cost = ((values - centroids[label.reshape(-1)]) ** 2).sum()
    assert cost == pytest.approx(best, abs=1e-12)


def test_many_numbers_are_clustered_quickly():
    values = np.random.default_rng(0).random(20000) ** 3
    label, centroids = cluster_numbers(values, 3)
    # Each number is nearest to its own centroid, as in any best clustering.
    assert (np.abs(values[:, None] - centroids).argmin(1) == label).all()


@pytest.mark.parametrize("kind", ["IterNorm", "SW2", "SelfNorm"])
def test_what_torch_fx_cannot_follow_is_one_line(kind):
    norm = {
        "IterNorm": lambda: IterNorm(4), "SW2": lambda: SwitchWhiten2d(4, 2),
        "SelfNorm": lambda: SelfNorm(4),
    }[kind]().eval()  # fmt: skip
    with pytest.raises(UserError, match="such as SW, IterNorm and SelfNorm cannot be traced"):
        torch.fx.symbolic_trace(norm)
    x = torch.randn(1, 4, 5, 5)
    assert torch.equal(torch.jit.trace(norm, x)(x), norm(x))


def test_isw_s_mask_computes_nothing_behind_its_last_layer():
    network = nn.Sequential(InstanceWhitening(4, sensitive=True), nn.Conv2d(3, 3, 1))
    pair = torch.randn(1, 4, 5, 5), torch.randn(1, 4, 5, 5)
    with pytest.raises(RuntimeError, match="channels"):
        network(pair[0])
    (found,) = pair_variances(network, [pair, pair])
    assert torch.equal(found, pair_variance(*(network[0](image) for image in pair)))


def test_in_evaluation_regions_do_not_depend_on_the_rest_of_the_batch():
    torch.manual_seed(0)
    layer = SemanticAwareNorm(4, (0, 1), regions=2)
    x, scores = torch.rand(2, 4, 8, 8), torch.randn(2, 3, 8, 8)
    x[1] *= 10
    alone = torch.cat([layer.eval()(x[at : at + 1], scores[at : at + 1]) for at in (0, 1)])
    assert torch.equal(layer(x, scores), alone)
    assert not torch.allclose(layer.train()(x, scores), alone)
