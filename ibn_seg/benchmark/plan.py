"""A benchmark's plan: which networks are trained on what, how often, and under which rules.

A plan is a YAML file, see `configs/benchmark/`; its keys are the fields of `Plan` (without `file`
and `blocks`) and of `Block`.
"""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ibn_seg.benchmark.plan_values import Reader, read_yaml
from ibn_seg.config import SCHEME, config_folder
from ibn_seg.errors import unknown
from ibn_seg.evaluation.protocols import PROTOCOLS

# What of a config decides what is trained and measured; an option must begin with one of them.
CONFIG_PARTS = (
    "model", "train_dataloader", "val_dataloader", "val_evaluator", "optim_wrapper",
    "param_scheduler", "train_cfg", "val_cfg", "default_hooks", "custom_hooks", "env_cfg",
    "randomness", "load_from", "channels_last", "find_unused_parameters", "model_wrapper_cfg",
)  # fmt: skip
SELECTIONS = ("last", "best-on-source-validation")
BACKBONE_FIELD = "{backbone}"
_MATRIX = ("methods", "backbones", "segmentors", "sources", "targets", "seeds", "schedule")
_RULES = (
    "name", "protocol", "threads", "processes", "gpus", "budget", "selection", "scenes", "also"
)  # fmt: skip
_REQUIRED = ("name", "segmentors", "backbones", "methods", "seeds")


@dataclass(frozen=True)
class Choice:
    """One value of an axis of the matrix.

    Attributes:
        name: What tables call it.
        options: Config options by dotted key that make it.
        config: A config: of a segmentor, its base; of a source, where its data are from; of a
            backbone, the word that takes the place of `{backbone}` in the segmentor's config.
    """

    name: str
    options: Mapping[str, Any] = field(default_factory=dict)
    config: str | None = None


@dataclass(frozen=True)
class Schedule:
    """How long is trained; None keeps what the config says.

    Attributes:
        iterations: Training iterations; the learning rate's schedule is stretched to them.
        validate_every: Iterations between validations.
        checkpoint_every: Iterations between checkpoints: what a kill may cost.
        options: Config options by dotted key.
    """

    iterations: int | None = None
    validate_every: int | None = None
    checkpoint_every: int | None = None
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Block:
    """A full matrix: every combination of its axes is a cell.

    Attributes:
        methods: NAME: OPTIONS, the first is the baseline.
        backbones: NAME: OPTIONS, or NAME: WORD for configs with `{backbone}` in their name.
        segmentors: NAME: CONFIG, the base config of each.
        sources: Names of data sets in `configs/_base_/datasets/NAME_to_*.py`, or NAME: CONFIG.
            Empty: what the segmentor's config trains on.
        targets: Names of `configs/_base_/datasets/targets/NAME.py`, configs with a list
            `targets`, or data sets written out. A cell is evaluated on all. Empty: those of
            the segmentor's config.
        seeds: Training seeds.
        schedule: How long is trained.
    """

    methods: tuple[Choice, ...]
    backbones: tuple[Choice, ...]
    segmentors: tuple[Choice, ...]
    seeds: tuple[int, ...]
    sources: tuple[Choice, ...] = ()
    targets: tuple[str | Mapping[str, Any], ...] = ()
    schedule: Schedule = Schedule()


@dataclass(frozen=True)
class Budget:
    """What one call of the command may spend; None is no limit.

    Attributes:
        hours: No cell is begun after this many hours.
        cells: No more cells are begun than these.
    """

    hours: float | None = None
    cells: int | None = None


@dataclass(frozen=True)
class Scenes:
    """The embedded scenes that are rendered before the first cell (`ibn-seg scenes`).

    Attributes:
        source: Frames of the source.
        target_train: Training frames of the target.
        target_val: Validation frames of the target.
        seed: Seed of the scenes.
        size: Width and height in pixels.
    """

    source: int
    target_train: int
    target_val: int
    seed: int = 0
    size: tuple[int, int] = (256, 128)


@dataclass(frozen=True)
class Plan:
    """A benchmark.

    Attributes:
        file: The plan file.
        name: Name of the benchmark.
        blocks: The matrix, and one more for each entry of `also`, which repeats the keys of the
            matrix that differ.
        protocol: How is evaluated (`ibn_seg.evaluation.protocols`).
        threads: Threads of each process; numbers depend on them.
        processes: Processes of a cell (DDP through torchrun).
        gpus: GPUs of a cell, or a share of one; what launchers ask for.
        budget: What one call may spend.
        selection: Which checkpoint counts: 'last' or 'best-on-source-validation'.
        scenes: The embedded scenes to render first.
    """

    file: Path
    name: str
    blocks: tuple[Block, ...]
    protocol: str = "native"
    threads: int = 1
    processes: int = 1
    gpus: float = 0.0
    budget: Budget = Budget()
    selection: str = "last"
    scenes: Scenes | None = None


def read_plan(source: str | os.PathLike) -> Plan:
    """Read and check a plan: a file, or `ibn_seg::benchmark/NAME` from the package.

    Raises:
        UserError: The file is not a plan; the line names the key, what is wrong and what is
            allowed.
    """
    text = os.fspath(source)
    path = Path(text)
    if text.startswith(SCHEME):
        path = _plan_of_the_package(text.removeprefix(SCHEME).removesuffix(".yaml"))
    read = Reader(path)
    given = read.mapping(read_yaml(path), "", (*_RULES, *_MATRIX))
    for key in _REQUIRED:
        if key not in given:
            read.fail(key, "is missing", f"a plan needs {', '.join(_REQUIRED)}")
    first = Block(**_axes(read, given, ""))
    blocks = [first]
    if "also" in given:
        for index, entry in enumerate(read.items(given["also"], "also", "[{seeds: [3]}]")):
            key = f"also.{index}"
            entry = read.mapping(entry, key, _MATRIX)
            blocks.append(replace(first, **_axes(read, entry, f"{key}.")))
    for index, block in enumerate(blocks):
        _check_backbones(read, block, f"also.{index - 1}." if index else "")
    return Plan(
        path, read.name(given["name"], "name", "demo"), tuple(blocks), **_rules(read, given)
    )


def _plan_of_the_package(name: str) -> Path:
    """Return the file of a plan that comes with the package."""
    folder = config_folder()
    known = {p.relative_to(folder).with_suffix("").as_posix(): p for p in folder.rglob("*.yaml")}
    if name not in known:
        raise unknown("plan", f"{SCHEME}{name}", [f"{SCHEME}{one}" for one in sorted(known)])
    return known[name]


def _axes(read: Reader, given: Mapping[str, Any], start: str) -> dict[str, Any]:
    """Return the fields of a block that are given, checked.

    Args:
        read: The reader.
        given: The mapping that they are in.
        start: What comes before their names in messages.
    """
    readers: dict[str, Callable[[Reader, Any, str], Any]] = {
        "methods": _methods, "backbones": _backbones, "segmentors": _segmentors,
        "sources": _sources, "targets": _targets, "seeds": _seeds, "schedule": _schedule,
    }  # fmt: skip
    return {key: readers[key](read, given[key], f"{start}{key}") for key in _MATRIX if key in given}


def _choices(
    read: Reader, value: Any, key: str, one: Callable[[str, Any, str], Choice], example: str
) -> tuple[Choice, ...]:
    """Return the choices of an axis: a mapping by name, or a list of names."""
    if isinstance(value, list):
        names = [read.text(name, f"{key}.{k}", example) for k, name in enumerate(value)]
        for index, name in enumerate(names):
            if name in names[:index]:
                read.fail(f"{key}.{index}", f"{name!r} is given twice", "leave one out")
        value = dict.fromkeys(names)
    given = read.mapping(value, key, example=f" such as {example}")
    if not given:
        read.fail(key, "is empty", f"expected at least one, such as {example}")
    return tuple(one(name, item, f"{key}.{name}") for name, item in given.items())


def _methods(read: Reader, value: Any, key: str) -> tuple[Choice, ...]:
    return _choices(
        read, value, key,
        lambda name, item, at: Choice(name, read.options(item, at, CONFIG_PARTS)),
        "{BN: {}, IBN-a: {model.backbone.ibn: a}}",
    )  # fmt: skip


def _backbones(read: Reader, value: Any, key: str) -> tuple[Choice, ...]:
    def one(name: str, item: Any, at: str) -> Choice:
        if isinstance(item, str):
            return Choice(name, config=read.text(item, at, "r50"))
        return Choice(name, read.options(item, at, CONFIG_PARTS))

    return _choices(read, value, key, one, "{ResNet-50: r50}")


def _segmentors(read: Reader, value: Any, key: str) -> tuple[Choice, ...]:
    example = "ibn_seg::demo/mlp_r18_1xb8-600_scenes-128x128"
    if isinstance(value, list):
        read.fail(key, "is a list", f"expected a mapping such as {{all-MLP: {example}}}")
    return _choices(
        read, value, key,
        lambda name, item, at: Choice(name, config=read.text(item, at, example)),
        f"{{all-MLP: {example}}}",
    )  # fmt: skip


def _sources(read: Reader, value: Any, key: str) -> tuple[Choice, ...]:
    def one(name: str, item: Any, at: str) -> Choice:
        return Choice(name, config=None if item is None else read.text(item, at, "my_data.py"))

    return _choices(read, value, key, one, "[gta5, synthia]")


def _targets(read: Reader, value: Any, key: str) -> tuple[str | Mapping[str, Any], ...]:
    targets = []
    for index, item in enumerate(read.items(value, key, "[cityscapes, world]")):
        at = f"{key}.{index}"
        if isinstance(item, Mapping):
            item = read.mapping(item, at)
            if "type" not in item:
                read.fail(at, "has no type", "expected a data set such as {type: IDDDataset, ...}")
        else:
            item = read.text(item, at, "cityscapes")
        if item in targets:
            read.fail(at, f"{item!r} is given twice", "leave one out")
        targets.append(item)
    return tuple(targets)


def _seeds(read: Reader, value: Any, key: str) -> tuple[int, ...]:
    items = read.items(value, key, "[0, 1, 2]")
    seeds = tuple(read.whole(item, f"{key}.{k}", 0) for k, item in enumerate(items))
    for index, seed in enumerate(seeds):
        if seed in seeds[:index]:
            read.fail(f"{key}.{index}", f"{seed} is given twice", "leave one out")
    return seeds


def _schedule(read: Reader, value: Any, key: str) -> Schedule:
    counts = ("iterations", "validate_every", "checkpoint_every")
    given = read.mapping(value, key, (*counts, "options"))
    fields = {name: read.whole(given[name], f"{key}.{name}", 1) for name in counts if name in given}
    options = read.options(given.get("options"), f"{key}.options", CONFIG_PARTS)
    return Schedule(**fields, options=options)


def _rules(read: Reader, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of a plan that are given beside the matrix, checked."""
    readers: dict[str, Callable[[Any], Any]] = {
        "protocol": lambda value: read.choice(value, "protocol", "protocol", PROTOCOLS),
        "threads": lambda value: read.whole(value, "threads", 1),
        "processes": lambda value: read.whole(value, "processes", 1),
        "gpus": lambda value: read.number(value, "gpus") if value != 0 else 0.0,
        "budget": lambda value: _budget(read, value),
        "selection": lambda value: read.choice(value, "selection", "rule", SELECTIONS),
        "scenes": lambda value: _scenes(read, value),
    }
    return {key: readers[key](given[key]) for key in readers if key in given}


def _budget(read: Reader, value: Any) -> Budget:
    given = read.mapping(value, "budget", ("hours", "cells"))
    hours = read.number(given["hours"], "budget.hours") if "hours" in given else None
    cells = read.whole(given["cells"], "budget.cells", 1) if "cells" in given else None
    return Budget(hours, cells)


def _scenes(read: Reader, value: Any) -> Scenes:
    counts = {"source": 1, "target_train": 0, "target_val": 0, "seed": 0}
    given = read.mapping(value, "scenes", (*counts, "size"))
    for key in ("source", "target_train", "target_val"):
        if key not in given:
            read.fail(f"scenes.{key}", "is missing", "give a number of frames")
    fields: dict[str, Any] = {
        key: read.whole(given[key], f"scenes.{key}", counts[key]) for key in counts if key in given
    }
    if "size" in given:
        size = read.items(given["size"], "scenes.size", "[256, 128]")
        if len(size) != 2:
            read.fail("scenes.size", f"has {len(size)} numbers", "expected [256, 128]")
        fields["size"] = tuple(read.whole(side, "scenes.size", 1) for side in size)
    return Scenes(**fields)


def _check_backbones(read: Reader, block: Block, start: str) -> None:
    """Refuse a word for `{backbone}` that no config has a place for, and a place without a word."""
    places = [BACKBONE_FIELD in (segmentor.config or "") for segmentor in block.segmentors]
    for backbone in block.backbones:
        at = f"{start}backbones.{backbone.name}"
        if backbone.config and not any(places):
            read.fail(
                at, f"{backbone.config!r} stands for {BACKBONE_FIELD}, which no segmentor has",
                "write options such as {model.backbone.depth: 50}, or {} for none",
            )  # fmt: skip
        if not backbone.config and any(places):
            read.fail(at, f"no word for {BACKBONE_FIELD}", "write such as ResNet-50: r50")
