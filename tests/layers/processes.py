"""What the two processes of `test_sync.py` do with their parts of a batch."""

import copy
import os
from dataclasses import dataclass, field

import torch
import torch.distributed as dist
from torch import nn

from ibn_seg.layers import IBN, SynchronisedBatchNorm
from ibn_seg.layers.whitening.switchable import SwitchWhiten2d
from ibn_seg.models import create_model

PROCESSES = 2


@dataclass(frozen=True)
class Case:
    """A network, and how many images each of the processes has."""

    build: str
    parts: tuple[int, int] = (3, 3)
    shape: tuple[int, ...] = (8, 5, 4)
    norm: dict = field(default_factory=dict)
    dtype: torch.dtype = torch.float32
    channels_last: bool = False
    mode: str = "train"


CASES = {
    "batch norm": Case("norm"),
    "uneven": Case("norm", (5, 1)),
    "one has nothing": Case("norm", (0, 4)),
    "no images of one pixel": Case("norm", (1, 1), (8,)),
    "one dimension": Case("norm", (3, 2), (8, 7)),
    "channels last": Case("norm", (3, 2), channels_last=True),
    "double precision": Case("norm", (3, 2), dtype=torch.float64),
    "half": Case("norm", (4, 4), (8, 9, 9), dtype=torch.bfloat16),
    "plain average": Case("norm", norm={"momentum": None}),
    "no scale": Case("norm", norm={"affine": False}),
    "no running statistics": Case("norm", norm={"track_running_stats": False}),
    "IBN": Case("ibn", (4, 2)),
    "IBN, batch norm first": Case("ibn_last", (2, 4)),
    **{
        f"switchable whitening {kind}": Case(f"sw{kind}", (4, 2), dtype=torch.float64)
        for kind in (2, 3, 5)
    },
    "switchable whitening, one has nothing": Case("sw2", (0, 4), dtype=torch.float64),
    "evaluation": Case("ibn", (4, 2), mode="eval"),
    "ResNet-18-IBN-a": Case("resnet18_ibn_a", (3, 1), (3, 64, 64), dtype=torch.float64),
    "recomputed": Case("recomputed", (2, 2), (3, 64, 64), dtype=torch.float64),
    "DenseNet": Case("densenet", (2, 1), (3, 64, 64), dtype=torch.float64),
}


def network(case: Case) -> nn.Module:
    """Return the network of a case with plain batch norms and random norms."""
    torch.manual_seed(0)
    if case.build == "norm":
        kind = {1: nn.BatchNorm1d, 2: nn.BatchNorm1d, 3: nn.BatchNorm2d}[len(case.shape)]
        made = kind(case.shape[0], **case.norm)
    elif case.build.startswith("ibn"):
        made = IBN(case.shape[0], 0.25, instance_first=case.build == "ibn")
    elif case.build.startswith("sw"):
        made = SwitchWhiten2d(case.shape[0], 4, int(case.build[2:]))
    elif case.build == "densenet":
        made = create_model("densenet121_ibn_a", num_classes=3)
    else:
        options = {"base_channels": 8, "with_cp": case.build == "recomputed"}
        made = create_model("resnet18_ibn_a", num_classes=3, zero_init_residual=False, **options)
    for name, tensor in made.state_dict().items():
        if tensor.is_floating_point() and tensor.dim() == 1:
            tensor.uniform_(0.5, 1.5) if name.endswith(("weight", "var")) else tensor.normal_()
    made = made.to(case.dtype)
    return made.train(case.mode == "train")


def batch(case: Case) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the whole batch and what its output is multiplied with in the loss."""
    torch.manual_seed(1)
    x = torch.randn(sum(case.parts), *case.shape, dtype=torch.float64) * 3 + 5
    return x.to(case.dtype), torch.randn(sum(case.parts), 3, dtype=torch.float64)


def ran(model: nn.Module, x: torch.Tensor, factors: torch.Tensor, case: Case) -> dict:
    """Return output, gradients and buffers of a loss that sums over images."""
    x = x.detach().clone(memory_format=torch.contiguous_format)
    if case.channels_last:
        x = x.contiguous(memory_format=torch.channels_last)
    out = model(x.requires_grad_())
    layout = torch.channels_last if case.channels_last else torch.contiguous_format
    means = out.to(torch.float64).flatten(2).square().mean(2) if out.dim() > 2 else out
    loss = (means[:, :3].tanh() * factors[:, : means.shape[1]]).sum()
    loss.backward()
    return {
        "out": out.detach(),
        "loss": loss.detach(),
        "input": x.grad,
        "same layout": out.is_contiguous(memory_format=layout),
        "parameters": {name: p.grad for name, p in model.named_parameters()},
        "buffers": {name: b.clone() for name, b in model.named_buffers()},
    }


def derivatives(rank: int) -> dict:
    """Return a second derivative, and what `torch.func` gives, of three images of each process."""
    case = Case("norm", norm={"track_running_stats": False}, dtype=torch.float64)
    layer = SynchronisedBatchNorm.of(network(case))
    x, _ = batch(case)
    x = x[rank * 3 : rank * 3 + 3]

    def loss(part: torch.Tensor) -> torch.Tensor:
        return layer(part).tanh().square().sum()

    once = x.clone().requires_grad_()
    (first,) = torch.autograd.grad(loss(once), once, create_graph=True)
    first.square().sum().backward()
    tracking = SynchronisedBatchNorm.of(network(Case("norm", dtype=torch.float64)))
    buffers = {name: buffer.clone() for name, buffer in tracking.named_buffers()}

    def functional(part: torch.Tensor) -> torch.Tensor:
        state = {name: buffer.clone() for name, buffer in buffers.items()}
        return torch.func.functional_call(tracking, state, (part,)).tanh().square().sum()

    return {
        "second": once.grad,
        "func": torch.func.grad(loss)(x),
        "functional": torch.func.grad(functional)(x),
        "jvp": torch.func.jvp(layer, (x,), (x.cos(),))[1].detach(),
    }


def alone(rank: int) -> dict:
    """Return what a norm gives that shares its statistics with no one."""
    groups = [dist.new_group([member]) for member in range(PROCESSES)]
    case = CASES["batch norm"]
    model = SynchronisedBatchNorm.of(network(case), groups[rank])
    x, factors = batch(case)
    return ran(model, x[:3], factors[:3], case)


def replicas(rank: int) -> dict:
    """Return the parameters after a step of `DistributedDataParallel`."""
    case = CASES["IBN"]
    model = SynchronisedBatchNorm.convert_sync_batchnorm(network(case))
    wrapped = nn.parallel.DistributedDataParallel(model)
    x, factors = batch(case)
    mine = slice(0, 3) if rank == 0 else slice(3, 6)
    ran(wrapped, x[mine], factors[mine], case)
    return {name: p.grad for name, p in model.named_parameters()}


def work(rank: int, folder: str) -> None:
    """Run all cases as one of the processes and write what they gave."""
    torch.set_num_threads(1)
    os.environ["GLOO_SOCKET_IFNAME"] = "lo"
    dist.init_process_group(
        "gloo", init_method=f"file://{folder}/rendezvous", rank=rank, world_size=PROCESSES
    )
    found = {}
    for name, case in CASES.items():
        model = network(case)
        keys = list(model.state_dict())
        model = SynchronisedBatchNorm.convert_sync_batchnorm(model)
        x, factors = batch(case)
        start = sum(case.parts[:rank])
        mine = slice(start, start + case.parts[rank])
        found[name] = ran(copy.deepcopy(model), x[mine], factors[mine], case)
        found[name]["same keys"] = list(model.state_dict()) == keys
    found["derivatives"] = derivatives(rank)
    found["alone"] = alone(rank)
    found["replicas"] = replicas(rank)
    torch.save(found, f"{folder}/{rank}.pt")
    dist.destroy_process_group()
