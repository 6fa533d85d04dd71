"""Tries a training: builds all that it needs, then takes one step on a synthetic batch.

It reads no picture and fetches no weights. `undisturbed` undoes its changes to the process.
"""

import contextlib
import gc
import json
import multiprocessing
import warnings
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import cv2
import torch
from mmengine.hooks import EMAHook
from mmengine.model import is_model_wrapper
from mmengine.registry import DATA_SAMPLERS
from mmengine.runner import BaseLoop
from mmengine.utils import ManagerMixin
from mmengine.visualization import Visualizer
from torch import nn
from torch.utils.data import DataLoader, Dataset

from ibn_seg.engine.class_sampling import ClassSampler
from ibn_seg.engine.distributed import kept_thread_settings
from ibn_seg.engine.random_state import preserved_random_state
from ibn_seg.engine.runner import StrictRunner
from ibn_seg.environment import environment_error
from ibn_seg.errors import UserError
from ibn_seg.explain.blame import frames_of
from ibn_seg.explain.config_dicts import dicts
from ibn_seg.plugins.checkpoint_names import resolve
from ibn_seg.plugins.mmengine import ConfigBackbone
from ibn_seg.type_names import is_named

# The longest side of a synthetic picture: 2 cells at stride 32, so that norms have some values.
_SIDE = 64
_FALLBACK = (512, 512)
_MOST_PICTURES = 2
# Errors of a network that cannot take a batch.
_RAISED = (RuntimeError, TypeError, ValueError, AttributeError, LookupError, AssertionError)
_PRETRAINED = ("Pretrained", "PretrainedInit")
_OF_WORKERS = ("num_workers", "persistent_workers", "prefetch_factor", "pin_memory")
# Failures here do not depend on the picture size: the step after the loss, numbers of channels.
_LEARNING = "update_params"
_CHANNELS = "channels, but got"
# This module raises if a synthetic sample lacks a field. The config's own samples may have it.
_SAMPLES = "mmengine.structures.base_data_element"


class TrialRunner(StrictRunner):
    """A Runner whose `train` ends after a step on a synthetic batch, and that logs nothing.

    Only hooks that average weights run, because other hooks may write anywhere. Samplers do not
    count the labels of their data.

    Attributes:
        data_sets: Data sets whose files are already listed, by their config as text. New ones are
            added.
        processes: Number of processes that the training will use.
    """

    reads_samples = False

    def __init__(self, *args: object, **kwargs: object) -> None:
        self.data_sets: dict[str, Dataset] = {}
        self.processes = 1
        super().__init__(*args, **kwargs)

    def build_visualizer(self, *args: object, **kwargs: object) -> Visualizer:
        """Build the visualizer without backends that write, here or on a server."""
        visualizer = super().build_visualizer(*args, **kwargs)
        getattr(visualizer, "_vis_backends", {}).clear()
        return visualizer

    def build_dataloader(self, dataloader: dict, *args: object, **kwargs: object) -> DataLoader:
        """Build a data loader without workers, whose data set is listed only once."""
        given = dict(dataloader)
        key = json.dumps(given["dataset"], sort_keys=True, default=repr)
        if key in self.data_sets:
            given["dataset"] = _built_already(self.data_sets[key])
        sampler = given.get("sampler") or {}
        kind = sampler.get("type")
        kind = DATA_SAMPLERS.get(kind) if isinstance(kind, str) else kind
        if isinstance(kind, type) and issubclass(kind, ClassSampler):
            given["sampler"] = {"type": "PositionSampler", "seed": sampler.get("seed", 0)}
        loader = StrictRunner.build_dataloader(given, *args, **kwargs)
        if given.pop("num_batch_per_epoch", None) is None:
            self.data_sets[key] = loader.dataset
        # Some loops ask for the first batch when they are built.
        still = {name: value for name, value in given.items() if name not in _OF_WORKERS}
        still |= {"dataset": _built_already(loader.dataset), "num_workers": 0}
        return StrictRunner.build_dataloader(still, *args, **kwargs)

    def build_train_loop(self, loop: BaseLoop | dict) -> BaseLoop:
        """Build the training loop, which will take one step."""
        built = super().build_train_loop(loop)
        built.run = lambda: self._try(built)
        return built

    def _try(self, loop: BaseLoop) -> None:
        """Ask the hooks of methods whether they fit, and take one step."""
        # They ask for the number of iterations.
        self._train_loop = loop
        for hook in self.hooks:
            if hasattr(hook, "check_training"):
                hook.check_training(self)
        learn_once(self)

    def call_hook(self, fn_name: str, **kwargs: object) -> None:
        """Run only the hooks that average weights."""
        if fn_name != "before_run":
            return
        hooks = self._hooks
        self._hooks = [hook for hook in hooks if isinstance(hook, EMAHook)]
        try:
            super().call_hook(fn_name, **kwargs)
        finally:
            self._hooks = hooks

    def _init_model_weights(self) -> None:
        """Initialise the weights, except from checkpoints that would need a download."""
        for module in self.model.modules():
            if getattr(module, "init_cfg", None):
                module.init_cfg = _local(module)
        super()._init_model_weights()

    def _log_env(self, env_cfg: dict) -> None:
        """Skip the report on the machine."""

    def _write_config(self) -> None:
        """Skip writing the config."""

    def _maybe_compile(self, target: str) -> None:
        """Skip compiling the model, which takes minutes."""


def _built_already(data_set: Dataset) -> dict[str, Any]:
    """Return a config from which a registry returns an existing data set, without copying it."""
    return {"type": lambda: data_set}


def _local(module: nn.Module) -> Any:
    """Return a module's `init_cfg` without weights of URLs.

    Raises:
        UserError: It names weights that do not exist.
    """
    given = module.init_cfg
    steps = [given] if isinstance(given, Mapping) else list(given)
    kept = [step for step in steps if not _is_remote(step, module)]
    if len(kept) == len(steps):
        return given
    # Our backbones loop over a list, and mmseg's test whether there is anything.
    return kept or ([] if isinstance(module, ConfigBackbone) else None)


def _is_remote(step: Mapping[str, Any], module: nn.Module) -> bool:
    source = step.get("checkpoint")
    if not is_named(step.get("type"), *_PRETRAINED) or "://" not in str(source):
        return False
    if isinstance(module, ConfigBackbone):
        resolve(source)
    return True


def learn_once(runner: TrialRunner) -> None:
    """Let a segmentor of mmseg take a step on one synthetic batch; skip other models.

    Small pictures come first. A failure with small pictures alone is no error, because some
    networks take pictures of one size only.

    Args:
        runner: A runner with all its parts built.
    """
    from mmseg.models import BaseSegmentor

    model = runner.model
    network = model.module if is_model_wrapper(model) else model
    if not isinstance(network, BaseSegmentor):
        return
    size = _crop_size(runner, network)
    small = (min(size[0], _SIDE), min(size[1], _SIDE))
    runner.model.train()
    try:
        _learn(runner, network, small)
        return
    except UserError:
        raise
    except _RAISED as error:
        if _is_elsewhere(error):
            return
        if small == size or _CHANNELS in str(error) or _has_learnt(error):
            raise
    try:
        with torch.no_grad():
            _look(runner, network, size)
    except UserError:
        raise
    except _RAISED as error:
        if not _is_elsewhere(error):
            raise


def _learn(runner: TrialRunner, network: nn.Module, size: tuple[int, int]) -> None:
    batch = _batch(runner, network, size)
    runner.model.train_step(batch, optim_wrapper=runner.optim_wrapper)


def _look(runner: TrialRunner, network: nn.Module, size: tuple[int, int]) -> None:
    batch = _batch(runner, network, size)
    with runner.optim_wrapper.optim_context(runner.model):
        network(**network.data_preprocessor(batch, True), mode="loss")


def _batch(runner: TrialRunner, network: nn.Module, size: tuple[int, int]) -> dict[str, list]:
    """Return a synthetic batch, and keep the data preprocessor from enlarging it."""
    from ibn_seg.trial.made_batch import made_batch

    if getattr(network.data_preprocessor, "size", None):
        network.data_preprocessor.size = size
    loader = runner.train_loop.dataloader
    count = (loader.batch_size or _MOST_PICTURES) * runner.processes
    classes = getattr(loader.dataset, "metainfo", {}).get("classes") or ()
    head = getattr(network, "decode_head", None)
    return made_batch(
        min(count, _MOST_PICTURES), size, len(classes) or getattr(head, "num_classes", 2)
    )


def _crop_size(runner: TrialRunner, network: nn.Module) -> tuple[int, int]:
    """Return height and width of the training pictures; a fallback if they are unknown."""
    loader = runner.cfg.get("train_dataloader") or {}
    crops = [part.get("crop_size") for _, part in dicts(loader)]
    for given in (getattr(network.data_preprocessor, "size", None), *crops):
        sides = (given, given) if isinstance(given, int) else given
        if isinstance(sides, Sequence) and len(sides) == 2 and all(
            isinstance(side, int) and side > 0 for side in sides
        ):  # fmt: skip
            return sides[0], sides[1]
    return _FALLBACK


def _is_elsewhere(error: Exception) -> bool:
    """Tell whether an error comes from the machine, or from a field that synthetic samples lack."""
    made = any(frame.module == _SAMPLES for frame in frames_of(error))
    return made or environment_error(error) is not None


def _has_learnt(error: Exception) -> bool:
    return any(frame.function == _LEARNING for frame in frames_of(error))


@contextlib.contextmanager
def undisturbed() -> Iterator[None]:
    """Restore, after the block, the process state that a Runner changes."""
    with (
        preserved_random_state(),
        kept_thread_settings(),
        _kept_instances(),
        _kept_settings(),
        _old_objects_passed_over(),
        warnings.catch_warnings(),
    ):
        yield


@contextlib.contextmanager
def _kept_instances() -> Iterator[None]:
    """Restore default scope, loggers, message hubs and visualizers, whose newest one counts."""
    before = [(kind, dict(kind._instance_dict)) for kind in _managers(ManagerMixin)]
    try:
        yield
    finally:
        for kind, instances in before:
            kind._instance_dict.clear()
            kind._instance_dict.update(instances)


def _managers(kind: type) -> Iterator[type]:
    for below in kind.__subclasses__():
        yield below
        yield from _managers(below)


@contextlib.contextmanager
def _old_objects_passed_over() -> Iterator[None]:
    """Let garbage collection look at new objects only; data sets and runners trigger it often."""
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


@contextlib.contextmanager
def _kept_settings() -> Iterator[None]:
    """Restore what `env_cfg` and `randomness` set in PyTorch, OpenCV and Python."""
    cudnn = torch.backends.cudnn
    flags = cudnn.benchmark, cudnn.deterministic
    exact = torch.are_deterministic_algorithms_enabled()
    warned = torch.is_deterministic_algorithms_warn_only_enabled()
    threads = torch.get_num_threads(), cv2.getNumThreads()
    method = multiprocessing.get_start_method(allow_none=True)
    try:
        yield
    finally:
        cudnn.benchmark, cudnn.deterministic = flags
        torch.use_deterministic_algorithms(exact, warn_only=warned)
        torch.set_num_threads(threads[0])
        cv2.setNumThreads(threads[1])
        multiprocessing.set_start_method(method, force=True)
