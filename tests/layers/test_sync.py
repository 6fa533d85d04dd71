"""Two processes with parts of a batch against one process with the whole."""

import pytest
import torch
from torch import multiprocessing, nn

from ibn_seg.errors import UserError
from ibn_seg.layers import IBN, SynchronisedBatchNorm
from ibn_seg.layers.sync import for_cpu
from tests.layers import processes
from tests.layers.processes import CASES, PROCESSES, batch, network, ran

# float64 is rounded in another order, as float32 is; bfloat16 has three digits.
TOLERANCES = {torch.float64: 1e-9, torch.float32: 1e-5, torch.bfloat16: 2e-2}


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    """What each of the processes found, by case."""
    folder = tmp_path_factory.mktemp("sync")
    multiprocessing.spawn(processes.work, (str(folder),), nprocs=PROCESSES)
    return [torch.load(folder / f"{rank}.pt", weights_only=True) for rank in range(PROCESSES)]


def assert_near(found, expected, dtype):
    tolerance = TOLERANCES[dtype]
    scale = max(1.0, expected.abs().max().item()) if expected.numel() else 1.0
    torch.testing.assert_close(found, expected, rtol=tolerance, atol=tolerance * scale)


@pytest.mark.parametrize("name", CASES)
def test_two_processes_are_one(found, name):
    case = CASES[name]
    x, factors = batch(case)
    whole = ran(network(case), x, factors, case)
    parts = [each[name] for each in found]
    assert all(part["same keys"] and part["same layout"] for part in parts)
    for key in ("out", "input"):
        assert_near(torch.cat([part[key] for part in parts]), whole[key], case.dtype)
    assert_near(sum(part["loss"] for part in parts), whole["loss"], case.dtype)
    for parameter, gradient in whole["parameters"].items():
        summed = sum(part["parameters"][parameter] for part in parts)
        assert_near(summed, gradient, case.dtype)
    for part in parts:
        assert part["buffers"].keys() == whole["buffers"].keys()
        for buffer, expected in whole["buffers"].items():
            assert_near(part["buffers"][buffer], expected, case.dtype)


def test_the_statistics_are_not_those_of_the_parts(found):
    """So that the comparison above can fail."""
    case = CASES["batch norm"]
    x, factors = batch(case)
    part = ran(network(case), x[:3], factors[:3], case)
    assert (part["out"] - found[0]["batch norm"]["out"]).abs().max() > 0.1
    # ... and those of a group of one are.
    assert torch.equal(found[0]["alone"]["out"], part["out"])
    assert torch.equal(found[1]["alone"]["input"], part["input"])


def test_further_derivatives(found):
    case = processes.Case("norm", norm={"track_running_stats": False}, dtype=torch.float64)
    layer, (x, _) = network(case), batch(case)

    def loss(whole):
        return layer(whole).tanh().square().sum()

    once = x.clone().requires_grad_()
    (first,) = torch.autograd.grad(loss(once), once, create_graph=True)
    first.square().sum().backward()
    _, tangent = torch.func.jvp(layer, (x,), (x.cos(),))
    expected = {"second": once.grad, "func": first, "functional": first, "jvp": tangent}
    for key, whole in expected.items():
        parts = torch.cat([each["derivatives"][key] for each in found])
        torch.testing.assert_close(parts, whole.detach(), rtol=1e-8, atol=1e-9)


def test_replicas_on_cpu(found):
    """DistributedDataParallel takes the norm, and averages the gradients as always."""
    case = CASES["IBN"]
    x, factors = batch(case)
    whole = ran(network(case), x, factors, case)["parameters"]
    for each in found:
        for name, gradient in whole.items():
            torch.testing.assert_close(each["replicas"][name] * PROCESSES, gradient)


def test_conversion_keeps_the_tensors():
    shared = nn.BatchNorm2d(4)
    model = nn.Sequential(shared, nn.Conv2d(4, 8, 1), IBN(8), shared, nn.SyncBatchNorm(8)).eval()
    state = model.state_dict(keep_vars=True)
    converted = SynchronisedBatchNorm.convert_sync_batchnorm(model)
    assert converted is model
    assert isinstance(converted[2].BN, SynchronisedBatchNorm)
    assert isinstance(converted[2].IN, nn.InstanceNorm2d)
    assert converted[0] is converted[3]
    assert not any(module.training for module in converted.modules())
    after = converted.state_dict(keep_vars=True)
    assert list(after) == list(state)
    assert all(after[key] is state[key] for key in state)
    # PyTorch's own conversion takes ours as it takes every batch norm.
    back = nn.SyncBatchNorm.convert_sync_batchnorm(converted)
    assert type(back[2].BN) is nn.SyncBatchNorm


def test_only_what_needs_a_gpu_is_replaced_for_the_cpu():
    model = for_cpu(nn.Sequential(nn.BatchNorm2d(4), IBN(8, norm_layer=nn.SyncBatchNorm)))
    assert type(model[0]) is nn.BatchNorm2d
    assert type(model[1].BN) is SynchronisedBatchNorm


def test_one_process_has_a_plain_batch_norm():
    plain = nn.BatchNorm2d(4)
    layer = SynchronisedBatchNorm(4)
    x = torch.randn(3, 4, 5, 5)
    assert torch.equal(layer(x), plain(x))
    assert torch.equal(layer.running_var, plain.running_var)
    with pytest.raises(ValueError, match="Expected more than 1 value per channel"):
        layer(torch.randn(1, 4, 1, 1))


@pytest.mark.parametrize("settings", [{}, {"affine": False}, {"track_running_stats": False}])
def test_scripted_and_traced_it_evaluates_only(settings):
    layer = SynchronisedBatchNorm(3, **settings).eval()
    for value in layer.state_dict().values():
        if value.is_floating_point():
            value.uniform_(0.5, 1.5)
    x = torch.randn(2, 3, 4, 4)
    scripted = torch.jit.script(layer)
    assert torch.equal(scripted(x), layer(x))
    assert torch.equal(torch.fx.symbolic_trace(layer)(x), layer(x))
    with pytest.raises(torch.jit.Error, match="evaluates only"):
        scripted.train()(x)
    with pytest.raises(UserError, match="in training mode cannot be traced or scripted"):
        torch.fx.symbolic_trace(layer.train())


def test_a_norm_with_an_activation_is_not_cut():
    timm = pytest.importorskip("timm.layers")
    with pytest.raises(UserError, match=r"BatchNormAct2d does more .* use the converter"):
        SynchronisedBatchNorm.convert_sync_batchnorm(nn.Sequential(timm.BatchNormAct2d(4)))
