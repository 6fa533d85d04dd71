"""Time of an IBN layer over that of its plain form and of batch norm, forward and backward.

    python tools/benchmark/ibn_layer.py [--repeats 15] [--threads 2] [--compiled] [--cpu-time]

All three run in turns, so that what else the machine does meets them alike; the table has ratios of
medians. The plain form is the one that `IBN_SEG_KERNEL=plain` forces: split, instance norm, batch
norm, concatenation. With --compiled all three are inside `torch.compile`. Where others use the
machine, --cpu-time with --threads 1 counts what the processor spent instead of what the clock did.
"""

import argparse
import contextlib
import os
import statistics
import time
from collections.abc import Callable, Iterator

import torch
from torch import nn

from ibn_seg.layers import IBN, native

# Where ResNet-50-IBN-a has an IBN: input 224x224 in batches of four, and 512x1024, one image, with
# the last two stages dilated.
SHAPES = (
    (4, 64, 56, 56), (4, 128, 56, 56), (4, 128, 28, 28), (4, 256, 28, 28), (4, 256, 14, 14),
    (1, 64, 128, 256), (1, 128, 128, 256), (1, 128, 64, 128), (1, 256, 64, 128),
)  # fmt: skip
FORMATS = {"NCHW": torch.contiguous_format, "channels_last": torch.channels_last}


os.environ[native.SWITCH] = "auto"


@contextlib.contextmanager
def plain() -> Iterator[None]:
    """Force the plain form."""
    os.environ[native.SWITCH] = "plain"
    try:
        yield
    finally:
        os.environ[native.SWITCH] = "auto"


def clock(cpu_time: bool, threads: int) -> Callable[[], float]:
    """Return the clock that was asked for."""
    if cpu_time and threads > 1:
        raise SystemExit("--cpu-time counts waiting threads as busy: use --threads 1")
    return time.process_time if cpu_time else time.perf_counter


def step(layer: nn.Module, x: torch.Tensor, gradient: torch.Tensor, now) -> float:
    """Return the seconds of one pass forward and backward."""
    x.grad = None
    layer.zero_grad()
    start = now()
    layer(x).backward(gradient)
    return now() - start


def medians(
    rows: dict[str, Callable[[], float]], repeats: int, warm_up: int = 3
) -> dict[str, float]:
    """Return the median of what each row returns; the rows take turns."""
    found = {name: [] for name in rows}
    for turn in range(warm_up + repeats):
        for name, run in rows.items():
            value = run()
            if turn >= warm_up:
                found[name].append(value)
    return {name: statistics.median(values) for name, values in found.items()}


def measure(shape, layout: torch.memory_format, repeats: int, compiled: bool, now) -> dict:
    """Return the median seconds of the three."""
    torch.manual_seed(0)
    x = torch.randn(shape).contiguous(memory_format=layout).requires_grad_()
    gradient = torch.randn(shape).contiguous(memory_format=layout)
    layers = {"ours": IBN(shape[1]), "plain": IBN(shape[1]), "batch norm": nn.BatchNorm2d(shape[1])}
    if compiled:
        layers = {name: torch.compile(layer) for name, layer in layers.items()}

    def run(name: str) -> float:
        with plain() if name == "plain" else contextlib.nullcontext():
            return step(layers[name], x, gradient, now)

    return medians({name: lambda name=name: run(name) for name in layers}, repeats)


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--repeats", type=int, default=15)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--compiled", action="store_true")
    parser.add_argument("--cpu-time", action="store_true")
    args = parser.parse_args()
    now = clock(args.cpu_time, args.threads)
    torch.set_num_threads(args.threads)
    print(f"PyTorch {torch.__version__}, {args.threads} threads, CPU; forward and backward,")
    print(f"medians of {args.repeats}; compiled passes: {native.library() is not None}\n")
    print("| format | shape | plain / ours | ours / batch norm | ours, ms |")
    print("| --- | --- | ---: | ---: | ---: |")
    for name, layout in FORMATS.items():
        faster, slower = [], []
        for shape in SHAPES:
            seconds = measure(shape, layout, args.repeats, args.compiled, now)
            faster.append(seconds["plain"] / seconds["ours"])
            slower.append(seconds["ours"] / seconds["batch norm"])
            size = "x".join(map(str, shape))
            print(
                f"| {name} | {size} | {faster[-1]:.2f} | {slower[-1]:.2f}"
                f" | {1e3 * seconds['ours']:.2f} |",
                flush=True,
            )
        print(
            f"| **{name}** | median (worst) | **{statistics.median(faster):.2f}**"
            f" ({min(faster):.2f}) | **{statistics.median(slower):.2f}** ({max(slower):.2f}) | |"
        )
    if torch.cuda.is_available():
        print("\nCUDA: the C passes are for CPUs, a GPU runs the plain form; not measured.")


if __name__ == "__main__":
    main()
