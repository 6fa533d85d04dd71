"""EoMT's learning rates: the heads warm up first, then the backbone, and each falls by a power."""

from collections.abc import Sequence
from typing import Any

from mmengine.optim import _ParamScheduler
from mmengine.registry import PARAM_SCHEDULERS

from ibn_seg.engine.layer_groups import STAGE
from ibn_seg.errors import UserError


@PARAM_SCHEDULERS.register_module()
class TwoStagePolyLR(_ParamScheduler):
    """Linear warm-ups in a row, then `(1 - t) ** power` each (EoMT at 7bd19dd).

    With warm-ups of a and b steps, the heads rise during steps 0 to a. The backbone has 0 until
    then, and rises during steps a to a + b. Each falls to 0 at `end`.

    Args:
        optimizer: The optimiser, whose groups were made by `LayerDecayConstructor`.
        warmup: Steps of the heads' warm-up and of the backbone's.
        end: The last step; it must be given.
        power: The power of the fall.
        settings: The other arguments of mmengine's schedulers.

    Raises:
        UserError: The warm-ups are no two numbers, or take longer than the training.
    """

    def __init__(
        self,
        optimizer: Any,
        end: int,
        warmup: Sequence[int] = (500, 1000),
        power: float = 0.9,
        **settings: Any,
    ) -> None:
        if len(warmup) != 2 or min(warmup) < 1 or sum(warmup) >= end:
            raise UserError(f"TwoStagePolyLR: warmup={warmup}", f"give two with a sum below {end}")
        self.warmup, self.power = tuple(warmup), power
        super().__init__(optimizer, "lr", end=end, by_epoch=False, **settings)

    def _get_value(self) -> list[float]:
        """Return the learning rate of each group at the present step."""
        groups = self.optimizer.param_groups
        return [
            base * self._factor(group.get(STAGE) == "backbone")
            for base, group in zip(self.base_values, groups, strict=True)
        ]

    def _factor(self, backbone: bool) -> float:
        first, second = self.warmup
        begin, rise = (first, second) if backbone else (0, first)
        step = self.last_step - begin
        if step < rise:
            return max(step, 0) / rise
        return (1 - (step - rise) / (self.end - begin - rise)) ** self.power
