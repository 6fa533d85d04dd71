"""Reads the axes of a plan's matrix: methods, backbones, segmentors, data, seeds, schedule."""

from collections.abc import Callable, Mapping
from typing import Any

from ibn_seg.benchmark.plan_parts import BACKBONE_FIELD, Block, Choice, Schedule
from ibn_seg.errors import UserError
from ibn_seg.methods.all_methods import find_method
from ibn_seg.yaml_values import Reader

# The parts of a config that decide training and measurement. An option must begin with one.
CONFIG_PARTS = (
    "model", "train_dataloader", "val_dataloader", "val_evaluator", "optim_wrapper",
    "param_scheduler", "train_cfg", "val_cfg", "default_hooks", "custom_hooks", "env_cfg",
    "randomness", "load_from", "channels_last", "find_unused_parameters", "model_wrapper_cfg",
)  # fmt: skip
MATRIX = ("methods", "backbones", "segmentors", "sources", "targets", "seeds", "schedule")


def read_axes(read: Reader, given: Mapping[str, Any], start: str) -> dict[str, Any]:
    """Return the given fields of a block, checked.

    Args:
        read: The reader.
        given: The mapping that holds them.
        start: The prefix of their names in messages.
    """
    readers: dict[str, Callable[[Reader, Any, str], Any]] = {
        "methods": _methods, "backbones": _backbones, "segmentors": _segmentors,
        "sources": read_sources, "targets": read_targets, "seeds": read_seeds,
        "schedule": read_schedule,
    }  # fmt: skip
    return {key: readers[key](read, given[key], f"{start}{key}") for key in MATRIX if key in given}


def _choices(
    read: Reader, value: Any, key: str, one: Callable[[str, Any, str], Choice], example: str
) -> tuple[Choice, ...]:
    """Return the choices of an axis: a mapping by name, or a list of names."""
    if isinstance(value, list):
        names = [read.text(name, f"{key}.{k}", example) for k, name in enumerate(value)]
        value = dict.fromkeys(read.unique(names, key, example))
    given = read.mapping(value, key, example=f" such as {example}")
    if not given:
        read.fail(key, "is empty", f"expected at least one, such as {example}")
    return tuple(one(name, item, f"{key}.{name}") for name, item in given.items())


def _methods(read: Reader, value: Any, key: str) -> tuple[Choice, ...]:
    """Return methods: names in the table, or options by name, based on a method of the table."""
    if isinstance(value, list):
        names = read.unique(value, key, "[BN, IBN-a]")
        return tuple(_named(read, name, f"{key}.{k}") for k, name in enumerate(names))

    def one(name: str, item: Any, at: str) -> Choice:
        options = read.options(item, at, ("method", *CONFIG_PARTS))
        known = options.pop("method", None)
        if known is not None:
            _check_known(read, known, f"{at}.method")
        return Choice(name, options, method=known)

    return _choices(read, value, key, one, "[BN, IBN-a] or {Mine: {model.backbone.ibn: a}}")


def _named(read: Reader, name: Any, key: str) -> Choice:
    """Return a method of the table by name."""
    _check_known(read, name, key)
    return Choice(name, method=name)


def _check_known(read: Reader, name: Any, key: str) -> None:
    """Raise unless a name is a method's, or joins those of methods that go together."""
    try:
        find_method(read.text(name, key, "IBN-a"))
    except UserError as error:
        raise UserError(f"{read.file}: {key}: {error}") from error


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


def read_sources(read: Reader, value: Any, key: str) -> tuple[Choice, ...]:
    """Return training sets, checked: names, or configs by name."""

    def one(name: str, item: Any, at: str) -> Choice:
        return Choice(name, config=None if item is None else read.text(item, at, "my_data.py"))

    return _choices(read, value, key, one, "[gta5, synthia]")


def read_targets(read: Reader, value: Any, key: str) -> tuple[str | Mapping[str, Any], ...]:
    """Return evaluated domains, checked: names of configs, or data sets written out."""
    targets = []
    for index, item in enumerate(read.unique(value, key, "[cityscapes, world]")):
        at = f"{key}.{index}"
        if isinstance(item, Mapping):
            item = read.mapping(item, at)
            if "type" not in item:
                read.fail(at, "has no type", "expected a data set such as {type: IDDDataset, ...}")
        else:
            item = read.text(item, at, "cityscapes")
        targets.append(item)
    return tuple(targets)


def read_seeds(read: Reader, value: Any, key: str) -> tuple[int, ...]:
    """Return training seeds, checked."""
    items = read.unique(value, key, "[0, 1, 2]")
    return tuple(read.whole(item, f"{key}.{k}", 0) for k, item in enumerate(items))


def read_schedule(read: Reader, value: Any, key: str) -> Schedule:
    """Return the training schedule, checked."""
    counts = ("iterations", "validate_every", "checkpoint_every")
    given = read.mapping(value, key, (*counts, "options"))
    fields = {name: read.whole(given[name], f"{key}.{name}", 1) for name in counts if name in given}
    options = read.options(given.get("options"), f"{key}.options", CONFIG_PARTS)
    return Schedule(**fields, options=options)


def check_backbones(read: Reader, block: Block, start: str) -> None:
    """Raise if a word for `{backbone}` has no place in any config, or a place has no word."""
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
