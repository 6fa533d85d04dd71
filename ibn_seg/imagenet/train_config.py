"""The parts of mmengine's config from which ImageNet runs are built."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ibn_seg.errors import UserError
from ibn_seg.imagenet.recipe import Recipe
from ibn_seg.models.specs import MODELS

TASK = "imagenet"
# Settings that may differ in a resumed run. They do not change its results.
_FREE = ("val_batch_size", "pretrained", "init")
_LOG_EVERY = 50
_KEPT_CHECKPOINTS = 2


def data_loader(
    folder: Path, image_size: int, batch_size: int, workers: int, *, augment: bool = False
) -> dict[str, Any]:
    """Return the config of a data loader.

    Args:
        folder: The folder of the class folders.
        image_size: Side of the square that the network sees.
        batch_size: Pictures in the batch of one process.
        workers: Data workers of one process.
        augment: Whether the pictures are for training: random order, random crops and flips.
    """
    return {
        "batch_size": batch_size,
        "num_workers": workers,
        "persistent_workers": workers > 0,
        "sampler": {"type": "DefaultSampler", "shuffle": augment},
        "collate_fn": {"type": "default_collate"},
        "dataset": {
            "type": "LabelledFolder",
            "root": str(folder),
            "image_size": image_size,
            "augment": augment,
        },
    }


def training_config(
    model: str,
    folders: Mapping[str, Path],
    recipe: Recipe,
    *,
    seed: int,
    workers: int,
    processes: int,
    images: int,
    classes: int,
) -> dict[str, Any]:
    """Return the config of a training.

    Args:
        model: The name of the network.
        folders: The folders of 'train' and 'val'.
        recipe: The settings. No setting may still depend on whether there is a GPU.
        seed: The seed of the run.
        workers: Data workers of one process.
        processes: The number of processes.
        images: The number of training pictures.
        classes: The number of classes.

    Raises:
        UserError: The batch is larger than the training set, or cannot be shared evenly.
    """
    if recipe.batch_size > images:
        raise UserError(
            f"--batch-size {recipe.batch_size}: {folders['train']} has {images} pictures",
            f"give at most {images}",
        )
    if recipe.batch_size % processes or recipe.batch_size < 2 * processes:
        raise UserError(
            f"--batch-size {recipe.batch_size} of {processes} processes together",
            f"give a multiple of {processes}, at least 2 for each: batch norm needs two pictures",
        )
    epoch = images // recipe.batch_size
    size = recipe.image_size
    validation = -(-recipe.val_batch_size // processes)
    settings = {**asdict(recipe), "seed": seed, "images": images}
    checkpoint = {
        "type": "AtomicCheckpointHook",
        "by_epoch": False,
        "interval": epoch,
        "max_keep_ckpts": _KEPT_CHECKPOINTS,
    }
    return {
        "experiment": experiment(model, settings),
        "model": {
            "type": "ImageClassifier",
            "model": model,
            "num_classes": classes,
            "pretrained": recipe.pretrained,
            "init": recipe.init,
        },
        "train_dataloader": data_loader(
            folders["train"], size, recipe.batch_size // processes, workers, augment=True
        ),
        "train_cfg": {
            "type": "SeededIterLoop",
            "max_iters": recipe.epochs * epoch,
            "val_interval": recipe.val_interval * epoch,
        },
        "optim_wrapper": recipe.optimizer(),
        "param_scheduler": recipe.schedulers(epoch),
        "val_dataloader": data_loader(folders["val"], size, validation, workers),
        "val_evaluator": {"type": "ErrorRates"},
        "val_cfg": {"type": "ValLoop"},
        "default_hooks": {
            "checkpoint": checkpoint,
            "logger": {
                "type": "LoggerHook",
                "interval": _LOG_EVERY,
                "log_metric_by_epoch": False,
            },
        },
        "custom_hooks": [
            *_averaging(recipe),
            {"type": "ProgressHook", "label": MODELS[model].title, "epoch_length": epoch},
        ],
        "channels_last": recipe.channels_last,
        **_environment(),
    }


def testing_config(
    model: str, classes: int, loader: Mapping[str, Any], appearances: Sequence[str]
) -> dict[str, Any]:
    """Return the config of a test.

    Args:
        model: The name of the network.
        classes: The number of classes.
        loader: The data loader.
        appearances: The changes of appearance to test under.
    """
    return {
        "experiment": experiment(model, {"image_size": loader["dataset"]["image_size"]}),
        "model": {
            "type": "ImageClassifier",
            "model": model,
            "num_classes": classes,
            "appearances": list(appearances),
        },
        "test_dataloader": dict(loader),
        "test_evaluator": {"type": "ErrorRates"},
        "test_cfg": {"type": "TestLoop"},
        # A test has no randomness. Without a seed, mmengine would draw one for the record.
        "randomness": {"seed": 0},
        "custom_hooks": [{"type": "ProgressHook", "label": MODELS[model].title}],
        **_environment(),
    }


def experiment(model: str, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return a run's identity, as its checkpoints and its result record it."""
    return {"task": TASK, "model": model, "method": MODELS[model].title, **settings}


def experiment_of(checkpoint: Any) -> dict[str, Any]:
    """Return the identity in a checkpoint of our own training; an empty dict for others.

    Returns:
        The return value of `experiment`, and "classes", the names of the classes.
    """
    meta = checkpoint.get("meta") if isinstance(checkpoint, Mapping) else None
    found = meta.get("experiment") if isinstance(meta, Mapping) else None
    if not isinstance(found, Mapping) or found.get("task") != TASK:
        return {}
    data = meta.get("dataset_meta") or {}
    return {**found, "classes": tuple(data.get("classes", ()))}


def check_same_run(now: Mapping[str, Any], before: Mapping[str, Any], source: object) -> None:
    """Check that a run continues with its first settings.

    Args:
        now: The return value of `experiment`, and "classes".
        before: The return value of `experiment_of` for the checkpoint.
        source: The checkpoint's file, for the message.

    Raises:
        UserError: The network, the data or a setting differs.
    """
    if not before:
        raise UserError(f"{source}: not of an ImageNet training", "give another --work-dir")
    for key, value in now.items():
        plain = list(value) if isinstance(value, tuple) else value
        kept = list(before[key]) if isinstance(before.get(key), tuple) else before.get(key)
        if key in _FREE or plain == kept:
            continue
        if key == "classes":
            what = f"other classes in the training set ({class_difference(value, before[key])})"
        elif key == "images":
            what = f"{kept} training pictures, now there are {plain}"
        else:
            what = f"{key.replace('_', '-')} {kept}, now it is {plain}"
        raise UserError(
            f"{source}: began with {what}", "resume with what it began with, or begin elsewhere"
        )


def class_difference(found: Sequence[str], wanted: Sequence[str]) -> str:
    """Return the difference of two lists of classes in words; an empty string if equal."""
    missing = [name for name in wanted if name not in set(found)]
    extra = [name for name in found if name not in set(wanted)]
    parts = [
        f"{len(names)} {word}, such as {names[0]!r}"
        for word, names in (("missing", missing), ("unknown", extra))
        if names
    ]
    return "; ".join(parts)


def _averaging(recipe: Recipe) -> list[dict[str, Any]]:
    return [] if recipe.ema is None else [{"type": "SharedEMAHook", "momentum": recipe.ema}]


def _environment() -> dict[str, Any]:
    return {
        "default_scope": "mmengine",
        "env_cfg": {"cudnn_benchmark": True, "dist_cfg": {"backend": "nccl"}},
        "log_processor": {"by_epoch": False},
    }
