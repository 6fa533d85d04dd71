"""The cells of a plan: each network to train, its config, and the hash of what shapes it."""

import contextlib
import fnmatch
import hashlib
import itertools
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

import ibn_seg
from ibn_seg.benchmark.plan import BACKBONE_FIELD, Block, Choice, Plan, Schedule
from ibn_seg.benchmark.schedule import iterations_of, stretch
from ibn_seg.config import SCHEME, config_folder, load_config
from ibn_seg.errors import UserError, unknown
from ibn_seg.provenance import source_domains

if TYPE_CHECKING:
    from mmengine.config import Config

# Parts of a config that change no number of a cell: patterns of dotted keys, `*` is any text.
LEFT_OUT: Mapping[str, str] = {
    "*_root": "where data sets lie",
    "*.cache_dir": "where decoded frames are kept; crops from them are the same",
    "*_dataloader.num_workers": "samples are a function of seed and position",
    "*_dataloader.persistent_workers": "as above",
    "*_dataloader.prefetch_factor": "as above",
    "*_dataloader.pin_memory": "as above",
    "work_dir": "where results are written",
    "default_hooks.checkpoint": "how often checkpoints are written and how many are kept",
    "default_hooks.logger": "how often is logged",
    "default_hooks.timer": "as above",
    "default_hooks.visualization": "drawing happens in tests only",
    "log_level": "as above",
    "log_processor": "as above",
    "visualizer": "as above",
    "vis_backends": "as above",
    "launcher": "what starts processes; their number counts",
    "resume": "a resumed training ends with the same numbers",
    "experiment.method": "what tables call it",
    "experiment.backbone": "as above",
    "experiment.segmentor": "as above",
    "test_*": "a training does not read it",
    "tta_*": "as above",
}
_ID_LENGTH = 12
_DATASETS = "_base_/datasets"


@dataclass(frozen=True)
class Cell:
    """One training of the matrix.

    Attributes:
        id: The first 12 hexadecimal digits of the SHA-256 of `identity` as sorted JSON.
        method: Name of the method.
        backbone: Name of the backbone.
        segmentor: Name of the segmentor.
        source: The domains trained on, joined by '+'.
        targets: The other evaluated data sets, as the plan or the config calls them.
        seed: Training seed.
        iterations: Training iterations.
        identity: What changes the cell's numbers.
        config: The config to train, with the data roots of this machine.
    """

    id: str
    method: str
    backbone: str
    segmentor: str
    source: str
    targets: tuple[str, ...]
    seed: int
    iterations: int
    identity: Mapping[str, Any] = field(repr=False, compare=False)
    config: "Config" = field(repr=False, compare=False)

    @property
    def label(self) -> str:
        """A short name for people."""
        return f"{self.method} {self.backbone} {self.source} seed {self.seed}"

    @property
    def kind(self) -> tuple:
        """What cells have in common that take about as long."""
        return self.backbone, self.segmentor, self.source, self.targets, self.iterations

    def facts(self) -> dict[str, Any]:
        """Return what a JSON file says about the cell."""
        names = ("id", "method", "backbone", "segmentor", "source", "targets", "seed", "iterations")
        facts = {name: getattr(self, name) for name in names}
        return {**facts, "targets": list(self.targets)}


def list_cells(plan: Plan) -> list[Cell]:
    """Return the cells of a plan, seeds outermost, so that whole comparisons are done first.

    Raises:
        UserError: A config is missing, an option does not fit it, or two names of the plan stand
            for the same training.
    """
    bases: dict[str, Config] = {}

    def base(name: str, key: str) -> "Config":
        if name not in bases:
            with _blamed_on(plan, key):
                bases[name] = load_config(name, custom_imports=False)
        return bases[name]

    found: dict[str, Cell] = {}
    for block in plan.blocks:
        for cell in _cells_of(plan, block, base):
            twin = found.setdefault(cell.id, cell)
            if twin.label != cell.label or twin.segmentor != cell.segmentor:
                raise UserError(
                    f"{plan.file}: {twin.label!r} and {cell.label!r} are the same training",
                    "leave one out, or let their options differ",
                )
    return list(found.values())


def identity_of(config: Mapping[str, Any], plan: Plan) -> dict[str, Any]:
    """Return what changes the numbers of a config's training, without `LEFT_OUT`."""
    return {
        "ibn_seg": ibn_seg.__version__,
        "threads": plan.threads,
        "processes": plan.processes,
        "protocol": plan.protocol,
        "selection": plan.selection,
        "scenes": asdict(plan.scenes) if plan.scenes else None,
        "config": counted(config),
    }


def cell_id(identity: Mapping[str, Any]) -> str:
    """Return the hash of an identity."""
    text = json.dumps(identity, sort_keys=True, ensure_ascii=True, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()[:_ID_LENGTH]


def counted(value: Any, path: str = "") -> Any:
    """Return a config, or the part of it at a dotted key, as JSON can hold it.

    Args:
        value: The part.
        path: Its key.

    Returns:
        What of it changes numbers: all but `LEFT_OUT`.

    Raises:
        UserError: It holds what JSON cannot.
    """
    if isinstance(value, Mapping):
        below = {str(key): (f"{path}.{key}" if path else str(key)) for key in value}
        return {
            str(key): counted(item, below[str(key)])
            for key, item in value.items()
            if not any(fnmatch.fnmatchcase(below[str(key)], pattern) for pattern in LEFT_OUT)
        }
    if isinstance(value, list | tuple):
        return [counted(item, f"{path}.{index}") for index, item in enumerate(value)]
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, type):
        return f"{value.__module__}.{value.__qualname__}"
    raise UserError(f"config: {path} is {type(value).__name__}", "write plain values in a config")


def _cells_of(plan: Plan, block: Block, base: "Callable[[str, str], Config]") -> Iterator[Cell]:
    """Make the cells of one block."""
    sources: tuple[Choice | None, ...] = block.sources or (None,)
    for seed, segmentor, backbone, source, method in itertools.product(
        block.seeds, block.segmentors, block.backbones, sources, block.methods
    ):
        name = (segmentor.config or "").replace(BACKBONE_FIELD, backbone.config or "")
        config = load_config(base(name, f"segmentors.{segmentor.name}"))
        if source is not None:
            key = f"sources.{source.name}"
            with _blamed_on(plan, key):
                file = source.config or _source_config(source.name)
            _set_source(plan, config, load_config(base(file, key)))
        if block.targets:
            _set_targets(plan, config, block.targets, base)
        _set_schedule(plan, config, block.schedule)
        for key, options in (
            (f"backbones.{backbone.name}", backbone.options),
            ("schedule.options", block.schedule.options),
            (f"methods.{method.name}", method.options),
        ):
            with _blamed_on(plan, key):
                config = load_config(config, options)
        yield _finished(plan, config, method.name, backbone.name, segmentor.name, seed)


def _finished(
    plan: Plan, config: "Config", method: str, backbone: str, segmentor: str, seed: int
) -> Cell:
    """Give a config its names, seed and selection, and return its cell."""
    config.experiment = {
        **(config.get("experiment") or {}),
        "method": method, "backbone": backbone, "segmentor": segmentor,
    }  # fmt: skip
    config.randomness = {**(config.get("randomness") or {}), "seed": seed}
    source = config.experiment.get("source")
    if not source:
        raise UserError(f"{plan.file}: segmentors.{segmentor}: its config has no experiment.source")
    _set_selection(plan, config, source)
    datasets = _val_datasets(plan, config)
    config.test_dataloader, config.test_evaluator = config.val_dataloader, config.val_evaluator
    identity = identity_of(config.to_dict(), plan)
    return Cell(
        id=cell_id(identity), method=method, backbone=backbone, segmentor=segmentor, source=source,
        targets=tuple(_domain(item) for item in datasets[_count_sources(config) :]),
        seed=seed, iterations=_iterations(plan, config), identity=identity, config=config,
    )  # fmt: skip


def _domain(dataset: Mapping[str, Any]) -> str:
    """Return what a data set's config says that it is called."""
    name = str(dataset["type"]).removeprefix("Raw").removesuffix("Dataset").lower()
    parts = (dataset.get(key) for key in ("condition", "mapping", "beta"))
    return dataset.get("target") or "-".join([name, *(str(part) for part in parts if part)])


def _source_config(name: str) -> str:
    """Return the config that trains on a source, by the name of its files."""
    files = sorted((config_folder() / _DATASETS).glob("*_to_*.py"))
    by_name = {file.stem.partition("_to_")[0]: file for file in reversed(files)}
    if name not in by_name:
        raise unknown("source", name, sorted(by_name))
    return str(by_name[name])


def _set_source(plan: Plan, config: "Config", data: "Config") -> None:
    """Let a config train on the data of another; its batch size, workers and targets stay."""
    targets = _val_datasets(plan, config)[_count_sources(config) :]
    config.train_dataloader.dataset = data.train_dataloader.dataset
    config.train_dataloader.sampler = data.train_dataloader.sampler
    config.val_dataloader.dataset = data.val_dataloader.dataset
    config.experiment = {**(config.get("experiment") or {}), "source": data.experiment.source}
    config.val_evaluator.source = data.experiment.source
    _evaluate_on(plan, config, targets)


def _evaluate_on(plan: Plan, config: "Config", targets: Sequence[Mapping[str, Any]]) -> None:
    """Let a config evaluate its sources and these targets; no source is its own target."""
    sources = _val_datasets(plan, config)[: _count_sources(config)]
    others = [target for target in targets if target not in sources]
    config.val_dataloader.dataset.datasets = [*sources, *others]


def _count_sources(config: "Config") -> int:
    """Return how many of the evaluated data sets are sources; they come first."""
    return len(source_domains((config.get("experiment") or {}).get("source")))


def _set_targets(
    plan: Plan,
    config: "Config",
    targets: tuple[str | Mapping[str, Any], ...],
    base: "Callable[[str, str], Config]",
) -> None:
    """Let a config evaluate its sources and the targets of a plan."""
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


def _val_datasets(plan: Plan, config: "Config") -> list:
    """Return the evaluated data sets of a config, the sources first."""
    datasets = ((config.get("val_dataloader") or {}).get("dataset") or {}).get("datasets")
    if not datasets:
        raise UserError(
            f"{plan.file}: {config.filename}: val_dataloader.dataset is not a MultiDomainDataset",
            "a benchmark evaluates several domains",
        )
    return list(datasets)


def _iterations(plan: Plan, config: "Config") -> int:
    """Return the training iterations of a config."""
    try:
        return iterations_of(config)
    except UserError as error:
        raise UserError(f"{plan.file}: {error.line}") from error


def _set_schedule(plan: Plan, config: "Config", schedule: Schedule) -> None:
    """Set the length of a training and stretch what depends on it."""
    if schedule.iterations:
        with _blamed_on(plan, "schedule.iterations"):
            stretch(config, schedule.iterations)
    if schedule.validate_every:
        config.train_cfg.val_interval = schedule.validate_every
    checkpoint = dict((config.get("default_hooks") or {}).get("checkpoint") or {"by_epoch": False})
    every = schedule.checkpoint_every or min(
        checkpoint.get("interval", 1000), _iterations(plan, config)
    )
    # What a finished cell needs is its last checkpoint; the one before it is for interruptions.
    checkpoint |= {"interval": every, "max_keep_ckpts": 2}
    checkpoint.setdefault("type", "AtomicCheckpointHook")
    config.default_hooks = {**(config.get("default_hooks") or {}), "checkpoint": checkpoint}


def _set_selection(plan: Plan, config: "Config", source: str) -> None:
    """Keep the best checkpoint too where the plan counts it."""
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
    """Let the error of a block say which key of which plan it comes from."""
    try:
        yield
    except UserError as error:
        raise type(error)(f"{plan.file}: {key}: {error.line}") from error
