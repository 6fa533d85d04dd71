"""The passes of `triton_kernels` over tensors on a GPU, in float32, float16 or bfloat16.

Statistics, scales, shifts and their gradients are float32. They have not been timed: the block
sizes are common choices, not tuned ones.
"""

from collections.abc import Sequence

import torch
import triton

from ibn_seg.layers import triton_kernels as kernels
from ibn_seg.layers.passes import Plan

_TYPES = (torch.float32, torch.float16, torch.bfloat16)
# Values of a tile: 16 per thread, with Triton's default of four warps. With twice as many, some
# kernels need more registers than an H100 has.
_TILE = 2048
# Channels of a tile in channels-last memory: 64 bytes or more, read at once.
_CHANNELS = 32
# Planes are split until there are this many programs, enough for every GPU.
_PROGRAMS = 2048
# Channels and rows of a program that combines the results of others.
_GROUP, _ROWS = 16, 32


def takes(x: torch.Tensor) -> bool:
    """Return whether the passes support type and memory format of `x`."""
    return (
        x.dtype in _TYPES
        and (x.is_contiguous() or x.is_contiguous(memory_format=torch.channels_last))
        and x.numel() < 2**31  # places in it are 32-bit numbers
    )


def forward(
    x: torch.Tensor,
    tensors: Sequence[torch.Tensor | None],
    found: torch.Tensor | None,
    plan: Plan,
    relu: bool = False,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return y, and mean and 1 / deviation of each sample and channel; see `Passes`.

    With `relu` y gets a ReLU. Channels without a norm stay as they are.
    """
    with torch.cuda.device_of(x):
        mean, squares = _sample_moments(x, plan)
        samples, channels, pixels = _sizes(x)
        moments = x.new_empty((2, samples, channels), dtype=torch.float64)
        factors = x.new_empty((3, samples, channels), dtype=torch.float32)
        # A pointer that is never followed must be a pointer, too.
        pointers = [
            tensors[0] if t is None else t
            for t in (*tensors, *((None, None) if found is None else found))
        ]
        kernels.finish_forward[(triton.cdiv(channels, _GROUP),)](
            mean, squares, *pointers, moments, factors, samples, channels, pixels,
            plan.first, plan.last, plan.instance_eps, plan.batch_eps,
            BATCH=tensors[2] is not None, BATCH_STATISTICS=plan.batch_statistics,
            BC=_GROUP, BR=_ROWS,
        )  # fmt: skip
        y = torch.empty_like(x)
        layout, tiles, rows = _tiling(x)
        kernels.apply[(tiles * rows,)](
            x, y, factors, samples, channels, pixels, tiles, RELU=relu, **layout
        )
    return y, moments


def backward(
    x: torch.Tensor,
    dy: torch.Tensor,
    weights: Sequence[torch.Tensor | None],
    moments: torch.Tensor,
    plan: Plan,
    needed: Sequence[bool],
) -> list[torch.Tensor | None]:
    """Return the gradients of x, both scales and both shifts; see `Passes`."""
    samples, channels, pixels = _sizes(x)
    instance = weights[0].new_empty((2, plan.last - plan.first))
    batch = weights[0].new_empty((2, channels - plan.last + plan.first))
    dx = None
    with torch.cuda.device_of(x):
        dy = dy.contiguous(memory_format=_memory(x))
        layout, tiles, rows = _tiling(x)
        parts, steps = _parts(tiles, rows)
        sums = x.new_empty((2, samples, parts, channels), dtype=torch.float64)
        kernels.sums_of_parts[(parts * rows,)](
            x, dy, moments, *sums, channels, pixels, parts, steps, **layout
        )
        sums = sums.sum(2)
        factors = x.new_empty((4, samples, channels), dtype=torch.float32)
        kernels.finish_backward[(triton.cdiv(channels, _GROUP),)](
            sums, moments, weights[0], weights[0] if weights[1] is None else weights[1],
            *instance, *batch, factors, samples, channels, pixels, plan.first, plan.last,
            BATCH_STATISTICS=plan.batch_statistics, BC=_GROUP, BR=_ROWS,
        )  # fmt: skip
        if needed[0]:
            dx = torch.empty_like(x)
            kernels.gradient[(tiles * rows,)](
                x, dy, dx, factors, samples, channels, pixels, plan.first, plan.last, tiles,
                EVERY=plan.batch_statistics, **layout,
            )  # fmt: skip
    results = (dx, instance[0], instance[1], batch[0], batch[1])
    return [r if wanted else None for r, wanted in zip(results, needed, strict=True)]


def _sample_moments(x: torch.Tensor, plan: Plan) -> torch.Tensor:
    """Return the mean and the squares around it for each sample and channel, shape (2, N, C).

    If the running statistics are used, the batch norm's channels are left out.
    """
    samples, channels, pixels = _sizes(x)
    layout, tiles, rows = _tiling(x)
    parts, steps = _parts(tiles, rows)
    found = x.new_empty((2, samples, parts, channels), dtype=torch.float64)
    kernels.moments_of_parts[(parts * rows,)](
        x, *found, channels, pixels, plan.first, plan.last, parts, steps,
        EVERY=plan.batch_statistics, **layout,
    )  # fmt: skip
    if parts == 1:
        return found.squeeze(2)
    joined = x.new_empty((2, samples, channels), dtype=torch.float64)
    kernels.moments_of_samples[(triton.cdiv(channels, _GROUP) * samples,)](
        *found, *joined, channels, pixels, parts, steps * layout["BP"], BC=_GROUP, BR=_ROWS
    )
    return joined


def _sizes(x: torch.Tensor) -> tuple[int, int, int]:
    """Return the numbers of samples, channels and pixels."""
    return x.size(0), x.size(1), x.size(2) * x.size(3)


def _memory(x: torch.Tensor) -> torch.memory_format:
    return torch.contiguous_format if x.is_contiguous() else torch.channels_last


def _tiling(x: torch.Tensor) -> tuple[dict[str, int | bool], int, int]:
    """Return memory and tiles as kernels want them, the tiles of a row, and the rows.

    A row is the plane of one channel, or the planes of neighbouring channels.
    """
    samples, channels, pixels = _sizes(x)
    wide, high = triton.next_power_of_2(channels), triton.next_power_of_2(pixels)
    if x.is_contiguous():
        high = min(high, _TILE)
        wide = min(wide, _TILE // high)
    else:
        wide = min(wide, _CHANNELS)
        high = min(high, _TILE // wide)
    tiles = triton.cdiv(pixels, high)
    layout = {"LAST": not x.is_contiguous(), "BC": wide, "BP": high}
    return layout, tiles, samples * triton.cdiv(channels, wide)


def _parts(tiles: int, rows: int) -> tuple[int, int]:
    """Return the number of parts in which a row is read, and the tiles of one part."""
    steps = max(1, tiles // triton.cdiv(_PROGRAMS, rows))
    return triton.cdiv(tiles, steps), steps
