"""Compares fine-tuning on shares of a target's training set with training without the source."""

import hashlib
import json
import math
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ibn_seg.analyses.transfer.share_config import STARTS, check_percent, data_sets, transfer_config
from ibn_seg.analyses.transfer.share_scores import Run, summary
from ibn_seg.config import scope_of
from ibn_seg.errors import UserError, unknown
from ibn_seg.io import read_json, sha256, write_json
from ibn_seg.provenance import record
from ibn_seg.results.identity import counted
from ibn_seg.run import setup
from ibn_seg.run.config_loading import load_named
from ibn_seg.run.protocol import is_metric_of_ours
from ibn_seg.run.result_file import SCHEMA, read_result, result_name
from ibn_seg.run.schedule import iterations_of, scale_learning_rate, stretch

if TYPE_CHECKING:
    from mmengine.config import Config

SHARES = (1, 2, 5, 10, 20, 30, 100)
SEEDS = (0, 1, 2)
SEED_FIELD = "{seed}"
# The common settings of all trainings in a folder.
CLAIM = "plan.json"

Say = Callable[[str], None]


def transfer(
    config: "str | os.PathLike | Config",
    checkpoint: str | os.PathLike | None = None,
    *,
    work_dir: str | os.PathLike | None = None,
    shares: Sequence[float] = SHARES,
    starts: Sequence[str] = STARTS,
    seeds: Sequence[int] = SEEDS,
    iterations: int | None = None,
    lr_factor: float = 1.0,
    cfg_options: Mapping[str, Any] | None = None,
    launcher: str = "none",
    quiet: bool = False,
    command: str | None = None,
    say: Say = print,
) -> dict:
    """Train on shares of a target's training set from both starts; write `WORK_DIR/transfer.json`.

    Every training runs `ibn_seg.run.segmentation.train` in its own folder, with the same schedule
    for both starts. Its last checkpoint is scored. Finished trainings are not run again, and
    interrupted ones resume. A later call may add shares, starts or seeds.

    Args:
        config: A training config of the target: a path, an `ibn_seg::` name, or a config, which is
            not changed. It decides how a training without the source begins.
        checkpoint: The source-trained network. Every weight must fit, including the head's.
            `{seed}` in it stands for the seed. Only the start 'source' needs it.
        work_dir: The folder of the runs and of the result. Default: `transfer` in the config's
            `work_dir`, else in `work_dirs/CONFIG_NAME`.
        shares: Percent of the training set, each above 0 and up to 100. For one seed, a smaller
            share is a subset of a larger one.
        starts: 'source' and 'scratch', or one of them.
        seeds: Seeds of the training and of the choice of images.
        iterations: Length of each training; the schedule stretches with it. Default: the config's.
        lr_factor: Multiplies the learning rate of the start 'source' alone. With the default 1, the
            two trainings differ in nothing but their start.
        cfg_options: Values that override the config's, by dotted key.
        launcher: 'none', or what started the processes: 'pytorch' (torchrun), 'slurm', 'mpi'.
        quiet: Show progress bars in place of mmengine's log lines.
        command: The command line, for the record.
        say: Receives one line per training.

    Returns:
        The content of the result file.

    Raises:
        UserError: An argument, the config, the data or the checkpoint is wrong. Or the folder holds
            the results of another transfer.
        EnvError: The folder cannot be written, or the disk is full.
    """
    from ibn_seg.engine import distributed
    from ibn_seg.run.segmentation import train

    shares, starts, seeds = tuple(shares), tuple(starts), tuple(seeds)
    _check(shares, starts, seeds, iterations, lr_factor)
    setup.register()
    base = load_named(config, cfg_options)
    _check_evaluation(base)
    identity = counted(base.to_dict())
    if iterations is not None:
        stretch(base, iterations)
    whole = _training_set(base)
    sizes = _sizes(whole, shares)
    networks = _networks(base, checkpoint, seeds, whole) if "source" in starts else {}
    # Make the folder last, so that a wrong argument leaves nothing behind.
    folder = Path(
        setup.prepare(
            base, work_dir=work_dir, cfg_options=None, launcher=launcher, quiet=quiet,
            default_folder="transfer",
        ).work_dir
    )  # fmt: skip
    common = {
        "checkpoints": {str(seed): str(path) for seed, path in networks.items()},
        "checkpoint_hashes": {str(seed): sha256(path) for seed, path in networks.items()},
        "iterations": iterations_of(base),
        "lr_factor": lr_factor,
    }
    runs = [Run(share, start, seed) for seed in seeds for share in shares for start in starts]
    with (
        distributed.kept_thread_settings(),
        distributed.process_group(launcher, (base.get("env_cfg") or {}).get("dist_cfg")),
    ):
        from mmengine.dist import is_main_process

        if is_main_process():
            _claim(folder, identity, common)
        results = {}
        for number, run in enumerate(runs, start=1):
            done = read_result(folder / run.name)
            if is_main_process():
                ended = "finished before" if done else f"training on {sizes[run.share]} images"
                head = f"{run.share:g} %, {run.start}, seed {run.seed}"
                say(f"{number} of {len(runs)}: {head}: {ended}")
            results[run] = done or train(
                _config_of(run, base, networks, lr_factor),
                work_dir=folder / run.name,
                resume=True,
                seed=run.seed,
                launcher=launcher,
                quiet=quiet,
                command=command,
            )
        facts = {
            "schema": SCHEMA,
            "kind": "transfer",
            "name": folder.name,
            "command": command,
            "config_file": str(base.filename) if base.filename else None,
            "config": base.pretty_text,
            **common,
            **record(),
            **summary(results, folder),
        }
        if is_main_process():
            write_json(folder / result_name("transfer"), facts)
    return facts


def _check(
    shares: Sequence[float],
    starts: Sequence[str],
    seeds: Sequence[int],
    iterations: int | None,
    lr_factor: float,
) -> None:
    """Raise `UserError` for impossible settings."""
    for share in shares:
        check_percent(share)
    for name, values in (("share", shares), ("start", starts), ("seed", seeds)):
        _check_distinct(name, values)
    for start in starts:
        if start not in STARTS:
            raise unknown("start", start, STARTS)
    for seed in seeds:
        if not isinstance(seed, int) or isinstance(seed, bool) or seed < 0:
            raise UserError(f"seed {seed!r}", "allowed: whole numbers from 0")
    if iterations is not None and iterations < 1:
        raise UserError(f"iterations {iterations!r}", "allowed: whole numbers from 1")
    if not 0 < lr_factor < math.inf:
        raise UserError(f"learning-rate factor {lr_factor!r}", "allowed: above 0")


def _check_distinct(name: str, values: Sequence[Any]) -> None:
    """Raise `UserError` if there is no value, or a value is given twice."""
    if not values:
        raise UserError(f"{name}s: none is given", "give at least one")
    for index, value in enumerate(values):
        if value in values[:index]:
            shown = f"{value:g}" if isinstance(value, float) else value
            raise UserError(f"{name} {shown} is given twice", "leave one out")


def _check_evaluation(cfg: "Config") -> None:
    """Raise `UserError` if a config's validation does not count by domain and image."""
    if not cfg.get("val_dataloader") or not is_metric_of_ours(cfg.get("val_evaluator")):
        raise UserError(
            f"{cfg.filename or 'config'}: val_evaluator is not MultiDomainIoU",
            "the last checkpoint is scored by the config's validation; use that metric",
        )


def _training_set(cfg: "Config") -> Any:
    """Return the data set of a config's training, whole.

    Raises:
        UserError: It is missing or does not support shares.
    """
    from mmengine.registry import init_default_scope
    from mmseg.registry import DATASETS

    from ibn_seg.datasets.base import UrbanSceneDataset
    from ibn_seg.explain.explain import explained

    whole = transfer_config(cfg, share=100, subset_seed=0, checkpoint=None)
    init_default_scope(scope_of(cfg))
    for part in _types(whole.train_dataloader.dataset):
        known = DATASETS.get(part) if isinstance(part, str) else part
        if isinstance(known, type) and not issubclass(known, UrbanSceneDataset):
            raise UserError(f"{part} has no shares", "use the data sets of ibn_seg")
    with explained(whole):
        return DATASETS.build(whole.train_dataloader.dataset)


def _sizes(whole: Any, shares: Sequence[float]) -> dict[float, int]:
    """Return the number of images in each share of a training set.

    Raises:
        UserError: Two shares have the same images.
    """
    from ibn_seg.datasets.subset import subset_size
    from ibn_seg.engine.sampling import members

    parts = members(whole)
    counts = {s: tuple(subset_size(len(part), s / 100) for part in parts) for s in shares}
    for index, share in enumerate(shares):
        for other in shares[:index]:
            if counts[share] == counts[other]:
                images, all_images = sum(counts[share]), sum(len(part) for part in parts)
                raise UserError(
                    f"{other:g} % and {share:g} % of {all_images} images are the same "
                    f"{images} image{'s' if images > 1 else ''}",
                    "leave one of the shares out",
                )
    return {share: sum(found) for share, found in counts.items()}


def _types(dataset: Mapping[str, Any]) -> list[Any]:
    """Return the types of the data sets inside wrappers and concatenations."""
    return [part.get("type") for part in data_sets(dataset)]


def _networks(
    cfg: "Config", checkpoint: str | os.PathLike | None, seeds: Sequence[int], whole: Any
) -> dict[int, str]:
    """Return the file of the source-trained network of each seed.

    Raises:
        UserError: A file is missing, does not fit the config, or is of other classes than the
            training set.
    """
    from ibn_seg.engine.class_checks import check_start

    if checkpoint is None:
        raise UserError(
            "CHECKPOINT is missing: the network that was trained on the source",
            "give it, or only the start scratch",
        )
    given = os.fspath(checkpoint)
    paths = {seed: given.replace(SEED_FIELD, str(seed)) for seed in seeds}
    for path in sorted(set(paths.values())):
        network, _, content = setup.trained_network(cfg, path)
        check_start(network, content, whole, path)
    return paths


def _config_of(run: Run, base: "Config", networks: Mapping[int, str], lr_factor: float) -> "Config":
    """Return the config of one training."""
    found = transfer_config(
        base,
        share=run.share,
        subset_seed=run.seed,
        checkpoint=networks[run.seed] if run.start == "source" else None,
    )
    if run.start == "source" and lr_factor != 1:
        scale_learning_rate(found, lr_factor)
    return found


def _claim(folder: Path, identity: Any, common: Mapping[str, Any]) -> None:
    """Record the common settings of a folder's trainings, or check them against the record.

    Args:
        folder: The folder of the trainings.
        identity: The config's settings that change numbers.
        common: Further common settings.

    Raises:
        UserError: The settings differ from the record.
    """
    text = json.dumps(identity, sort_keys=True)
    wanted = {
        "config": hashlib.sha256(text.encode()).hexdigest(),
        "iterations": common["iterations"],
        "lr_factor": common["lr_factor"],
        "checkpoints": common["checkpoint_hashes"],
    }
    path = folder / CLAIM
    before = read_json(path) if path.exists() else wanted
    networks = before["checkpoints"]
    changed = [key for key in ("config", "iterations", "lr_factor") if before[key] != wanted[key]]
    changed += [
        f"checkpoint of seed {seed}"
        for seed, digest in wanted["checkpoints"].items()
        if networks.get(seed, digest) != digest
    ]
    if changed:
        raise UserError(
            f"{folder}: holds a transfer with another {', another '.join(changed)} ({CLAIM})",
            "give another --work-dir, or delete the folder",
        )
    write_json(path, {**wanted, "checkpoints": {**networks, **wanted["checkpoints"]}})
