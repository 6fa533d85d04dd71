"""Random states of Python, NumPy and PyTorch: kept across a block, and kept in checkpoints."""

import contextlib
import random
from collections.abc import Iterator

import numpy as np
import torch
from mmengine.dist import all_gather_object, get_rank, get_world_size
from mmengine.hooks import Hook
from mmengine.registry import HOOKS
from mmengine.runner import Runner


def random_state() -> dict:
    """Return the states of all generators of this process, as plain values and tensors only.

    Plain, because checkpoints are read by `torch.load(weights_only=True)`.
    """
    name, keys, position, has_gauss, cached = np.random.get_state()
    state = {
        "python": random.getstate(),
        "numpy": (name, keys.tolist(), position, has_gauss, cached),
        "torch": torch.get_rng_state(),
    }
    if torch.cuda.is_available():
        state["cuda"] = torch.cuda.get_rng_state()
    return state


def set_random_state(state: dict) -> None:
    """Restore the states that `random_state` returned."""
    version, internal, gauss = state["python"]
    random.setstate((version, tuple(internal), gauss))
    name, keys, position, has_gauss, cached = state["numpy"]
    np.random.set_state((name, np.array(keys, dtype=np.uint32), position, has_gauss, cached))
    torch.set_rng_state(state["torch"].cpu())
    if "cuda" in state and torch.cuda.is_available():
        torch.cuda.set_rng_state(state["cuda"].cpu())


@contextlib.contextmanager
def preserved_random_state() -> Iterator[None]:
    """Leave every generator as it was before the block."""
    state = random_state()
    try:
        yield
    finally:
        set_random_state(state)


@HOOKS.register_module()
class RandomStateHook(Hook):
    """Keep the random states of every rank in checkpoints and restore them on resume.

    It needs `AtomicCheckpointHook`, which calls `before_checkpoint` on all ranks. mmengine calls
    `before_save_checkpoint` only on the first rank, where nothing can be gathered any more.
    """

    # Last before training starts: no other hook may draw after the states are restored.
    priority = "LOWEST"

    def __init__(self) -> None:
        self._gathered: list[dict] = []
        self._loaded: list[dict] = []

    def before_checkpoint(self, runner: Runner) -> None:
        """Gather the states of all ranks."""
        self._gathered = all_gather_object(random_state())

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Add the states to the checkpoint."""
        if len(self._gathered) == get_world_size():
            checkpoint["random_states"] = self._gathered

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Keep the states until training starts."""
        self._loaded = checkpoint.get("random_states", [])

    def before_train(self, runner: Runner) -> None:
        """Restore the states if this run resumes from a checkpoint."""
        if runner.iter == 0 or not self._loaded:
            return
        if len(self._loaded) == get_world_size():
            set_random_state(self._loaded[get_rank()])
        else:
            runner.logger.warning(
                f"The checkpoint holds random states of {len(self._loaded)} processes, this run "
                f"has {get_world_size()}: they are not restored.",
                extra={"notice": True},
            )
