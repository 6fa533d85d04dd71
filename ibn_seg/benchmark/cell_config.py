"""Makes the config of a training cell from the parts that a plan names."""

import contextlib
import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ibn_seg.benchmark.plan import Plan
from ibn_seg.benchmark.plan_parts import BACKBONE_FIELD, Block, Choice, Schedule
from ibn_seg.config import SCHEME, config_folder, load_config
from ibn_seg.datasets.targets import check_source, is_known
from ibn_seg.errors import UserError, unknown
from ibn_seg.methods.all_methods import find_method
from ibn_seg.provenance import source_domains
from ibn_seg.run.schedule import iterations_of, stretch
from ibn_seg.type_names import short_name

if TYPE_CHECKING:
    from mmengine.config import Config

_DATASETS = "_base_/datasets"

Base = Callable[[str, str], "Config"]


@dataclass(frozen=True)
class Network:
    """A network of a block, to be trained.

    Attributes:
        method: Its method.
        backbone: Its backbone.
        segmentor: Its segmentor.
        source: Its training data; None: as in the segmentor's config.
        seed: Training seed.
    """

    method: Choice
    backbone: Choice
    segmentor: Choice
    source: Choice | None
    seed: int


def networks_of(block: Block) -> Iterator[Network]:
    """Yield the networks of a block, with seeds in the outermost loop."""
    sources: tuple[Choice | None, ...] = block.sources or (None,)
    for seed, segmentor, backbone, source, method in itertools.product(
        block.seeds, block.segmentors, block.backbones, sources, block.methods
    ):
        yield Network(method, backbone, segmentor, source, seed)


def base_configs(plan: Plan) -> Base:
    """Return a function that loads each config once, by name, for a key of the plan."""
    bases: dict[str, Config] = {}

    def base(name: str, key: str) -> "Config":
        if name not in bases:
            with _blamed_on(plan, key):
                bases[name] = load_config(name, custom_imports=False)
        return bases[name]

    return base


def training_config(
    plan: Plan, block: Block, network: Network, base: Base, sources: str = "sources"
) -> "Config":
    """Return the config that trains a network.

    Args:
        plan: The plan.
        block: The network's block.
        network: The network.
        base: The return value of `base_configs`.
        sources: The key of the plan that names the block's sources, for messages.

    Raises:
        UserError: A config is missing, or an option does not fit it.
    """
    segmentor, backbone, source = network.segmentor, network.backbone, network.source
    name = (segmentor.config or "").replace(BACKBONE_FIELD, backbone.config or "")
    origin = f"segmentors.{segmentor.name}"
    config = load_config(base(name, origin))
    if source is not None:
        origin = key = f"{sources}.{source.name}"
        with _blamed_on(plan, key):
            file = source.config or _source_config(source.name)
        _set_source(plan, config, load_config(base(file, key)))
    if block.targets:
        _set_targets(plan, config, block.targets, base)
    if plan.left_out:
        _leave_out(plan, config)
    _set_schedule(plan, config, block.schedule)
    for key, options in (
        (f"backbones.{backbone.name}", backbone.options),
        ("schedule.options", block.schedule.options),
        (f"methods.{network.method.name}", network.method.options),
    ):
        with _blamed_on(plan, key):
            if key.startswith("methods.") and network.method.method is not None:
                find_method(network.method.method).apply(config)
            config = load_config(config, options)
            iterations_of(config)
    config.experiment = {
        **(config.get("experiment") or {}),
        "method": network.method.name, "backbone": backbone.name, "segmentor": segmentor.name,
    }  # fmt: skip
    config.randomness = {**(config.get("randomness") or {}), "seed": network.seed}
    if not config.experiment.get("source"):
        raise UserError(f"{plan.file}: {origin}: its config has no experiment.source")
    _check_source(plan, config, origin)
    _set_selection(plan, config, config.experiment.source)
    config.test_dataloader, config.test_evaluator = config.val_dataloader, config.val_evaluator
    return config


def targets_of(plan: Plan, config: "Config") -> tuple[str, ...]:
    """Return the names of the evaluated data sets except sources, in the config's order."""
    datasets = _val_datasets(plan, config)[_count_sources(config) :]
    return tuple(_domain(item) for item in datasets)


def _domain(dataset: Mapping[str, Any]) -> str:
    """Return a data set's name, as in its config."""
    name = short_name(dataset["type"]).removeprefix("Raw").removesuffix("Dataset").lower()
    parts = (dataset.get(key) for key in ("condition", "mapping", "beta"))
    return dataset.get("target") or "-".join([name, *(str(part) for part in parts if part)])


def _check_source(plan: Plan, config: "Config", key: str) -> None:
    """Check that a config's source is not a misspelt domain, if its data sets have names.

    Args:
        plan: The plan.
        config: The config.
        key: The key of the plan whose config names the source.
    """
    datasets = _val_datasets(plan, config)
    named = [_domain(item) for item in datasets if item.get("target") or is_known(_domain(item))]
    with _blamed_on(plan, key):
        check_source(config.experiment.source, named, "experiment.source")


def _source_config(name: str) -> str:
    """Return the config that trains on a source, found by file name."""
    files = sorted((config_folder() / _DATASETS).glob("*_to_*.py"))
    by_name = {file.stem.partition("_to_")[0]: file for file in reversed(files)}
    if name not in by_name:
        raise unknown("source", name, sorted(by_name))
    return str(by_name[name])


def _set_source(plan: Plan, config: "Config", data: "Config") -> None:
    """Let a config train on another's data; its batch size, workers and targets stay."""
    targets = _val_datasets(plan, config)[_count_sources(config) :]
    config.train_dataloader.dataset = data.train_dataloader.dataset
    config.train_dataloader.sampler = data.train_dataloader.sampler
    config.val_dataloader.dataset = data.val_dataloader.dataset
    config.experiment = {**(config.get("experiment") or {}), "source": data.experiment.source}
    config.val_evaluator.source = data.experiment.source
    _evaluate_on(plan, config, targets)


def _evaluate_on(plan: Plan, config: "Config", targets: Sequence[Mapping[str, Any]]) -> None:
    """Let a config evaluate its sources and these targets, except targets that are sources."""
    sources = _val_datasets(plan, config)[: _count_sources(config)]
    others = [target for target in targets if target not in sources]
    config.val_dataloader.dataset.datasets = [*sources, *others]


def _count_sources(config: "Config") -> int:
    """Return the number of sources among the evaluated data sets; they come first."""
    return len(source_domains((config.get("experiment") or {}).get("source")))


def _set_targets(
    plan: Plan,
    config: "Config",
    targets: tuple[str | Mapping[str, Any], ...],
    base: Base,
) -> None:
    """Let a config evaluate its sources and a plan's targets."""
    known = sorted(file.stem for file in (config_folder() / _DATASETS / "targets").glob("*.py"))
    chosen: list[Mapping[str, Any]] = []
    for index, target in enumerate(targets):
        key = f"targets.{index}"
        if isinstance(target, Mapping):
            chosen.append(dict(target))
            continue
        if target not in known and not target.endswith(".py") and "::" not in target:
            raise UserError(f"{plan.file}: {key}: {unknown('target', target, known)}")
        data = base(f"{SCHEME}{_DATASETS}/targets/{target}" if target in known else target, key)
        if not data.get("targets"):
            raise UserError(f"{plan.file}: {key}: {target} has no list 'targets'", "add it")
        chosen += data.targets
    _evaluate_on(plan, config, chosen)


def _leave_out(plan: Plan, config: "Config") -> None:
    """Let a config evaluate its sources and those targets that the plan does not leave out."""
    datasets = _val_datasets(plan, config)
    count = _count_sources(config)
    kept = [target for target in datasets[count:] if _domain(target) not in plan.left_out]
    if not kept:
        raise UserError(
            f"{plan.file}: all targets are missing: {', '.join(plan.left_out)}",
            "one is needed, see data/README.md",
        )
    config.val_dataloader.dataset.datasets = [*datasets[:count], *kept]


def _val_datasets(plan: Plan, config: "Config") -> list:
    """Return a config's evaluated data sets, sources first."""
    datasets = ((config.get("val_dataloader") or {}).get("dataset") or {}).get("datasets")
    if not datasets:
        raise UserError(
            f"{plan.file}: {config.filename}: val_dataloader.dataset is not a MultiDomainDataset",
            "a benchmark evaluates several domains",
        )
    return list(datasets)


def _set_schedule(plan: Plan, config: "Config", schedule: Schedule) -> None:
    """Set the length of a training and stretch the schedules that depend on it."""
    with _blamed_on(plan, "schedule"):
        iterations_of(config)
        if schedule.iterations:
            stretch(config, schedule.iterations)
    if schedule.validate_every:
        config.train_cfg.val_interval = schedule.validate_every
    checkpoint = dict((config.get("default_hooks") or {}).get("checkpoint") or {"by_epoch": False})
    every = schedule.checkpoint_every or min(
        checkpoint.get("interval", 1000), iterations_of(config)
    )
    # A finished cell needs its last checkpoint. The one before it is for interruptions.
    checkpoint |= {"interval": every, "max_keep_ckpts": 2}
    checkpoint.setdefault("type", "AtomicCheckpointHook")
    config.default_hooks = {**(config.get("default_hooks") or {}), "checkpoint": checkpoint}


def _set_selection(plan: Plan, config: "Config", source: str) -> None:
    """Keep the best checkpoint too if the plan selects it."""
    if plan.selection == "last":
        return
    if len(source_domains(source)) > 1:
        raise UserError(
            f"{plan.file}: selection: {plan.selection} cannot be used with several sources "
            f"({source})", "allowed: last"
        )  # fmt: skip
    config.default_hooks.checkpoint |= {"save_best": f"{source}/mIoU", "rule": "greater"}


@contextlib.contextmanager
def _blamed_on(plan: Plan, key: str) -> Iterator[None]:
    """Add plan and key to the error of a block."""
    try:
        yield
    except UserError as error:
        raise type(error)(f"{plan.file}: {key}: {error.line}") from error
