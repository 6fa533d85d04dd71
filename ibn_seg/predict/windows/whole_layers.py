"""Sums over windows the statistics for layers that see the whole picture."""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch.nn import functional as F

_MEANS = (torch.mean, torch.Tensor.mean)
# Number of channels whose float64 copies are in memory at a time.
_CHUNK = 16


@dataclass(frozen=True)
class WholeLayer:
    """One call of a layer whose result depends on all pixels.

    Attributes:
        x: Its input, shape (1, C, h, w).
        result: Computes the layer's result from each channel's mean and variance, shape (C,),
            float64.
    """

    x: torch.Tensor
    result: Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


class Moments:
    """Mean and variance of each channel over parts added one by one.

    Parts are merged in float64, by the formulas of Chan et al. (The American Statistician, 1983).
    """

    def __init__(self) -> None:
        self._count = 0
        self._mean = self._squares = torch.zeros((), dtype=torch.float64)

    def add(self, part: torch.Tensor) -> None:
        """Add a part of the map, shape (1, C, h, w)."""
        count = part.shape[2] * part.shape[3]
        found = [
            torch.var_mean(chunk.double(), dim=(0, 2, 3), correction=0)
            for chunk in part.split(_CHUNK, dim=1)
        ]
        var, mean = (torch.cat(values) for values in zip(*found, strict=True))
        total = self._count + count
        step = mean - self._mean.to(mean.device)
        self._squares = (
            self._squares.to(var.device) + var * count + step**2 * (self._count * count / total)
        )
        self._mean = mean - step * (self._count / total)
        self._count = total

    def result(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Return mean and (biased) variance of each channel, shape (C,), float64."""
        return self._mean, self._squares / self._count


def find_whole_layer(
    function: Callable, args: tuple, kwargs: Mapping[str, Any]
) -> WholeLayer | None:
    """Return a call's description if it depends on mean or variance of all pixels, else None.

    It knows instance norms, group norms, batch norms without running statistics, and means over all
    pixels. They take maps of one picture, shape (1, C, h, w).
    """
    if function in _MEANS:
        return _mean(*args, **kwargs)
    if function not in _KNOWN:
        return None
    call = inspect.signature(function).bind(*args, **kwargs)
    call.apply_defaults()
    x = call.arguments["input"]
    return _KNOWN[function](x, call.arguments) if x.dim() == 4 else None


def _mean(
    x: torch.Tensor | None = None, dim: Any = None, keepdim: bool = False, **others: Any
) -> WholeLayer | None:
    x = others.get("input") if x is None else x
    if x.dim() != 4 or not isinstance(dim, (tuple, list)) or {d % 4 for d in dim} != {2, 3}:
        return None
    shape = (1, -1, 1, 1) if keepdim else (1, -1)
    return WholeLayer(x, lambda mean, var: mean.to(x).view(shape))


def _average_pool(x: torch.Tensor, call: Mapping[str, Any]) -> WholeLayer | None:
    size = call["output_size"]
    if size != 1 and tuple(size if isinstance(size, (tuple, list)) else ()) != (1, 1):
        return None
    return WholeLayer(x, lambda mean, var: mean.to(x).view(1, -1, 1, 1))


def _instance_norm(x: torch.Tensor, call: Mapping[str, Any]) -> WholeLayer | None:
    if not call["use_input_stats"]:
        return None
    return WholeLayer(x, lambda mean, var: _normalised(x, mean, var, call))


def _batch_norm(x: torch.Tensor, call: Mapping[str, Any]) -> WholeLayer | None:
    # In training, the call would change its running statistics.
    if not call["training"] or call["running_mean"] is not None:
        return None
    return WholeLayer(x, lambda mean, var: _normalised(x, mean, var, call))


def _group_norm(x: torch.Tensor, call: Mapping[str, Any]) -> WholeLayer:
    groups = call["num_groups"]

    def result(mean: torch.Tensor, var: torch.Tensor) -> torch.Tensor:
        means, size = mean.view(groups, -1), len(mean) // groups
        # All channels of a group have the same size.
        spread = var.view(groups, -1).mean(1) + means.var(1, correction=0)
        wide = [value.repeat_interleave(size) for value in (means.mean(1), spread)]
        return _normalised(x, *wide, call)

    return WholeLayer(x, result)


def _normalised(
    x: torch.Tensor, mean: torch.Tensor, var: torch.Tensor, call: Mapping[str, Any]
) -> torch.Tensor:
    weight, bias = call["weight"], call["bias"]
    return F.batch_norm(x, mean.to(x), var.to(x), weight, bias, False, 0.0, call["eps"])


_KNOWN = {
    F.adaptive_avg_pool2d: _average_pool,
    F.instance_norm: _instance_norm,
    F.batch_norm: _batch_norm,
    F.group_norm: _group_norm,
}
