"""The learning rate of every iteration, by mmengine's own schedulers; wrong settings."""

import math

import pytest
import torch

pytest.importorskip("mmengine")

from mmengine.registry import PARAM_SCHEDULERS

from ibn_seg.errors import UserError
from ibn_seg.imagenet.recipe import Recipe

EPOCH = 4


def rates(recipe):
    """Return the learning rate in each iteration."""
    weight = torch.nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.SGD([weight], lr=recipe.lr)
    schedulers = [
        PARAM_SCHEDULERS.build({**config, "optimizer": optimizer})
        for config in recipe.schedulers(EPOCH)
    ]
    found = []
    for _ in range(recipe.epochs * EPOCH):
        found.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        for scheduler in schedulers:
            scheduler.step()
    return found


def test_the_defaults_are_the_references():
    recipe = Recipe()
    assert (recipe.epochs, recipe.batch_size, recipe.val_batch_size) == (100, 256, 100)
    assert recipe.optimizer() == {
        "type": "OptimWrapper",
        "optimizer": {"type": "SGD", "lr": 0.1, "momentum": 0.9, "weight_decay": 1e-4},
    }
    expected = [0.1 * 0.1 ** sum(i >= m * EPOCH for m in (30, 60, 90)) for i in range(100 * EPOCH)]
    assert rates(recipe) == pytest.approx(expected)


def test_default_milestones_follow_the_epochs():
    found = rates(Recipe(epochs=5))
    assert found == pytest.approx([0.1] * 6 + [0.01] * 6 + [0.001] * 6 + [0.0001] * 2)
    assert rates(Recipe(epochs=5, milestones=(2,))) == pytest.approx([0.1] * 8 + [0.01] * 12)


def test_cosine_falls_to_zero():
    found = rates(Recipe(epochs=5, schedule="cosine"))
    assert found == pytest.approx([0.05 * (1 + math.cos(math.pi * i / 20)) for i in range(20)])


@pytest.mark.parametrize("schedule", ["step", "cosine"])
def test_warm_up_rises_linearly_to_the_full_rate(schedule):
    found = rates(Recipe(epochs=10, schedule=schedule, warmup_epochs=2))
    assert found[:8] == pytest.approx([0.1 * (0.01 + 0.99 * i / 7) for i in range(8)])
    assert found[8] == pytest.approx(0.1)
    assert found[-1] < 0.01


@pytest.mark.parametrize(
    ("settings", "line"),
    [
        ({"schedule": "cosin"}, "unknown schedule 'cosin': did you mean 'cosine'"),
        ({"amp_type": "half"}, "unknown AMP type 'half'"),
        ({"lr": 0.0}, "--lr 0.0: it must be positive"),
        ({"momentum": 1.0}, "--momentum 1.0: it must be at least 0 and below 1"),
        ({"weight_decay": -1.0}, "--weight-decay -1.0: it must not be negative"),
        ({"ema": 0.9998}, "--ema 0.9998: it is the weight of the newest"),
        ({"warmup_epochs": 100}, "--warmup-epochs 100 of 100 epochs"),
        ({"milestones": (60, 30)}, "--milestones 60,30 for 100 epochs: they must increase"),
        ({"milestones": (30, 100)}, "--milestones 30,100 for 100 epochs"),
        ({"milestones": (30,), "schedule": "cosine"}, "--milestones are for --schedule step"),
        ({"pretrained": True, "init": "a.pth"}, "--pretrained and --init are both given"),
    ],
)
def test_wrong_settings(settings, line):
    with pytest.raises(UserError) as raised:
        Recipe(**settings).check()
    assert raised.value.line.startswith(line)
