"""Write what a training changed to a small file, beside the checkpoints to resume from."""

from pathlib import Path

import torch
from mmengine.dist import is_main_process
from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmengine.registry import HOOKS
from mmengine.runner import Runner

from ibn_seg.foundation.small_checkpoint import small_checkpoint
from ibn_seg.io import atomic_path

FILE = "small.pth"


@HOOKS.register_module()
class SmallCheckpointHook(Hook):
    """Writes `WORK_DIR/small.pth` when a training ends.

    It holds the heads and what is trained of a `TimmBackbone`, and the hash of the weights that the
    backbone began from. Every command reads it as any checkpoint, if the config names these weights
    as `pretrained`.

    Raises:
        UserError: The config's backbone has no base, or trains all. It says so before training.
    """

    def before_train(self, runner: Runner) -> None:
        """Check that a small checkpoint can be written."""
        small_checkpoint(_network(runner), {})

    def after_train(self, runner: Runner) -> None:
        """Write it; processes that share a network gather it together."""
        # As in mmengine's checkpoints.
        meta = {"iter": runner.iter, "cfg": runner.cfg.pretty_text, "seed": runner.seed}
        meta["dataset_meta"] = runner.train_dataloader.dataset.metainfo
        content = small_checkpoint(_network(runner), meta)
        if is_main_process():
            with atomic_path(Path(runner.work_dir) / FILE) as temporary:
                torch.save(content, temporary)


def _network(runner: Runner) -> torch.nn.Module:
    model = runner.model
    return model.module if is_model_wrapper(model) else model
