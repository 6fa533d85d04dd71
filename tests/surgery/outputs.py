"""What goes into the networks of these tests, and what comes out."""

from collections.abc import Callable
from typing import Any

import torch


def images(size: int = 64, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    return torch.randn(2, 3, size, size, dtype=dtype, generator=torch.Generator().manual_seed(1))


def outputs(result: Any) -> list[torch.Tensor]:
    """Return the tensors that a network returns."""
    return [result] if isinstance(result, torch.Tensor) else list(result)


@torch.no_grad()
def assert_same(one: Callable, other: Callable, x: Any) -> None:
    """Assert that two networks return the same up to 1e-4 of the largest value."""
    for a, b in zip(outputs(one(x)), outputs(other(x)), strict=True):
        assert (a - b).abs().max() <= 1e-4 * b.abs().max()
