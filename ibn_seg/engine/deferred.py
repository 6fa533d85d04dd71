"""Check that changes which transforms leave to the network's device are made there."""

from collections.abc import Iterator, Sequence
from typing import Any

from mmengine.model import is_model_wrapper
from torch import nn

from ibn_seg.errors import UserError


def check_deferred(dataset: Any, model: nn.Module) -> None:
    """Check a training's data set and model for transforms with `on_device=True`.

    Without such transforms nothing is checked. With them, all later steps need `on_device=True`
    too, except the last, which packs the record. The model needs an `AppearancePreProcessor`.
    Otherwise samples would be changed in another order, or not at all.

    Args:
        dataset: The built data set, in any wrappers.
        model: The model, with or without a wrapper for replicas.

    Raises:
        UserError: A record would be lost, or applied too late.
    """
    for pipeline in _pipelines(dataset):
        deferred = [_is_deferred(step) for step in pipeline]
        if any(deferred):
            _check_steps(pipeline, deferred.index(True))
            _check_model(model, type(pipeline[deferred.index(True)]).__name__)


def _pipelines(dataset: Any) -> Iterator[Sequence[Any]]:
    """Yield the steps of every pipeline of a data set and of the data sets that it wraps."""
    pipeline = getattr(dataset, "pipeline", None)
    if pipeline is not None:
        yield list(getattr(pipeline, "transforms", pipeline))
    for member in (*(getattr(dataset, "datasets", None) or ()), getattr(dataset, "dataset", None)):
        if member is not None:
            yield from _pipelines(member)


def _is_deferred(step: Any) -> bool:
    """Tell whether a step, or one inside it, leaves pixels to the device."""
    inside = getattr(step, "transforms", None) or ()
    if isinstance(step, (list, tuple)):
        inside = step
    return getattr(step, "on_device", False) is True or any(map(_is_deferred, inside))


def _check_steps(pipeline: Sequence[Any], first: int) -> None:
    from ibn_seg.transforms.appearance import RECORD

    name = type(pipeline[first]).__name__
    for step in pipeline[first:-1]:
        if not _is_deferred(step):
            raise UserError(
                f"train_dataloader: {type(step).__name__} comes after {name}(on_device=True), but "
                "would run before it",
                f"put it before {name}, or give it on_device=True if it has that argument",
            )
        if not getattr(step, "on_device", False):
            raise UserError(
                f"train_dataloader: on_device=True inside {type(step).__name__}",
                "put the step into the pipeline itself",
            )
    last = pipeline[-1]
    if RECORD not in getattr(last, "meta_keys", ()):
        raise UserError(
            f"train_dataloader: {name} has on_device=True, but {type(last).__name__} at the end of "
            "the pipeline drops the drawn operations",
            f"add {RECORD!r} to meta_keys of PackSegInputs",
        )


def _check_model(model: nn.Module, name: str) -> None:
    # It loads mmseg, which nothing else in this package needs.
    from ibn_seg.transforms.preprocessor import AppearancePreProcessor

    model = model.module if is_model_wrapper(model) else model
    found = getattr(model, "data_preprocessor", None)
    if not isinstance(found, AppearancePreProcessor):
        raise UserError(
            f"train_dataloader: {name} has on_device=True, which {type(found).__name__} ignores",
            "set model.data_preprocessor.type='AppearancePreProcessor', or on_device=False",
        )
