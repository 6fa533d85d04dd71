"""A case of the figures of foundation models: inputs and weights by their recipes.

A recipe is a function of key, shape and seed; see `tests.parity.recipes`.
"""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import torch
from torch import nn

from tests.parity.recipes import Case

Found = dict[str, object]
# Parameters whose values are as large as normal numbers, by the last part of their keys.
_LARGE = (
    "pos_embed", "cls_token", "reg_token", "register_tokens", "mask_token", "learnable_tokens",
    "learnable_tokens_a", "learnable_tokens_b",
)  # fmt: skip


def parameter(case: Case, key: str, shape: Sequence[int]) -> torch.Tensor:
    """Return the value of a parameter, float32 numbers in float64."""
    value = case.filled(key, shape)
    if key.rpartition(".")[2] in _LARGE:
        value = (0.5 * value * np.sqrt(np.prod(shape[1:]))).float().double()
    return value


def normal(case: Case, key: str, shape: Sequence[int]) -> torch.Tensor:
    """Return standard normal numbers, float32 numbers in float64."""
    return case.normal(key, shape).float().double()


def fill(case: Case, module: nn.Module, named: Callable[[str], str] = lambda key: key) -> nn.Module:
    """Give a module its values in float64, by the authors' key of each tensor.

    Scalars are settings of the case, and stay.
    """
    module.double()
    with torch.no_grad():
        for key, value in [*module.named_parameters(), *_averages(module)]:
            if value.dim():
                value.copy_(parameter(case, named(key), value.shape))
    return module


def _averages(module: nn.Module) -> list[tuple[str, torch.Tensor]]:
    return [(key, value) for key, value in module.named_buffers() if "running_" in key]


def images(case: Case) -> torch.Tensor:
    """Return the input images."""
    return normal(case, f"{case.name}.x", case.given["input"])


def gradients(
    case: Case, outputs: Mapping[str, torch.Tensor], wanted: Mapping[str, torch.Tensor]
) -> Found:
    """Return 'grad_NAME' of tensors, of the sum of outputs times their upstream gradients."""
    total = sum(
        (value * normal(case, f"{case.name}.{name}.upstream", value.shape)).sum()
        for name, value in outputs.items()
    )
    found = torch.autograd.grad(total, list(wanted.values()))
    return {f"grad_{name}": value for name, value in zip(wanted, found, strict=True)}


def relative(found: torch.Tensor, other: torch.Tensor) -> float:
    """Return the largest difference over the largest value of the first tensor."""
    return ((found - other).abs().max() / found.abs().max()).item()
