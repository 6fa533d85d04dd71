"""Training through `torch.compile`: the numbers of an eager training, up to rounding."""

import copy
import re

import pytest
import torch
from torch import nn

from ibn_seg import IBN
from ibn_seg.engine.compiling import compile_parts
from ibn_seg.errors import UserError
from ibn_seg.run import segmentation

STEPS = {"train_cfg.max_iters": 2, "train_cfg.val_interval": 2}


class Segmentor(nn.Module):
    """Two parts as a segmentor of mmseg has them."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.backbone = nn.Sequential(nn.Conv2d(3, 8, 3), IBN(8), nn.ReLU())
        self.auxiliary_head = nn.ModuleList([nn.Conv2d(8, 2, 1)])

    def forward(self, x):
        return self.auxiliary_head[0](self.backbone(x))


def steps_of(network):
    """Take three steps; return the losses, then the scores in evaluation."""
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1)
    images = torch.randn(2, 3, 16, 16, generator=torch.Generator().manual_seed(1))
    network.train()
    losses = []
    for _ in range(3):
        loss = network(images).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.detach())
    return torch.stack(losses), network.eval()(images).detach()


@pytest.mark.parametrize("backend", ["aot_eager", pytest.param("inductor", marks=pytest.mark.slow)])
def test_steps_of_a_compiled_network_are_those_of_an_eager_one(backend):
    eager = Segmentor()
    compiled = copy.deepcopy(eager)
    assert compile_parts(compiled, {"backend": backend}) == 2
    before = torch._dynamo.utils.counters["stats"]["unique_graphs"]
    for one, other in zip(steps_of(eager), steps_of(compiled), strict=True):
        torch.testing.assert_close(other, one, rtol=1e-5, atol=1e-6)
    # One graph for each part: evaluation runs as it is.
    assert torch._dynamo.utils.counters["stats"]["unique_graphs"] == before + 2
    assert list(compiled.state_dict()) == list(eager.state_dict())
    for name, value in eager.state_dict().items():
        torch.testing.assert_close(compiled.state_dict()[name], value, rtol=1e-5, atol=1e-6)


def trained(tiny, folder, **how):
    options = {**STEPS, **how.pop("cfg_options", {})}
    result = segmentation.train(tiny, work_dir=folder, quiet=True, cfg_options=options, **how)
    return torch.load(folder / "iter_2.pth", weights_only=True)["state_dict"], result


def test_the_switch_compiles_backbone_and_head(tiny, tmp_path, monkeypatch):
    asked = []

    def compiler(function, **options):
        asked.append((type(function.__self__).__name__, options))
        return function

    monkeypatch.setattr(torch, "compile", compiler)
    weights, result = trained(tiny, tmp_path / "compiled", compiled=True)
    assert asked == [("IBNResNet", {}), ("FCNHead", {})]
    eager, _ = trained(tiny, tmp_path / "eager")
    assert len(asked) == 2
    assert all(torch.equal(weights[name], value) for name, value in eager.items())
    assert re.search(r"^compile ?= ?True$", result["config"], re.MULTILINE)


@pytest.mark.slow
def test_a_compiled_training_is_an_eager_one(tiny, tmp_path):
    eager, first = trained(tiny, tmp_path / "eager")
    options = {"compile": {"backend": "aot_eager"}}
    compiled, second = trained(tiny, tmp_path / "compiled", cfg_options=options)
    assert list(eager) == list(compiled)
    for name, value in eager.items():
        torch.testing.assert_close(compiled[name], value, rtol=1e-4, atol=1e-5, msg=name)
    assert second["curves"]["loss"] == pytest.approx(first["curves"]["loss"], rel=1e-5)


def test_a_value_that_is_no_switch(tiny, tmp_path):
    with pytest.raises(UserError, match="compile='yes': give True, or arguments"):
        trained(tiny, tmp_path, cfg_options={"compile": "yes"})
