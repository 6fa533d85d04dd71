"""A norm between addition and activation: only where the block's steps allow it."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

import ibn_seg
from ibn_seg.errors import UserError
from ibn_seg.surgery.addition import COMPILED_SINCE


class BasicBlock(nn.Module):
    """A block as most libraries write it; the tests override `forward`."""

    def __init__(self, channels=8):
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1)
        self.bn2 = nn.BatchNorm2d(channels)
        self.relu = nn.ReLU()

    def residual(self, x):
        return self.bn2(self.conv2(self.relu(self.bn1(self.conv1(x)))))

    def forward(self, x):
        return self.relu(x + self.residual(x))


class Network(nn.Module):
    def __init__(self, block):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 8, 3)
        self.bn1 = nn.BatchNorm2d(8)
        self.layer1 = nn.Sequential(BasicBlock(), block)
        self.layer2 = nn.Sequential(BasicBlock())

    def forward(self, x):
        return self.layer2(self.layer1(self.bn1(self.conv1(x))))


class Functional(BasicBlock):
    def forward(self, x):
        return F.relu(x + self.residual(x))


class Linear(BasicBlock):
    def forward(self, x):
        return x + self.residual(x)


class Scaled(BasicBlock):
    def forward(self, x):
        return self.relu(2 * (x + self.residual(x)))


class SumKept(BasicBlock):
    def forward(self, x):
        total = x + self.residual(x)
        self.last_sum = total.mean()
        return self.relu(total)


class Branching(BasicBlock):
    def forward(self, x):
        total = x + self.residual(x)
        return self.relu(total) if x.sum() > 0 else self.relu(2 * total)


class TwoInputs(BasicBlock):
    def forward(self, x, y=None):
        return self.relu(x + self.residual(x))


class Bound(BasicBlock):
    """Calls its activation past the attribute, where nothing can come between."""

    def __init__(self):
        super().__init__()
        self.activate = [self.relu]

    def forward(self, x):
        return self.activate[0](x + self.residual(x))


class Inherited(BasicBlock):
    def forward(self, x):
        return super().forward(x)


class OtherwiseInTraining(BasicBlock):
    def forward(self, x):
        out = x + self.residual(x)
        return self.relu(out if self.training else self.relu(out) + x)


class NoActivation(BasicBlock):
    def __init__(self):
        super().__init__()
        self.relu = nn.Identity()


REFUSED = {
    Functional: "does not end in a call of its activation module",
    Linear: "does not end in a call of its activation module",
    NoActivation: "does not end in a call of its activation module",
    Scaled: "does not follow a residual addition alone",
    SumKept: "does not follow a residual addition alone",
    Branching: "cannot be traced",
    OtherwiseInTraining: "calls of the activation differ between training",
    TwoInputs: "more than one input",
    Bound: "cannot be interrupted",
}


@pytest.mark.parametrize("block", REFUSED)
def test_blocks_without_a_place_for_the_norm_are_refused(block):
    model = Network(block())
    names = [name for name, _ in model.named_modules()]
    with pytest.raises(
        UserError, match=rf"layer1\.1 \({block.__name__}\) cannot get .*: .*{REFUSED[block]}"
    ):
        ibn_seg.convert(model, "b", inplace=True)
    assert [name for name, _ in model.named_modules()] == names
    assert type(model.layer1[1]) is block
    assert len(ibn_seg.convert(model, "a").report.split) == 3


def test_a_block_that_calls_the_forward_pass_it_inherits():
    block = Inherited().eval()
    converted = ibn_seg.convert(Network(block), "b").model.layer1[1].eval()
    x = torch.randn(2, 8, 5, 5)
    torch.testing.assert_close(converted(x), F.instance_norm(x + block.residual(x)).relu())


class OwnState(BasicBlock):
    """Sets and calls what is its own while it runs."""

    calls = 0

    def forward(self, x):
        self.calls = self.calls + 1
        return self.relu(self.residual(x) + x)


def test_the_block_keeps_its_own_forward_pass():
    model = ibn_seg.convert(Network(OwnState()), "b").model.eval()
    block = model.layer1[1]
    before = block.calls
    x = torch.randn(2, 8, 5, 5)
    for number in (1, 2):
        out = block(x)
        assert block.calls == before + number
        torch.testing.assert_close(out, F.instance_norm(x + block.residual(x)).relu())
    assert repr(block).startswith("OwnStateWithIN(")


def test_hooks_of_the_activation_and_of_the_norm_are_called():
    model = ibn_seg.convert(Network(BasicBlock()), "b").model
    block = model.layer1[1]
    called = []
    block.relu.register_forward_hook(lambda *_: called.append("relu"))
    block.IN.register_forward_hook(lambda *_: called.append("IN"))
    model(torch.randn(2, 3, 8, 8))
    assert called == ["relu", "IN", "relu"]


@pytest.mark.parametrize("variant", ["a", "b"])
def test_compiled(variant):
    model = ibn_seg.convert(Network(BasicBlock()), variant).model.eval()
    x = torch.randn(2, 3, 8, 8)
    with torch.no_grad():
        torch.testing.assert_close(torch.compile(model, backend="eager")(x), model(x))


@pytest.mark.parametrize("variant", ["a", "b"])
def test_compiled_as_a_whole_and_exported(variant):
    if variant == "b" and torch.__version__ < COMPILED_SINCE:
        pytest.skip(f"PyTorch {torch.__version__} compiles only what is around a norm of variant b")
    model = ibn_seg.convert(Network(BasicBlock()), variant).model.eval()
    x = torch.randn(2, 3, 8, 8)
    with torch.no_grad():
        expected = model(x)
        compiled = torch.compile(model, backend="eager", fullgraph=True)
        torch.testing.assert_close(compiled(x), expected)
        torch.testing.assert_close(torch.export.export(model, (x,)).module()(x), expected)
