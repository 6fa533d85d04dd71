"""Exponential moving averages of the weights, the same on every rank."""

from mmengine.hooks import EMAHook
from mmengine.registry import HOOKS
from mmengine.runner import Runner

from ibn_seg.engine.distributed import average_buffers


@HOOKS.register_module()
class SharedEMAHook(EMAHook):
    """mmengine's `EMAHook`; the ranks share its averaged running statistics.

    Weights and running statistics are averaged together, because statistics of the newest weights
    do not fit the average. Plain BN gives each rank its own statistics. As for the network itself,
    their mean over the ranks replaces them before each checkpoint and validation.

    Validation uses the averaged weights, and `state_dict` in a checkpoint holds them.

    Args:
        momentum: Weight of the newest weights in the average, after every iteration.
    """

    def __init__(self, momentum: float) -> None:
        super().__init__(momentum=momentum, update_buffers=True, strict_load=True)

    def before_checkpoint(self, runner: Runner) -> None:
        """Share the statistics; called on every rank, before the checkpoint is written."""
        average_buffers(self.ema_model)

    def before_val_epoch(self, runner: Runner) -> None:
        """Share the statistics and load the averages into the network."""
        average_buffers(self.ema_model)
        super().before_val_epoch(runner)
