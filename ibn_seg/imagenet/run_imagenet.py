"""Trains and tests classifiers on ImageNet, or on any pictures in one folder per class."""

# ruff: noqa: PT028 - `test` is a task here, not a test

import dataclasses
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ibn_seg.errors import EnvError, UserError, unknown
from ibn_seg.imagenet.recipe import SMALLEST_IMAGE, Recipe
from ibn_seg.imagenet.train_config import (
    TASK,
    check_same_run,
    class_difference,
    data_loader,
    experiment_of,
    testing_config,
    training_config,
)
from ibn_seg.models.specs import MODELS
from ibn_seg.run import earlier_run, setup
from ibn_seg.run.result_file import finish, last_checkpoint, recorder, validated

if TYPE_CHECKING:
    from mmengine.config import Config

    from ibn_seg.engine import StrictRunner

WORK_DIR = Path("work_dirs", TASK)
_MOST_WORKERS = 4


def train(
    model: str,
    data: str | os.PathLike,
    recipe: Recipe | None = None,
    *,
    work_dir: str | os.PathLike | None = None,
    resume: bool = False,
    seed: int = setup.DEFAULT_SEED,
    workers: int | None = None,
    launcher: str = "none",
    quiet: bool = False,
    command: str | None = None,
) -> dict[str, Any]:
    """Train a network on `DATA/train`, validate it on `DATA/val`; write `WORK_DIR/result.json`.

    A resumed run continues as if it had never been interrupted. On CPU, with the same number of
    threads and processes, weights and losses are bit-identical. The order of the pictures depends
    on the seed alone, not on data workers or processes.

    Args:
        model: The name of a network, see `ibn-seg models`.
        data: The folder of `train/CLASS/PICTURE` and `val/CLASS/PICTURE`.
        recipe: The settings; default the reference's.
        work_dir: The folder for checkpoints, log and result; default `work_dirs/imagenet/MODEL`.
        resume: Resume from the newest complete checkpoint in the work dir. Without any checkpoint,
            begin a new training.
        seed: The seed of initial weights, order and augmentation.
        workers: Data workers of each process; default 4 with a GPU (at most one per core), else 0.
        launcher: 'none', or what started the processes: 'pytorch' (torchrun), 'slurm', 'mpi'.
        quiet: Show progress bars in place of mmengine's log lines.
        command: The command line, for the record.

    Returns:
        The content of the result file; "errors" are top-1 and top-5 error in percent.

    Raises:
        UserError: A name, a setting, the data or a checkpoint is wrong.
        EnvError: The work dir cannot be written, or torchvision is missing.
    """
    from ibn_seg.engine import distributed
    from ibn_seg.imagenet.dataset import split_folder

    recipe = _decided(recipe or Recipe())
    _check_model(model, recipe.pretrained)
    folders = {split: split_folder(data, split) for split in ("train", "val")}
    with distributed.kept_thread_settings(), distributed.process_group(launcher):
        config, classes = _training(model, folders, recipe, seed, workers)
        _register()
        cfg = setup.prepare_built(
            config, WORK_DIR / model, work_dir=work_dir, launcher=launcher, quiet=quiet
        )
        setup.set_training(cfg, seed=seed, amp=False)
        with earlier_run.occupied(cfg, resume=resume, seed=None) as beginning:
            if cfg.resume:
                _go_on(cfg, classes)
            runner = _build_runner(cfg)
            try:
                beginning.note(runner)
                _say_loaded(runner)
                runner.train()
                if not validated(runner):
                    runner.val()
                images = len(runner.val_dataloader.dataset)
                return finish(
                    runner,
                    "train",
                    lambda: _measured(runner, images),
                    command=command,
                    checkpoint=last_checkpoint(cfg.work_dir),
                )
            finally:
                runner.close()


def test(
    model: str,
    data: str | os.PathLike,
    *,
    checkpoint: str | os.PathLike | None = None,
    pretrained: bool = False,
    transforms: Sequence[str] = (),
    batch_size: int = 100,
    image_size: int | None = None,
    work_dir: str | os.PathLike | None = None,
    workers: int | None = None,
    launcher: str = "none",
    quiet: bool = False,
    command: str | None = None,
) -> dict[str, Any]:
    """Measure top-1 and top-5 error on `DATA/val`, single crop; write `WORK_DIR/test.json`.

    Args:
        model: The name of a network, see `ibn-seg models`.
        data: A folder in ImageNet's layout, or a folder of class folders.
        checkpoint: The weights: a state dict, a file of the authors, of torch.hub or of `train`.
        pretrained: Test the authors' published weights instead.
        transforms: Names of changes of appearance, including `none`; default `none` alone.
        batch_size: Pictures in a batch, over all processes.
        image_size: Side of the square that the network sees. Default: the checkpoint's training
            size, else 224.
        work_dir: The folder for log and result; default `work_dirs/imagenet/MODEL`.
        workers: Data workers of each process; default 4 with a GPU (at most one per core), else 0.
        launcher: 'none', or what started the processes: 'pytorch' (torchrun), 'slurm', 'mpi'.
        quiet: Show progress bars in place of mmengine's log lines.
        command: The command line, for the record.

    Returns:
        The content of the result file; "errors" are top-1 and top-5 error in percent for every
        appearance.

    Raises:
        UserError: A name, the data or the weights are wrong, or do not fit each other.
        EnvError: The work dir cannot be written, the weights cannot be downloaded, or torchvision
            is missing.
    """
    from ibn_seg.engine import distributed
    from ibn_seg.imagenet.dataset import folder_to_test
    from ibn_seg.transforms.pixel_shifts import appearance_names

    _check_model(model, pretrained)
    names = appearance_names(transforms)
    for option, value, least in (
        ("batch-size", batch_size, 1),
        ("image-size", image_size, SMALLEST_IMAGE),
    ):
        if value is not None and value < least:
            raise UserError(f"--{option} {value}", f"it must be at least {least}")
    folder = folder_to_test(data)
    source, weights = _weights(model, checkpoint, pretrained)
    with distributed.kept_thread_settings(), distributed.process_group(launcher):
        from mmengine.dist import get_world_size

        share = -(-batch_size // get_world_size())
        size = image_size or experiment_of(weights).get("image_size", Recipe.image_size)
        loader = data_loader(folder, size, share, _workers(workers))
        classes = _tested_classes(model, weights, source, loader)
        config = testing_config(model, classes, loader, names)
        _register()
        cfg = setup.prepare_built(
            config, WORK_DIR / model, work_dir=work_dir, launcher=launcher, quiet=quiet
        )
        setup.for_testing(cfg)
        runner = _build_runner(cfg)
        try:
            _classifier(runner).load_exactly(weights, source)
            del weights
            runner.test()
            images = len(runner.test_dataloader.dataset)
            return finish(
                runner,
                "test",
                lambda: _measured(runner, images),
                command=command,
                checkpoint=source,
            )
        finally:
            runner.close()


def _check_model(model: str, pretrained: bool) -> None:
    """Raise if there is no such network, or if its published weights are wanted but missing."""
    from ibn_seg.models.published_weights import published_url

    if model not in MODELS:
        raise unknown("model", model, MODELS)
    if pretrained:
        published_url(model)


def _decided(recipe: Recipe) -> Recipe:
    """Return a checked recipe whose settings no longer depend on the machine.

    Raises:
        UserError: A setting is wrong.
        EnvError: The machine cannot do what the recipe asks for.
    """
    import torch

    recipe.check()
    gpu = torch.cuda.is_available()
    amp = recipe.amp if recipe.amp is not None else gpu or recipe.amp_type is not None
    amp_type = (recipe.amp_type or ("float16" if gpu else "bfloat16")) if amp else None
    if amp_type == "float16" and not gpu:
        raise EnvError("--amp-type float16 needs a GPU, and PyTorch sees none", "use bfloat16")
    if amp_type == "bfloat16" and gpu and not torch.cuda.is_bf16_supported():
        raise EnvError("--amp-type bfloat16: this GPU cannot do it", "use float16")
    channels_last = gpu if recipe.channels_last is None else recipe.channels_last
    return dataclasses.replace(recipe, amp=amp, amp_type=amp_type, channels_last=channels_last)


def _workers(workers: int | None) -> int:
    """Return the number of data workers of a process."""
    import torch

    if workers is not None:
        if workers < 0:
            raise UserError(f"--workers {workers}", "it must not be negative")
        return workers
    # On a CPU, workers would take cores from the network, whose threads wait for each other.
    return min(os.cpu_count() or 1, _MOST_WORKERS) if torch.cuda.is_available() else 0


def _training(
    model: str, folders: Mapping[str, Path], recipe: Recipe, seed: int, workers: int | None
) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Return the config of a training and the names of the classes."""
    from mmengine.dist import get_world_size

    from ibn_seg.imagenet.dataset import LabelledFolder

    trained, held_out = (LabelledFolder(folders[split]) for split in ("train", "val"))
    classes = trained.metainfo["classes"]
    difference = class_difference(held_out.metainfo["classes"], classes)
    if difference:
        raise UserError(
            f"{folders['val']}: its classes are not those of {folders['train']}: {difference}",
            "both need the same class folders",
        )
    if len(classes) < 2:
        raise UserError(f"{folders['train']}: one class", "there must be at least two")
    config = training_config(
        model,
        folders,
        recipe,
        seed=seed,
        workers=_workers(workers),
        processes=get_world_size(),
        images=len(trained),
        classes=len(classes),
    )
    return config, classes


def _register() -> None:
    """Register engine, data set, classifier and metric with mmengine."""
    import ibn_seg.engine
    import ibn_seg.imagenet.classifier
    import ibn_seg.imagenet.dataset
    import ibn_seg.imagenet.error_rates  # noqa: F401


def _build_runner(cfg: "Config") -> "StrictRunner":
    from ibn_seg.engine import StrictRunner

    return StrictRunner.from_cfg(cfg)


def _go_on(cfg: "Config", classes: tuple[str, ...]) -> None:
    """Check that the checkpoint is of this run, and remove initial weights."""
    from ibn_seg.models.sources import read_checkpoint

    before = experiment_of(read_checkpoint(cfg.load_from))
    check_same_run(
        {**cfg.to_dict()["experiment"], "classes": classes}, before, source=cfg.load_from
    )
    cfg.model.update(pretrained=False, init=None)


def _say_loaded(runner: "StrictRunner") -> None:
    """Describe in one line the changes to a start checkpoint."""
    report = _classifier(runner).load_report
    if report is not None:
        runner.logger.info(f"{runner.cfg.model.init}: {report}", extra={"notice": True})


def _classifier(runner: "StrictRunner") -> Any:
    from mmengine.model import is_model_wrapper

    return runner.model.module if is_model_wrapper(runner.model) else runner.model


def _weights(
    model: str, checkpoint: str | os.PathLike | None, pretrained: bool
) -> tuple[str, Mapping[str, Any]]:
    """Return the source of the weights to test, and its content.

    Raises:
        UserError: No weights or two were asked for, or they cannot be read.
    """
    from ibn_seg.models.published_weights import published_url
    from ibn_seg.models.sources import read_checkpoint

    if pretrained == (checkpoint is not None):
        given = "--pretrained and --checkpoint are both given" if pretrained else "no weights"
        raise UserError(
            f"imagenet test: {given}",
            "give --pretrained for the published ones, or --checkpoint FILE",
        )
    source = published_url(model) if pretrained else str(checkpoint)
    return source, read_checkpoint(source)


def _tested_classes(
    model: str, weights: Mapping[str, Any], source: str, loader: Mapping[str, Any]
) -> int:
    """Return the number of classes of the weights, which must match the folder's classes.

    Raises:
        UserError: The folder has other classes, or the weights are of another network.
    """
    from ibn_seg.imagenet.classifier_weights import count_classes
    from ibn_seg.imagenet.dataset import LabelledFolder

    count = count_classes(model, weights, source)
    folder = loader["dataset"]["root"]
    found = LabelledFolder(folder).metainfo["classes"]
    trained = experiment_of(weights).get("classes")
    difference = class_difference(found, trained) if trained else ""
    if difference or len(found) != count:
        reason = f": {difference}" if difference else ""
        raise UserError(
            f"{folder}: {len(found)} class folders do not fit the {count} classes of "
            f"{source}{reason}",
            "test on the classes that the network was trained on",
        )
    return count


def _measured(runner: "StrictRunner", images: int) -> dict[str, Any]:
    """Return the error rates, and the network and data that they belong to."""
    from ibn_seg.imagenet.error_rates import errors_by_appearance

    experiment = runner.cfg.to_dict()["experiment"]
    metrics = recorder(runner).validations[-1]["metrics"]
    return {
        "experiment": experiment,
        "task": TASK,
        "model": experiment["model"],
        "classes": runner.cfg.model.num_classes,
        "images": images,
        "errors": errors_by_appearance(metrics),
        "metrics": metrics,
    }
