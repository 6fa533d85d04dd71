"""How far a step of the single passes is from double precision, over that of the plain layers.

    python tools/benchmark/gpu_kernels.py [--device cuda]

The Triton passes never ran on a GPU. So before they are timed they are compared, in float32,
float16 and bfloat16. The largest error of output and gradients is divided by the largest value.
"""

import copy

import torch
from ibn_layer import SHAPES
from timing import FORMATS, kernel, options, single_passes, start
from torch import nn

from ibn_seg.layers import IBN, InstanceNorm

TYPES = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}


def step(
    layer: nn.Module, x: torch.Tensor, weights: torch.Tensor, passes: bool = False
) -> dict[str, torch.Tensor]:
    """Return output, gradients and buffers of a training step of a copy, in double precision.

    With `passes` the layer must take them.
    """
    layer, x = copy.deepcopy(layer), x.clone().requires_grad_()
    y = layer(x)
    if passes and "SinglePass" not in y.grad_fn.name():
        raise SystemExit(f"{type(layer).__name__} did not take the passes for {x.dtype}")
    y.backward(weights)
    found = {"y": y.detach(), "dx": x.grad}
    found |= {name: value.grad for name, value in layer.named_parameters()}
    found |= {n: value for n, value in layer.named_buffers() if value.is_floating_point()}
    return {name: value.double() for name, value in found.items()}


def largest(found: dict[str, torch.Tensor], exact: dict[str, torch.Tensor]) -> float:
    """Return the largest error, each part's over its largest value."""
    return max(
        float((found[name] - value).abs().max() / value.abs().max().clamp(min=1e-12))
        for name, value in exact.items()
    )


def main() -> None:
    """Compare and print the table; the exit code is 1 if the passes are clearly worse."""
    parser = options(__doc__.partition("\n")[0])
    parser.add_argument("--shapes", type=int, default=len(SHAPES), help="the first N shapes")
    args = parser.parse_args()
    start(args)
    wrong = 0
    print("| layer | type | format | error of the passes | of the plain layers |")
    print("| --- | --- | --- | ---: | ---: |")
    for kind in (IBN, InstanceNorm):
        for name, dtype in TYPES.items():
            # The passes of C are for float32 alone.
            if args.device == "cpu" and dtype != torch.float32:
                continue
            for title, layout in FORMATS.items():
                passes, plain = 0.0, 0.0
                for shape in SHAPES[: args.shapes]:
                    layer = kind(shape[1]).to(args.device)
                    x, weights = (
                        torch.randn(shape, device=args.device, dtype=dtype)
                        .contiguous(memory_format=layout) for _ in range(2)
                    )  # fmt: skip
                    exact = step(copy.deepcopy(layer).double(), x.double(), weights.double())
                    with kernel(single_passes(args.device)):
                        passes = max(passes, largest(step(layer, x, weights, True), exact))
                    with kernel("plain"):
                        plain = max(plain, largest(step(layer, x, weights), exact))
                bad = not passes <= 4 * plain + torch.finfo(dtype).eps
                wrong += bad
                note = " **too large**" if bad else ""
                print(f"| {kind.__name__} | {name} | {title} | {passes:.1e}{note} | {plain:.1e} |")
    raise SystemExit(1 if wrong else 0)


if __name__ == "__main__":
    main()
