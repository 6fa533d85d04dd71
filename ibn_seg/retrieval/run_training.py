"""Trains the strong baseline on a re-identification data set, and tests it where it is asked to."""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ibn_seg.errors import UserError, unknown
from ibn_seg.models.specs import MODELS
from ibn_seg.retrieval.baseline_recipe import FREE, TASK, BaselineRecipe, baseline_config
from ibn_seg.retrieval.run_retrieval import WORK_DIR, Searcher, searched
from ibn_seg.run import earlier_run, setup
from ibn_seg.run.result_file import finish, last_checkpoint

if TYPE_CHECKING:
    from mmengine.config import Config

# The first process searches, and the others wait. On a large gallery that takes longer than the ten
# minutes after which NCCL gives up.
_WAIT_S = 7 * 24 * 3600
# Name and root of a data set.
Data = tuple[str, str]


def train(
    model: str,
    name: str,
    root: str | os.PathLike,
    recipe: BaselineRecipe | None = None,
    *,
    options: Mapping[str, Any] | None = None,
    also: Sequence[Data] = (),
    targets: Sequence[Data] = (),
    work_dir: str | os.PathLike | None = None,
    resume: bool = False,
    seed: int = setup.DEFAULT_SEED,
    workers: int = 0,
    launcher: str = "none",
    quiet: bool = False,
    command: str | None = None,
    say: Callable[[str], None] = print,
) -> dict[str, Any]:
    """Train on the training part of a data set; write `WORK_DIR/result.json`.

    The last checkpoint is searched with in the data set's own gallery, if it has one, and in those
    of the targets, of which training sees nothing. A resumed run continues as if it had never been
    interrupted. On CPU, with the same threads and processes, weights are bit-identical.

    Args:
        model: The name of a network, see `ibn-seg models`.
        name: A key of `PICTURE_SETS`.
        root: Its root.
        recipe: The settings; default those of the strong baseline.
        options: Choices of the data set, such as boxes='labeled'.
        also: Name and root of other data sets to train on together.
        targets: Name and root of other data sets to search in.
        work_dir: The folder for checkpoints, log and result; default `work_dirs/reid/MODEL_NAME`.
        resume: Resume from the newest complete checkpoint in the work dir, if there is one.
        seed: The seed of initial weights, batches and augmentation.
        workers: Data workers of each process.
        launcher: 'none', or what started the processes: 'pytorch' (torchrun), 'slurm', 'mpi'.
        quiet: Show progress bars in place of mmengine's log lines.
        command: The command line, for the record.
        say: Called with a line about a data set, such as that its authors withdrew it.

    Returns:
        The content of the result file; "searches" has the scores by data set, percent.

    Raises:
        UserError: A name, a setting, the data or a checkpoint is wrong.
        EnvError: The work dir cannot be written.
    """
    from ibn_seg.engine import StrictRunner, distributed

    recipe = recipe or BaselineRecipe()
    recipe.check()
    if model not in MODELS:
        raise unknown("model", model, MODELS)
    names = [name, *(other for other, _ in (*also, *targets))]
    for other in names:
        if names.count(other) > 1:
            raise UserError(f"{other}: is named twice", "results go by the data set's name")
    homes = ((name, root, options or {}), *((*one, {}) for one in also))
    _check_data(homes, targets, recipe.selection, say)
    waiting = {"timeout": _WAIT_S}
    with distributed.kept_thread_settings(), distributed.process_group(launcher, waiting):
        config = _config(model, name, root, recipe, options, also, seed, workers)
        _register()
        cfg = setup.prepare_built(
            config,
            WORK_DIR / f"{model}_{name}",
            work_dir=work_dir,
            launcher=launcher,
            quiet=quiet,
        )
        setup.set_training(cfg, seed=seed, amp=False)
        with earlier_run.occupied(cfg, resume=resume, seed=None) as beginning:
            if cfg.resume:
                _check_same_run(cfg)
            runner = StrictRunner.from_cfg(cfg)
            try:
                beginning.note(runner)
                runner.train()
                checkpoint = last_checkpoint(cfg.work_dir)
                data = [*homes, *((*one, {}) for one in targets)]
                return finish(
                    runner,
                    "train",
                    lambda: _measured(cfg, model, checkpoint, recipe, data, len(homes)),
                    command=command,
                    checkpoint=checkpoint,
                )
            finally:
                runner.close()


def _check_data(
    homes: Sequence[tuple[str, Any, Mapping[str, Any]]],
    targets: Sequence[Data],
    selection: str,
    say: Callable[[str], None],
) -> None:
    """Raise a `UserError` if a data set cannot be searched; better now than after the training.

    Args:
        homes: Name, root and options of the data sets to train on.
        targets: Name and root of the others to search in.
        selection: The recipe's; 'source' needs a gallery of a home.
        say: Called with the note of a data set.
    """
    from ibn_seg.reid.set_numbers import searchable
    from ibn_seg.reid.sets.all_sets import picture_set
    from ibn_seg.reid.sets.picture_set import say_notes
    from ibn_seg.retrieval.source_selection import selecting

    trained = [picture_set(name, root, **options) for name, root, options in homes]
    others = [picture_set(*one) for one in targets]
    say_notes([*trained, *others], say)
    if selection == "source":
        selecting(trained)
    for data in (*(one for one in trained if one.has_search), *others):
        searchable(data)


def _config(
    model: str,
    name: str,
    root: str | os.PathLike,
    recipe: BaselineRecipe,
    options: Mapping[str, Any] | None,
    also: Sequence[Data],
    seed: int,
    workers: int,
) -> dict[str, Any]:
    """Return the config of a training, after a look at the pictures."""
    import torch
    from mmengine.dist import get_world_size

    from ibn_seg.reid.identity_sampling import identity_batches
    from ibn_seg.retrieval.training_pictures import TrainingPictures

    data = {
        "name": name, "root": str(root), "options": dict(options or {}),
        "also": [list(one) for one in also],
    }  # fmt: skip
    pictures = TrainingPictures(**data)
    first = identity_batches(pictures.labels, recipe.identities, recipe.images, seed, 0)
    return baseline_config(
        model,
        data,
        recipe,
        title=MODELS[model].title,
        seed=seed,
        workers=workers,
        classes=len(pictures.metainfo["classes"]),
        epoch_length=max(1, len(first) // get_world_size()),
        gpu=torch.cuda.is_available(),
    )


def _register() -> None:
    """Register engine, sampler, pictures and network with mmengine."""
    import ibn_seg.engine
    import ibn_seg.reid.identity_sampling
    import ibn_seg.retrieval.training_network
    import ibn_seg.retrieval.training_pictures  # noqa: F401


def _check_same_run(cfg: "Config") -> None:
    """Check that the checkpoint is of this run; its weights replace the published ones.

    Raises:
        UserError: The network, the data or a setting differs.
    """
    from ibn_seg.models.sources import read_checkpoint

    before = read_checkpoint(cfg.load_from).get("meta", {}).get("experiment") or {}
    if before.get("task") != TASK:
        raise UserError(f"{cfg.load_from}: not of this training", "give another --work-dir")
    for key, value in cfg.to_dict()["experiment"].items():
        # Checkpoints of before have no options.
        kept = before.get(key, {} if key == "options" else None)
        if key not in FREE and kept != value:
            flag = key.replace("_", "-")
            raise UserError(
                f"{cfg.load_from}: began with {flag} {kept}, now it is {value}",
                "resume with what it began with, or begin elsewhere",
            )
    cfg.model.pretrained = False


def _measured(
    cfg: "Config",
    model: str,
    checkpoint: str,
    recipe: BaselineRecipe,
    data: Sequence[tuple[str, Any, Mapping[str, Any]]],
    homes: int,
) -> dict[str, Any]:
    """Return the scores in each data set that has queries, and what was trained on.

    The first `homes` data sets were trained on.
    """
    from ibn_seg.reid.sets.all_sets import picture_set
    from ibn_seg.retrieval.source_selection import best_on_source, candidates

    sets = {name: picture_set(name, root, **options) for name, root, options in data}
    searcher = Searcher(model, checkpoint, size=tuple(recipe.size), last_stride=recipe.last_stride)
    selected = {}
    if recipe.selection == "source":
        interval, last = cfg.default_hooks.checkpoint.interval, cfg.train_cfg.max_iters
        files = candidates(Path(cfg.work_dir), interval, last)
        best, scores = best_on_source(searcher, files, [*sets.values()][:homes])
        searcher = replace(searcher, checkpoint=best)
        selected = {"checkpoint": best, "source_mAP": scores}
    searches = {}
    for name, found in sets.items():
        if found.has_search:
            ranks = Path(cfg.work_dir) / f"ranks_{name}.npz"
            searches[name] = searched(searcher, found, ranks)
    return {
        "experiment": cfg.to_dict()["experiment"],
        "task": TASK,
        "model": model,
        "searches": searches,
        **selected,
    }
