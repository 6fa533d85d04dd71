"""Resizes a part of a map bilinearly, with exactly the coordinates of the whole map."""

from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class AxisResize:
    """One axis of a resize, where only a part of the result is wanted.

    Attributes:
        whole_in: Cells of the whole map before the resize.
        whole_out: Cells of the whole map after it.
        first_in: First cell of the available part in the whole map.
        first_out: First cell of the wanted part in the resized whole map.
        count: Number of wanted cells.
    """

    whole_in: int
    whole_out: int
    first_in: int
    first_out: int
    count: int


def resize_part(
    x: torch.Tensor, rows: AxisResize, columns: AxisResize, align_corners: bool | None
) -> torch.Tensor:
    """Return a part of the result of `interpolate(mode='bilinear', size=...)` on the whole map.

    Args:
        x: The available part of the map, shape (N, C, h, w). Its nearest cells replace needed cells
            that it lacks.
        rows: The resize of the rows.
        columns: The resize of the columns.
        align_corners: As in `torch.nn.functional.interpolate`.

    Returns:
        Shape (N, C, rows.count, columns.count).
    """
    for dim, axis in ((2, rows), (3, columns)):
        x = _resize_axis(x, dim, axis, bool(align_corners))
    return x


def source_positions(
    axis: AxisResize, align_corners: bool, dtype: torch.dtype = torch.float32
) -> torch.Tensor:
    """Return the wanted cells' coordinates in the whole map before the resize, shape (count,).

    PyTorch rounds the ratio, and then the fused product and sum, to the type of the map:
    https://github.com/pytorch/pytorch/blob/v2.1.0/aten/src/ATen/native/UpSample.h
    """
    wanted = torch.arange(axis.first_out, axis.first_out + axis.count, dtype=torch.float64)
    before, after = (torch.tensor(n, dtype=dtype) for n in (axis.whole_in, axis.whole_out))
    if align_corners:
        ratio = (before - 1) / (after - 1) if axis.whole_out > 1 else before * 0
        return (wanted * ratio.double()).to(dtype)
    return ((wanted + 0.5) * (before / after).double() - 0.5).to(dtype).clamp_(min=0)


def _resize_axis(x: torch.Tensor, dim: int, axis: AxisResize, align_corners: bool) -> torch.Tensor:
    here = x.shape[dim]
    if axis.whole_in == axis.whole_out:  # each cell is its own source
        first = axis.first_out - axis.first_in
        if first >= 0 and first + axis.count <= here:
            return x.narrow(dim, first, axis.count)
    dtype = torch.float64 if x.dtype == torch.float64 else torch.float32
    position = source_positions(axis, align_corners, dtype)
    low = position.floor().clamp_(max=axis.whole_in - 1)
    high = (low + 1).clamp_(max=axis.whole_in - 1)
    share = (position - low).to(x).view(-1, *[1] * (3 - dim))
    low, high = (
        (cell.long() - axis.first_in).clamp_(0, here - 1).to(x.device) for cell in (low, high)
    )
    return torch.lerp(x.index_select(dim, low), x.index_select(dim, high), share)
