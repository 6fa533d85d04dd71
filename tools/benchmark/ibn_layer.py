"""Time of an IBN layer over that of its plain form and of batch norm, forward and backward.

    python tools/benchmark/ibn_layer.py [--repeats 15] [--threads 2] [--compiled] [--device cuda]

All three run in turns; the table has ratios of medians. The plain form is the one that
`IBN_SEG_KERNEL=plain` forces: split, instance norm, batch norm, concatenation. With --compiled all
three are inside `torch.compile`. On a GPU the values are bfloat16, and the last column compares
with the time in which the bytes that must move (x once and y once forward, x and dy once and dx
once backward) are copied there.
"""

import statistics
from collections.abc import Callable

import torch
from timing import FORMATS, kernel, options, single_passes, start, turns
from torch import nn

from ibn_seg.layers import IBN

# Where ResNet-50-IBN-a has an IBN: input 224x224 in batches of four, and 512x1024, one image, with
# the last two stages dilated.
SHAPES = (
    (4, 64, 56, 56), (4, 128, 56, 56), (4, 128, 28, 28), (4, 256, 28, 28), (4, 256, 14, 14),
    (1, 64, 128, 256), (1, 128, 128, 256), (1, 128, 64, 128), (1, 256, 64, 128),
)  # fmt: skip
# Of the five tensors that move in a step, a copy moves two.
COPIES = 5 / 2


def measure(shape, layout: torch.memory_format, args, stopwatch: Callable) -> dict[str, float]:
    """Return the median seconds of the three, and on a GPU of a copy as 'copy'."""
    dtype = torch.bfloat16 if args.device == "cuda" else torch.float32
    place = {"device": args.device, "dtype": dtype}
    x = torch.randn(shape, **place).contiguous(memory_format=layout).requires_grad_()
    gradient = torch.randn(shape, **place).contiguous(memory_format=layout)
    layers = {"ours": IBN(shape[1]), "plain": IBN(shape[1]), "batch norm": nn.BatchNorm2d(shape[1])}
    layers = {name: layer.to(args.device) for name, layer in layers.items()}
    if args.compiled:
        # Each shape is compiled anew: after a few shapes of one function the compiler gives up.
        torch._dynamo.reset()
        layers = {name: torch.compile(layer) for name, layer in layers.items()}

    def run(name: str) -> float:
        x.grad = None
        layers[name].zero_grad()
        with kernel("plain" if name == "plain" else single_passes(args.device)):
            return stopwatch(lambda: layers[name](x).backward(gradient))

    rows = {name: lambda name=name: run(name) for name in layers}
    if args.device == "cuda":
        rows["copy"] = lambda: stopwatch(lambda: gradient.clone(memory_format=layout))
    return {name: statistics.median(values) for name, values in turns(rows, args.repeats).items()}


def main() -> None:
    """Measure and print the table."""
    parser = options(__doc__.partition("\n")[0])
    parser.add_argument("--compiled", action="store_true")
    parser.add_argument("--shapes", type=int, default=len(SHAPES), help="the first N shapes")
    args = parser.parse_args()
    stopwatch = start(args)
    print("| format | shape | plain / ours | ours / batch norm | ours, ms | ours / floor |")
    print("| --- | --- | ---: | ---: | ---: | ---: |")
    for name, layout in FORMATS.items():
        faster, slower = [], []
        for shape in SHAPES[: args.shapes]:
            seconds = measure(shape, layout, args, stopwatch)
            faster.append(seconds["plain"] / seconds["ours"])
            slower.append(seconds["ours"] / seconds["batch norm"])
            floor = "not measured"
            if "copy" in seconds:
                floor = f"{seconds['ours'] / (COPIES * seconds['copy']):.2f}"
            print(
                f"| {name} | {'x'.join(map(str, shape))} | {faster[-1]:.2f} | {slower[-1]:.2f}"
                f" | {1e3 * seconds['ours']:.2f} | {floor} |",
                flush=True,
            )
        print(
            f"| **{name}** | median (worst) | **{statistics.median(faster):.2f}**"
            f" ({min(faster):.2f}) | **{statistics.median(slower):.2f}** ({max(slower):.2f}) | | |"
        )


if __name__ == "__main__":
    main()
