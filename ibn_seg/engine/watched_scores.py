"""Compare the scores and sources that a config names with the ones its validation gives.

mmengine looks up such a name at the first validation, which may be hours after the start.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from mmengine.hooks import CheckpointHook
from mmengine.runner import BaseLoop, Runner
from torch.utils.data import Dataset

from ibn_seg.datasets.targets import check_source
from ibn_seg.engine.class_checks import classes_of
from ibn_seg.engine.metric_classes import tell_classes
from ibn_seg.engine.random_state import preserved_random_state
from ibn_seg.engine.resuming import all_schedulers
from ibn_seg.engine.sampling import members
from ibn_seg.errors import UserError, unknown
from ibn_seg.evaluation.metric import MultiDomainIoU

# The scores of mmseg's IoUMetric by its setting (mmseg/evaluation/metrics/iou_metric.py).
_IOU_METRIC = {
    "mIoU": ("mIoU", "mAcc"),
    "mDice": ("mDice", "mAcc"),
    "mFscore": ("mFscore", "mPrecision", "mRecall"),
}
_OF_A_CLASS = re.compile(r"(.+)/IoU\..+")


def check_watched(runner: Runner, loop: BaseLoop, samples: bool = True) -> None:
    """Check the requirements of a validation, before the first iteration.

    Names of scores are compared if every metric is known. One image of each domain is loaded if a
    metric counts by domain.

    Args:
        runner: A runner whose hooks and schedulers are built.
        loop: Its validation loop.
        samples: Load these images.

    Raises:
        UserError: A hook or a scheduler watches a score that does not exist. Or a sample lacks data
            for the metric.
    """
    metrics, dataset = loop.evaluator.metrics, loop.dataloader.dataset
    if isinstance(runner._train_loop, BaseLoop):
        trained = classes_of(runner.train_loop.dataloader.dataset)
        tell_classes(runner, metrics, dataset, trained)
    for metric in metrics:
        if samples and hasattr(metric, "check_sample"):
            _check_samples(metric, dataset)
    names = _score_names(metrics, dataset)
    if names is None:
        return
    for key, watched in _watched(runner):
        if watched not in names and not _is_of_a_class(watched, names):
            raise unknown(f"score in {key}", watched, names)


def check_sources(runner: Runner, loop: BaseLoop, part: str) -> None:
    """Check that a config's source domains are not misspelt, if a metric has sources.

    Args:
        runner: The runner of the loop.
        loop: A loop that evaluates.
        part: 'val' or 'test'.

    Raises:
        UserError: A source is most likely a misspelt evaluated domain.
    """
    training = runner._train_loop
    trained = _targets_of(training.dataloader.dataset) if isinstance(training, BaseLoop) else ()
    for metric in loop.evaluator.metrics:
        if isinstance(metric, MultiDomainIoU):
            found = [name or metric.domain for name in _targets_of(loop.dataloader.dataset)]
            evaluated = [name for name in found if name]
            check_source(metric.source, evaluated, f"{part}_evaluator.source", trained)
            named = (runner.cfg.get("experiment") or {}).get("source")
            check_source(named, evaluated, "experiment.source", trained)


def _targets_of(dataset: Dataset) -> list[str | None]:
    """Return the domain of each data set that a loader reads, or None for one without a domain."""
    return [getattr(member, "target", None) for member in members(dataset)]


def _check_samples(metric: Any, dataset: Dataset) -> None:
    """Let a metric look at the first sample of each domain; no random state changes."""
    first = 0
    with preserved_random_state():
        for member in members(dataset):
            if len(member):
                metric.check_sample(_data_samples(dataset[first]))
            first += len(member)


def _data_samples(sample: Any) -> Any:
    """Return the part of a sample that a metric gets.

    Raises:
        UserError: The pipeline does not pack it.
    """
    if not isinstance(sample, Mapping) or "data_samples" not in sample:
        raise UserError(
            "the pipeline of val_dataloader.dataset gives no 'data_samples'",
            "end it with dict(type='PackSegInputs')",
        )
    return sample["data_samples"]


def _score_names(metrics: Sequence[Any], dataset: Dataset) -> list[str] | None:
    """Return the names of all scores, or None if the names of some metric are unknown."""
    names: list[str] = []
    for metric in metrics:
        prefix = f"{metric.prefix}/" if getattr(metric, "prefix", None) else ""
        if hasattr(metric, "score_names"):
            found = metric.score_names(_targets_of(dataset))
        elif type(metric).__name__ == "IoUMetric" and set(metric.metrics) <= set(_IOU_METRIC):
            found = ["aAcc", *(name for kind in metric.metrics for name in _IOU_METRIC[kind])]
        else:
            return None
        names += [prefix + name for name in found]
    return list(dict.fromkeys(names))


def _is_of_a_class(watched: str, names: Sequence[str]) -> bool:
    match = _OF_A_CLASS.fullmatch(watched)
    return match is not None and f"{match[1]}/mIoU" in names


def _watched(runner: Runner) -> Iterator[tuple[str, str]]:
    """Yield (key, name) for each score that a hook or a scheduler watches."""
    for hook in runner.hooks:
        if isinstance(hook, CheckpointHook) and hook.save_best:
            where = "default_hooks.checkpoint.save_best"
            yield from ((where, name) for name in hook.save_best if name != "auto")
        elif isinstance(getattr(hook, "monitor", None), str):
            yield f"{type(hook).__name__}.monitor", hook.monitor
    for scheduler in all_schedulers(runner.param_schedulers):
        if isinstance(getattr(scheduler, "monitor", None), str):
            yield f"param_scheduler: {type(scheduler).__name__}.monitor", scheduler.monitor
