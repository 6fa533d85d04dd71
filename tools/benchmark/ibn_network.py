"""A training step of ResNet-50-IBN-a and -b over one of torchvision's ResNet-50, and its memory.

    python tools/benchmark/ibn_network.py [--repeats 15] [--threads 2] [--batch 4] [--size 224]
        [--cpu-time]

The networks take turns, so that what else the machine does meets them alike; a ratio is the median
of the ratios within the turns. A step is forward, loss, backward and SGD. Memory is what the
forward pass keeps for the backward pass: the distinct storages that `saved_tensors_hooks` sees.
Where others use the machine, --cpu-time with --threads 1 counts the processor's time.
"""

import argparse
import contextlib
import statistics
from collections.abc import Iterator

import torch
from ibn_layer import FORMATS, clock, plain
from torch import nn

from ibn_seg import create_model
from ibn_seg.layers import native

BASE = "torchvision resnet50"


class Trainer:
    """A network, its optimiser and one batch.

    Args:
        network: The classifier.
        images: Shape (N, 3, H, W).
        layout: The memory format of network and images.
        mode: Entered around each step.
    """

    def __init__(self, network: nn.Module, images: torch.Tensor, layout, mode) -> None:
        self.network = network.to(memory_format=layout).train()
        self.images = images.contiguous(memory_format=layout)
        self.labels = torch.arange(len(images)) % 10
        self.optimiser = torch.optim.SGD(network.parameters(), lr=1e-3, momentum=0.9)
        self.mode = mode

    def loss(self) -> torch.Tensor:
        """Return the loss of the batch."""
        return nn.functional.cross_entropy(self.network(self.images), self.labels)

    def step(self, now) -> float:
        """Return the seconds of a training step."""
        with self.mode():
            start = now()
            self.optimiser.zero_grad()
            self.loss().backward()
            self.optimiser.step()
            return now() - start

    def kept(self) -> int:
        """Return the bytes that a forward pass keeps for the backward pass."""
        storages = {}

        def pack(tensor: torch.Tensor) -> torch.Tensor:
            storage = tensor.untyped_storage()
            storages[storage.data_ptr()] = storage.nbytes()
            return tensor

        with self.mode(), torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
            loss = self.loss()
        own = {p.untyped_storage().data_ptr() for p in self.network.parameters()}
        del loss
        return sum(size for address, size in storages.items() if address not in own)


def trainers(images: torch.Tensor, layout: torch.memory_format) -> Iterator[tuple[str, Trainer]]:
    """Yield the networks by name, the one that all are compared with first."""
    import torchvision

    nothing = contextlib.nullcontext
    yield BASE, Trainer(torchvision.models.resnet50(), images, layout, nothing)
    for ibn in "ab":
        name = f"resnet50_ibn_{ibn}"
        yield name, Trainer(create_model(name), images, layout, nothing)
        yield f"{name}, plain layers", Trainer(create_model(name), images, layout, plain)


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--repeats", type=int, default=15)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--cpu-time", action="store_true")
    args = parser.parse_args()
    now = clock(args.cpu_time, args.threads)
    torch.set_num_threads(args.threads)
    torch.manual_seed(0)
    images = torch.randn(args.batch, 3, args.size, args.size)
    print(f"PyTorch {torch.__version__}, {args.threads} threads, CPU, {args.batch} images of")
    print(
        f"{args.size}x{args.size}; {args.repeats} turns; C passes: {native.library() is not None}\n"
    )
    print("| format | network | step / torchvision's | quartiles | seconds | memory |")
    print("| --- | --- | ---: | ---: | ---: | ---: |")
    for title, layout in FORMATS.items():
        rows = dict(trainers(images, layout))
        kept = {name: trainer.kept() for name, trainer in rows.items()}
        seconds = {name: [] for name in rows}
        for turn in range(2 + args.repeats):
            for name, trainer in rows.items():
                taken = trainer.step(now)
                if turn >= 2:
                    seconds[name].append(taken)
        for name, values in seconds.items():
            ratios = [a / b for a, b in zip(values, seconds[BASE], strict=True)]
            low, middle, high = statistics.quantiles(ratios, n=4)
            print(
                f"| {title} | {name} | {middle:.3f} | {low:.3f}-{high:.3f}"
                f" | {statistics.median(values):.2f} | {kept[name] / kept[BASE]:.3f} |"
            )
    print("\nCUDA: not measured; the C passes are for CPUs.")


if __name__ == "__main__":
    main()
