"""Mixed precision in bfloat16, which needs no loss scaling and works on CPUs."""

import contextlib
from collections.abc import Iterator

import torch
from mmengine.optim import OptimWrapper
from mmengine.registry import OPTIM_WRAPPERS
from mmengine.runner.amp import autocast
from torch import nn


@OPTIM_WRAPPERS.register_module()
class Bfloat16OptimWrapper(OptimWrapper):
    """mmengine's `OptimWrapper` with autocast to bfloat16; its `AmpOptimWrapper` needs a GPU."""

    @contextlib.contextmanager
    def optim_context(self, model: nn.Module) -> Iterator[None]:
        """Run the forward pass of the block in bfloat16 if that is safe."""
        with super().optim_context(model), autocast(dtype=torch.bfloat16):
            yield
