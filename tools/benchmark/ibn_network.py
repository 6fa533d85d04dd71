"""Time of ResNet-50-IBN-a and -b over that of torchvision's ResNet-50: a training step, inference.

    python tools/benchmark/ibn_network.py train [--repeats 15] [--threads 2] [--batch 4]
    python tools/benchmark/ibn_network.py infer [--size 224]
    python tools/benchmark/ibn_network.py train --device cuda --batch 16 --size 768 [--compiled]

The networks take turns, so that what else the machine does meets them alike; a ratio is the median
of the ratios within the turns. A step is forward, loss, backward and SGD; its memory on the CPU is
what the forward pass keeps for the backward pass (the distinct storages that `saved_tensors_hooks`
sees), on a GPU the peak. Inference compares networks after `ibn_seg.fuse` with a ResNet-50 of which
the same has folded the batch norms. On a GPU all run in bfloat16 by autocast. With --compiled all
train inside `torch.compile`.
"""

import argparse
import contextlib
import statistics
from collections.abc import Callable, Iterator

import torch
from timing import FORMATS, kernel, options, ratio, single_passes, start, turns
from torch import nn

from ibn_seg import create_model, fuse

BASE = "torchvision resnet50"
FOLDED = f"{BASE}, folded"
NAMES = ("resnet50_ibn_a", "resnet50_ibn_b")


class Trainer:
    """A network, its optimiser and one batch.

    Args:
        network: The classifier.
        images: Shape (N, 3, H, W).
        layout: The memory format of network and images.
        value: The switch of the single passes during its steps.
        compiled: Whether the network is compiled.
    """

    def __init__(
        self,
        network: nn.Module,
        images: torch.Tensor,
        layout: torch.memory_format,
        value: str,
        compiled: bool,
    ) -> None:
        network = network.to(images.device, memory_format=layout).train()
        self.network = torch.compile(network) if compiled else network
        self.images = images.contiguous(memory_format=layout)
        self.labels = torch.arange(len(images), device=images.device) % 10
        self.optimiser = torch.optim.SGD(network.parameters(), lr=1e-3, momentum=0.9)
        self.value = value

    def loss(self) -> torch.Tensor:
        """Return the loss of the batch."""
        with autocast(self.images):
            return nn.functional.cross_entropy(self.network(self.images), self.labels)

    def step(self) -> None:
        """Run a training step."""
        with kernel(self.value):
            self.optimiser.zero_grad()
            self.loss().backward()
            self.optimiser.step()

    def memory(self) -> int:
        """Return the bytes of a step: kept for the backward pass, on a GPU the peak."""
        if self.images.is_cuda:
            torch.cuda.reset_peak_memory_stats()
            self.step()
            return torch.cuda.max_memory_allocated()
        storages = {}

        def pack(tensor: torch.Tensor) -> torch.Tensor:
            storage = tensor.untyped_storage()
            storages[storage.data_ptr()] = storage.nbytes()
            return tensor

        hooks = torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor)
        with kernel(self.value), hooks:
            loss = self.loss()
        own = {p.untyped_storage().data_ptr() for p in self.network.parameters()}
        del loss
        return sum(size for address, size in storages.items() if address not in own)


def autocast(images: torch.Tensor) -> contextlib.AbstractContextManager:
    """Return mixed precision on a GPU, nothing on the CPU."""
    return torch.autocast("cuda", torch.bfloat16, enabled=images.is_cuda)


def networks(device: str) -> Iterator[tuple[str, nn.Module, str]]:
    """Yield name, network and switch; the one that all are compared with first."""
    import torchvision

    value = single_passes(device)
    yield BASE, torchvision.models.resnet50(), value
    for name in NAMES:
        yield name, create_model(name), value
        yield f"{name}, plain layers", create_model(name), "plain"


def train(images: torch.Tensor, layout: torch.memory_format, args, stopwatch: Callable) -> list:
    """Return the rows of the training step: name, two cells of ratio, seconds, memory."""
    # The compiler takes the plain layers in any case.
    rows = (row for row in networks(args.device) if not args.compiled or row[2] != "plain")
    trainers = {
        name: Trainer(net, images, layout, value, args.compiled) for name, net, value in rows
    }
    memory = {name: trainer.memory() for name, trainer in trainers.items()}
    steps = {name: lambda t=trainer: stopwatch(t.step) for name, trainer in trainers.items()}
    seconds = turns(steps, args.repeats)
    return [
        (name, ratio(values, seconds[BASE]), values, f"{memory[name] / memory[BASE]:.3f}")
        for name, values in seconds.items()
    ]


def infer(images: torch.Tensor, layout: torch.memory_format, args, stopwatch: Callable) -> list:
    """Return the rows of inference, over the folded ResNet-50; no memory."""
    rows = {}
    for name, network, value in networks(args.device):
        if value == "plain":
            continue
        network = network.eval().to(images.device, memory_format=layout)
        rows[name] = network
        fused, _ = fuse(network, example=images[:1])
        rows[f"{name}, folded" if name == BASE else f"{name}, fused"] = fused
    images = images.contiguous(memory_format=layout)

    def run(network: nn.Module) -> float:
        with kernel(single_passes(args.device)), torch.inference_mode(), autocast(images):
            return stopwatch(lambda: network(images))

    seconds = turns({name: lambda n=net: run(n) for name, net in rows.items()}, args.repeats)
    return [(name, ratio(values, seconds[FOLDED]), values, "") for name, values in seconds.items()]


def main() -> None:
    """Measure and print the table."""
    parser = options(__doc__.partition("\n")[0])
    parser.add_argument("what", choices=("train", "infer"))
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--compiled", action="store_true")
    args: argparse.Namespace = parser.parse_args()
    stopwatch = start(args)
    images = torch.randn(args.batch, 3, args.size, args.size, device=args.device)
    measure, base = (train, BASE) if args.what == "train" else (infer, FOLDED)
    print(f"{args.what}, {args.batch} images of {args.size}x{args.size}\n")
    print(f"| format | network | time / {base} | quartiles | seconds | memory |")
    print("| --- | --- | ---: | ---: | ---: | ---: |")
    for title, layout in FORMATS.items():
        for name, cells, values, memory in measure(images, layout, args, stopwatch):
            print(
                f"| {title} | {name} | {cells} | {statistics.median(values):.3f} | {memory} |",
                flush=True,
            )
    if args.device == "cpu":
        print("\nCUDA: not measured (--device cuda).")


if __name__ == "__main__":
    main()
