"""Checks what a plan's cells need on this machine, before any of them begins.

Data sets are listed, not decoded. Networks are built, and on demand trainings are tried on
synthetic pictures. Nothing is left on the disk.
"""

import contextlib
import importlib
import json
import os
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ibn_seg.analyses.all_analyses import part
from ibn_seg.benchmark.cell_config import targets_of
from ibn_seg.benchmark.cells import list_cells
from ibn_seg.benchmark.devices import lacking_gpus, visible_devices
from ibn_seg.benchmark.plan import Plan
from ibn_seg.benchmark.planned_cell import SEARCHING, TRAINING, Cell
from ibn_seg.benchmark.search_cells import search_needs
from ibn_seg.errors import UserError
from ibn_seg.run.setup import SCENES_VARIABLE, register, scenes_at
from ibn_seg.trial.try_training import compared, prepared, try_training
from ibn_seg.type_names import is_named

if TYPE_CHECKING:
    from mmengine.config import Config
    from torch.utils.data import Dataset

# Errors, beside our own, on building a part of a wrong config.
_RAISED = (
    RuntimeError, TypeError, ValueError, AttributeError, LookupError, AssertionError, ImportError,
    OSError,
)  # fmt: skip


def missing_needs(
    plan: Plan, cells: Sequence[Cell], scenes: Path, here: bool = True, trial: bool = False
) -> Iterator[tuple[Cell, tuple[str, ...]]]:
    """Yield each cell with the known reasons why it must fail, one line each.

    Args:
        plan: The plan.
        cells: The cells to check.
        scenes: The future folder of the plan's scenes, which the lines name. It is not read: empty
            files stand for the scenes.
        here: Whether cells run on this machine, so that its GPUs count.
        trial: Try every training. Trainings that differ only in seed or share are tried once.
    """
    register()
    with (
        _announced(plan, scenes) as told,
        tempfile.TemporaryDirectory(prefix="ibn-seg-") as folder,
    ):
        planned = {cell.id: cell for cell in list_cells(plan)}
        look = _Look(plan, here, trial, Path(folder), scenes.parent)
        for cell in cells:
            yield cell, tuple(map(told, look.at(planned[cell.id])))


def missing_targets(plan: Plan, scenes: Path) -> dict[str, str]:
    """Return the evaluated targets whose data are not on this machine, each with the reason.

    Args:
        plan: The plan.
        scenes: The future folder of the plan's scenes, which the reasons name.
    """
    register()
    found: dict[str, str] = {}
    with (
        _announced(plan, scenes) as told,
        tempfile.TemporaryDirectory(prefix="ibn-seg-") as folder,
    ):
        look = _Look(plan, True, False, Path(folder), scenes.parent)
        for cell in list_cells(plan):
            if cell.task == TRAINING:
                found |= {name: told(line) for name, line in look.missing_targets(cell.config)}
    return found


def described(found: Iterable[tuple[Cell, tuple[str, ...]]]) -> list[str]:
    """Return each reason once, with its cells."""
    by_line: dict[str, list[Cell]] = {}
    for cell, lines in found:
        for line in dict.fromkeys(lines):
            by_line.setdefault(line, []).append(cell)
    described = []
    for line, cells in by_line.items():
        more = f" and {len(cells) - 1} more" if len(cells) > 1 else ""
        described.append(f"{cells[0].label}{more}: {line}")
    return described


@contextlib.contextmanager
def _announced(plan: Plan, scenes: Path) -> Iterator[Callable[[str], str]]:
    """Let configs find empty files in place of a plan's rendered scenes.

    Yields:
        A function that puts the true folder's name into a line.
    """
    if plan.scenes is None:
        yield lambda line: line
        return
    from ibn_seg.scenes.frames import pair_frames
    from ibn_seg.scenes.render import check_size

    asked = plan.scenes
    check_size(asked.size)
    true = os.environ.get(SCENES_VARIABLE) or os.fspath(scenes)
    with tempfile.TemporaryDirectory(prefix="ibn-seg-") as folder:
        frames = pair_frames(
            folder, asked.source, asked.target_train, asked.target_val, asked.adverse_train,
            asked.adverse_val, asked.varied, asked.varied_without, asked.oddities,
        )  # fmt: skip
        for path in (path for frame in frames for path in (frame.image, *frame.labels.values())):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
        with scenes_at(folder):
            yield lambda line: line.replace(folder, true)


class _Look:
    """Checks cells; parts that several cells share are checked once.

    Args:
        plan: The plan.
        here: Whether the GPUs of this machine count.
        trial: Whether trainings are tried.
        folder: The folder that trials may write to.
        results: The folder of the plan's results.
    """

    def __init__(self, plan: Plan, here: bool, trial: bool, folder: Path, results: Path) -> None:
        self._plan = plan
        self._here = here
        self._gpus = visible_devices() if here else ()
        self._trial = trial
        self._folder = folder
        self._results = results
        self._data_sets: dict[str, Dataset] = {}
        self._known: dict[str, tuple[int, tuple[str, ...]]] = {}

    def at(self, cell: Cell) -> Iterator[str]:
        """Yield the things that a cell lacks."""
        from ibn_seg.config import load_config

        if self._here and (line := lacking_gpus(self._plan, cell, self._gpus)):
            yield line
        if cell.task == SEARCHING:
            yield from search_needs(self._plan, cell, self._results)
            return
        config = load_config(cell.config)
        if cell.task == TRAINING:
            yield from self._training(config)
        else:
            yield from self._analysis(cell, config)

    def missing_targets(self, config: "Config") -> Iterator[tuple[str, str]]:
        """Yield name and reason of each target of a config whose data are missing."""
        names = targets_of(self._plan, config)
        datasets = list(_datasets(config.val_dataloader.dataset))
        for name, dataset in zip(names, datasets[len(datasets) - len(names) :], strict=True):
            for line in self._dataset(dataset, config)[1]:
                yield name, line

    def _training(self, config: "Config") -> Iterator[str]:
        try:
            ready = prepared(config, self._folder, self._plan.protocol)
        except UserError as error:
            yield error.line
            return
        modules = tuple(_missing_modules(config))
        yield from modules
        yield from self._machine(config)
        lacking = [
            line
            for loader in ("train_dataloader", "val_dataloader")
            for dataset in _datasets((config.get(loader) or {}).get("dataset"))
            for line in self._dataset(dataset, config)[1]
        ]
        yield from lacking
        if self._trial and not modules and not lacking:
            yield from self._built("trial", compared(ready), ready, lambda _: self._try(ready))[1]
        else:
            yield from self._built("model", config.model, config, _network)[1]

    def _try(self, config: "Config") -> int:
        try_training(config, self._data_sets, self._plan.processes, self._here)
        return 1

    def _machine(self, config: "Config") -> Iterator[str]:
        """Yield the things that this machine lacks: files of weights, GPUs."""
        start = config.get("load_from")
        if start and "://" not in start and not Path(start).is_file():
            yield f"load_from: {start} does not exist: name a checkpoint"
        if not self._here:
            return
        import torch

        amp = is_named(config.optim_wrapper.get("type"), "AmpOptimWrapper")
        if amp and not torch.cuda.device_count():
            yield "optim_wrapper: AmpOptimWrapper needs a GPU, but there is none: use OptimWrapper"

    def _dataset(self, dataset: Any, config: "Config") -> tuple[int, tuple[str, ...]]:
        """Return the length of a data set, and what is missing in it."""
        return self._built("dataset", dataset, config, _length)

    def _built(
        self, kind: str, part: Any, config: "Config", build: Callable[[Any], int]
    ) -> tuple[int, tuple[str, ...]]:
        """Build a part of a config; return the result and its defects."""
        key = f"{kind} {json.dumps(part, sort_keys=True, default=repr)}"
        if key not in self._known:
            self._known[key] = _tried(lambda: build(part), config)
        return self._known[key]

    def _analysis(self, cell: Cell, config: "Config") -> Iterator[str]:
        from ibn_seg.run.domains import domain_configs

        domains = domain_configs(config)
        yield from part(cell.task, "cell").lacking(
            cell.options, domains, lambda dataset: self._dataset(dataset, config)
        )


def _datasets(dataset: Any) -> Iterator[Any]:
    """Yield the parts of a loader's data set that can be built alone."""
    parts = dataset.get("datasets") if isinstance(dataset, Mapping) else None
    if not parts:
        yield dataset
        return
    shared = {key: dataset[key] for key in ("pipeline",) if dataset.get(key)}
    for one in parts:
        yield {**shared, **one}


def _length(dataset: Any) -> int:
    """List the files of a data set and return its number of samples.

    Raises:
        UserError: There is no sample.
    """
    from mmengine.registry import init_default_scope
    from mmseg.registry import DATASETS

    init_default_scope("mmseg")
    built = DATASETS.build(dataset)
    if hasattr(built, "full_init"):
        built.full_init()
    if len(built) == 0:
        raise UserError(f"{type(built).__name__}: no image is left", "check its folder and options")
    return len(built)


def _network(model: Any) -> int:
    """Build a network without loading its weights."""
    from mmengine.registry import init_default_scope
    from mmseg.registry import MODELS

    init_default_scope("mmseg")
    MODELS.build(model)
    return 1


def _tried(build: Callable[[], int], config: "Config") -> tuple[int, tuple[str, ...]]:
    """Return a function's result, or the line of its error."""
    from ibn_seg.explain.explain import explained
    from ibn_seg.trial.trial_runner import undisturbed

    try:
        with undisturbed(), explained(config):
            return build(), ()
    except UserError as error:
        return 0, (error.line,)
    except _RAISED as error:
        reason = str(error).strip().partition("\n")[0]
        return 0, (f"{type(error).__name__}: {reason}",)


def _missing_modules(config: "Config") -> Iterator[str]:
    """Yield the modules in a config that cannot be imported."""
    given = config.get("custom_imports") or {}
    if given.get("allow_failed_imports"):
        return
    names = given.get("imports") or []
    for name in [names] if isinstance(names, str) else names:
        try:
            importlib.import_module(name)
        except UserError as error:
            yield error.line
        except ImportError as error:
            yield f"custom_imports: {name} cannot be imported ({error}): install it"
