"""Find the part of a config that an error is about, from the frames of its traceback."""

import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from types import FrameType
from typing import Any

from mmcv.transforms import BaseTransform
from mmengine.dataset import Compose
from mmengine.evaluator import BaseMetric, Evaluator
from mmengine.hooks import Hook
from mmengine.model import BaseTTAModel, is_model_wrapper
from mmengine.optim import DefaultOptimWrapperConstructor, OptimWrapper, _ParamScheduler
from mmengine.runner import BaseLoop, LogProcessor, TestLoop, ValLoop
from mmengine.visualization import Visualizer
from mmengine.visualization.vis_backend import BaseVisBackend
from torch import nn, optim
from torch.utils.data import DataLoader, Dataset, Sampler

from ibn_seg.explain.config_dicts import find_copy, find_object, look_up
from ibn_seg.type_names import short_name

# Which key of the config each step of mmengine's Runner reads; {} is the stage: train, val, test.
_STEPS = {
    "setup_env": "env_cfg",
    "set_randomness": "randomness",
    "build_logger": "log_level",
    "build_log_processor": "log_processor",
    "build_visualizer": "visualizer",
    "build_model": "model",
    "wrap_model": "model_wrapper_cfg",
    "_init_model_weights": "model",
    "_maybe_compile": "compile",
    "build_optim_wrapper": "optim_wrapper",
    "scale_lr": "auto_scale_lr",
    "build_param_scheduler": "param_scheduler",
    "_build_param_scheduler": "param_scheduler",
    "_check_scheduler_cfg": "param_scheduler",
    "register_default_hooks": "default_hooks",
    "register_custom_hooks": "custom_hooks",
    "build_dataloader": "{}_dataloader",
    "build_evaluator": "{}_evaluator",
    "build_train_loop": "train_cfg",
    "build_val_loop": "val_cfg",
    "build_test_loop": "test_cfg",
    "load_or_resume": "load_from",
}
# Objects that run, and the keys of the config that they come from.
_KINDS: tuple[tuple[tuple[type, ...], tuple[str, ...]], ...] = (
    ((Hook,), ("custom_hooks", "default_hooks")),
    ((DefaultOptimWrapperConstructor,), ("optim_wrapper.paramwise_cfg", "optim_wrapper")),
    ((optim.Optimizer,), ("optim_wrapper.optimizer",)),
    ((OptimWrapper,), ("optim_wrapper",)),
    ((_ParamScheduler,), ("param_scheduler",)),
    ((BaseMetric, Evaluator), ("{}_evaluator",)),
    ((BaseVisBackend, Visualizer), ("visualizer",)),
    ((LogProcessor,), ("log_processor",)),
    ((Sampler,), ("{}_dataloader.sampler",)),
    ((DataLoader,), ("{}_dataloader",)),
    ((Dataset,), ("{}_dataloader.dataset",)),
    ((BaseTransform,), ("{}_dataloader",)),
    ((BaseLoop,), ("{}_cfg",)),
)
# Some objects of these types come from no part of the config. Of the other types there is one.
_NAMED_ONLY = (Hook, BaseLoop, DataLoader, Sampler, BaseTransform)
# `build_dataloader` is a static method, so only the module shows that it is a Runner's.
_RUNNERS = ("mmengine.runner.runner", "ibn_seg.engine.runner")
_BUILDERS = ("build_from_cfg", "build_scheduler_from_cfg")
_RUNNER_METHOD = re.compile(r"\bRunner\.(\w+)\(\)")
_TORCH = ("torch", "torchvision", "numpy", "cv2", "PIL", "scipy")


@dataclass(frozen=True)
class Frame:
    """A frame that an error came through."""

    module: str
    function: str
    line: int
    locals: Mapping[str, Any]
    file: str

    @property
    def owner(self) -> Any:
        """The object that the method belongs to, or None."""
        return self.locals.get("self")

    @property
    def leaf(self) -> bool:
        """Whether it belongs to a low-level library: Python's, PyTorch, NumPy, OpenCV."""
        package = self.module.partition(".")[0]
        return package in _TORCH or package in sys.stdlib_module_names

    def is_in(self, module: str, function: str) -> bool:
        """Whether it is of this function."""
        return (self.module, self.function) == (module, function)

    @property
    def ours(self) -> bool:
        """Whether it is of ibn_seg."""
        return self.module.partition(".")[0] == "ibn_seg"


@dataclass(frozen=True)
class Place:
    """A part of a config.

    Attributes:
        path: Its dotted key; '' for the config as a whole.
        part: The value at that path.
        building: Whether it was being built; otherwise it was running.
        layer: The module of the network inside it that raised, by its dotted name.
        frame: The innermost frame that shows this.
    """

    path: str
    part: Any
    building: bool
    frame: Frame
    layer: str = ""


def frames_of(error: BaseException) -> list[Frame]:
    """Return the frames of an error from the outermost to the one that raised.

    mmengine raises some errors again with more text. The frames of the original error come first.
    """
    found: list[Frame] = []
    current: BaseException | None = error
    while current is not None:
        found += _frames(current)
        again = bool(found) and found[-1].module.startswith("mmengine.") and (
            found[-1].function in (*_BUILDERS, "call_hook")
        )  # fmt: skip
        current = current.__context__ if again else None
    return found


def _frames(error: BaseException) -> Iterator[Frame]:
    trace = error.__traceback__
    while trace is not None:
        frame: FrameType = trace.tb_frame
        code = frame.f_code
        module = frame.f_globals.get("__name__", "")
        yield Frame(module, code.co_name, trace.tb_lineno, frame.f_locals, code.co_filename)
        trace = trace.tb_next


def follow(error: BaseException, config: Mapping, roots: Sequence[str] = ()) -> "Trail":
    """Follow the frames of an error to the part of a config that it is about.

    Args:
        error: The error, with its traceback.
        config: The whole config, as it was before anything was built from it.
        roots: Keys of the config that are in use, if no loop of a Runner tells them.
    """
    trail = Trail(config, tuple(roots))
    for frame in frames_of(error):
        trail.follow(frame)
    last = trail.frame
    # The Runner itself says which parts of the config do not belong together.
    if trail.place is None and last is not None and last.is_in(_RUNNERS[0], "__init__"):
        trail.set("", building=True)
    method = _RUNNER_METHOD.search(str(error))
    if method and method[1] in _STEPS and trail.frame is not None:
        trail.set(_STEPS[method[1]], building=True)
    return trail


class Trail:
    """The place in a config, followed frame by frame.

    Args:
        config: The whole config.
        roots: Keys of the config that are in use.

    Attributes:
        place: The part of the config that was reached, or None.
    """

    def __init__(self, config: Mapping, roots: tuple[str, ...]) -> None:
        self.config = config
        self.roots = roots
        self.stage = "train"
        self.place: Place | None = None
        self.frame: Frame | None = None
        self.network: nn.Module | None = None

    def follow(self, frame: Frame) -> None:
        """Go into a frame, which may tell more than the frames around it."""
        self.frame = frame
        owner = frame.owner
        if isinstance(owner, BaseLoop):
            kinds = {ValLoop: "val", TestLoop: "test"}
            self.stage = next((kinds[k] for k in kinds if isinstance(owner, k)), "train")
            self.roots = tuple(
                f"{self.stage}_{part}" for part in ("dataloader", "cfg", "evaluator")
            )
        # mmcv's builders of layers are separate functions with a local registry.
        building = frame.function in _BUILDERS or "registry" in frame.locals
        if building and isinstance(frame.locals.get("cfg"), Mapping):
            self._built(frame.locals["cfg"])
        elif isinstance(owner, Compose) and "t" in frame.locals:
            self._object(frame.locals["t"], self.roots)
        elif isinstance(owner, nn.Module):
            self._module(owner)
        elif frame.module in _RUNNERS and frame.function in _STEPS:
            self.set(_STEPS[frame.function], building=frame.function != "_init_model_weights")
        else:
            self._running(owner)

    def set(self, key: str, *, building: bool, part: Any = None, layer: str = "") -> None:
        """Record a key of the config as the place."""
        path = key.format(self.stage)
        if part is None and self._has(path):
            part = look_up(self.config, path.split("."))[1]
        self.place = Place(path, part, building, self.frame, layer)

    def _built(self, copy: Mapping) -> None:
        around = self.place.path if self.place is not None and self.place.building else ""
        found = find_copy(self.config, copy, self.roots, around)
        if found is not None:
            self.set(found[0], building=True, part=found[1])
        elif self.place is not None:
            self.place = replace(self.place, frame=self.frame)

    def _object(self, built: object, roots: Sequence[str]) -> None:
        found = find_object(self.config, built, roots)
        if found is not None:
            self._at(found)

    def _at(self, found: tuple[str, Mapping]) -> None:
        """Record an object's dict as the place; if it is being built, it stays so."""
        within = self.place is not None and self.place.building and self.place.path == found[0]
        if within:
            self.place = replace(self.place, part=found[1])
        else:
            self.set(found[0], building=False, part=found[1])

    def _module(self, module: nn.Module) -> None:
        """Record a module of the network as the place; in its constructor it has no place yet."""
        if self.network is None and not self._is_network(module):
            return
        if self.network is None or module is self.network:
            self.network = module
        if self.place is not None and self.place.building:
            return
        name = next((n for n, one in self.network.named_modules() if one is module), None)
        if name is not None:
            key, part, rest = look_up(self.config["model"], name.split(".") if name else [])
            self.set(f"model{key}", building=False, part=part, layer=".".join(rest))

    def _is_network(self, module: nn.Module) -> bool:
        model = self.config.get("model")
        if not isinstance(model, Mapping) or is_model_wrapper(module):
            return False
        if isinstance(module, BaseTTAModel):
            return False
        return short_name(model.get("type")) == type(module).__name__

    def _running(self, owner: Any) -> None:
        for kinds, keys in _KINDS:
            if isinstance(owner, kinds):
                roots = [key.format(self.stage) for key in keys]
                found = find_object(self.config, owner, roots)
                if found is not None and any(found[0].startswith(root) for root in roots):
                    if not _is_of_every_run(owner, found[1]):
                        self._at(found)
                elif not isinstance(owner, _NAMED_ONLY):
                    self.set(next((r for r in roots if self._has(r)), roots[-1]), building=False)
                return

    def _has(self, key: str) -> bool:
        return not look_up(self.config, key.split("."))[2]


def _is_of_every_run(owner: Any, part: Mapping) -> bool:
    """Tell whether it is a hook that ibn_seg adds to every run without the user's config."""
    return isinstance(owner, Hook) and type(owner).__module__.startswith("ibn_seg.") and (
        set(part) == {"type"}
    )  # fmt: skip
