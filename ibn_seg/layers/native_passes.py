"""The passes of `ibn_native.c` over float32 tensors on a CPU."""

import ctypes
from collections.abc import Sequence

import torch

from ibn_seg.layers import native
from ibn_seg.layers.passes import Plan

# The longest vectors in the C file; in channels-last memory they run along the channels.
_LANES = 16
# Below this many values a second thread costs more than it saves (`at::internal::GRAIN_SIZE`).
_VALUES_PER_THREAD = 32768
_TENSORS = (
    "instance_weight", "instance_bias", "batch_weight", "batch_bias", "running_mean", "running_var",
)  # fmt: skip


def takes(x: torch.Tensor) -> bool:
    """Return whether the passes are compiled and know type and memory of `x`."""
    return (
        x.dtype == torch.float32
        and (
            x.is_contiguous()
            or (x.size(1) >= _LANES and x.is_contiguous(memory_format=torch.channels_last))
        )
        and native.library() is not None
    )


def forward(
    x: torch.Tensor,
    tensors: Sequence[torch.Tensor | None],
    found: torch.Tensor | None,
    plan: Plan,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return y, and mean and 1 / deviation of each sample and channel; see `Passes`."""
    y = torch.empty_like(x)
    moments = x.new_empty((2, x.size(0), x.size(1)), dtype=torch.float64)
    mean, var = (None, None) if found is None else found
    _call(
        "ibn_forward", x, plan, moments, out=_address(y),
        batch_mean=_address(mean), batch_var=_address(var),
        **dict(zip(_TENSORS, map(_address, tensors), strict=True)),
    )  # fmt: skip
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
    layout = torch.contiguous_format if x.is_contiguous() else torch.channels_last
    dy = dy.contiguous(memory_format=layout)
    dx = torch.empty_like(x) if needed[0] else None
    instance = x.new_empty((2, plan.last - plan.first))
    batch = x.new_empty((2, x.size(1) - plan.last + plan.first))
    _call(
        "ibn_backward", x, plan, moments, dy=_address(dy), out=_address(dx),
        instance_weight=_address(weights[0]), batch_weight=_address(weights[1]),
        instance_dweight=_address(instance[0]), instance_dbias=_address(instance[1]),
        batch_dweight=_address(batch[0]), batch_dbias=_address(batch[1]),
    )  # fmt: skip
    results = (dx, instance[0], instance[1], batch[0], batch[1])
    return [r if wanted else None for r, wanted in zip(results, needed, strict=True)]


def _address(tensor: torch.Tensor | None) -> int | None:
    return None if tensor is None else tensor.data_ptr()


def _call(
    name: str, x: torch.Tensor, plan: Plan, moments: torch.Tensor, **pointers: int | None
) -> None:
    """Call one of the C functions."""
    problem = native.Problem(
        *x.shape[:2], x.size(2) * x.size(3), plan.first, plan.last,
        not x.is_contiguous(), plan.batch_statistics,
        torch.get_num_threads() if x.numel() > _VALUES_PER_THREAD else 1,
        plan.instance_eps, plan.batch_eps, native.parallel(), x.data_ptr(),
        mean=moments[0].data_ptr(), rstd=moments[1].data_ptr(), **pointers,
    )  # fmt: skip
    if getattr(native.library(), name)(ctypes.byref(problem)):
        raise MemoryError("no memory for the partial sums of an IBN layer")
