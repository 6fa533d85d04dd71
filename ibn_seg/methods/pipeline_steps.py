"""Steps of training pipelines that a method adds to a config, or takes away."""

import copy
from collections.abc import Iterator, Mapping, MutableMapping, MutableSequence
from dataclasses import dataclass
from typing import Any

from ibn_seg.errors import UserError
from ibn_seg.type_names import is_named

_COLOURS = (
    "ColorJitter", "RandomGaussianBlur", "PhotoMetricDistortion", "Uint8PhotoMetricDistortion",
)  # fmt: skip
_LOADERS = ("LoadUrbanLabels", "LoadAnnotations")
_CROP = "LoadRandomCrop"
_FRAME_STEPS = "frame_steps"


@dataclass(frozen=True)
class Step:
    """A transform that a method adds to every training pipeline.

    Attributes:
        transform: Its config.
        whole_frame: Whether it sees the whole frame, before it is resized and cropped. Else it
            changes colours, and stands before the last step, which packs the sample.
    """

    transform: Mapping[str, Any]
    whole_frame: bool = False


def colour_steps(strength: float, hue: float, prob: float) -> tuple[Step, ...]:
    """Return the steps that change colours at random, and blur.

    Args:
        strength: The largest change of brightness, contrast and saturation, as a share.
        hue: The largest change of hue, as a share of the circle of colours.
        prob: The probability that a crop's colours are changed.
    """
    jitter = dict.fromkeys(("brightness", "contrast", "saturation"), strength)
    return (
        Step({"type": "ColorJitter", **jitter, "hue": hue, "prob": prob}),
        Step({"type": "RandomGaussianBlur", "sigma": (0.15, 1.3), "prob": 1.0}),
    )


def add_steps(
    config: Mapping[str, Any], steps: tuple[Step, ...], method: str, replace: bool
) -> None:
    """Add steps to the training pipelines of a config.

    Args:
        config: A config of mmengine, which is changed.
        steps: The steps, in order.
        method: The method's name, for messages.
        replace: Steps that change colours replace all others that do. Else whatever the pipeline
            has stays as it is.

    Raises:
        UserError: The config has no training pipeline, or none of its steps loads labels.
    """
    pipelines = list(pipelines_of(config))
    if steps and not pipelines:
        raise UserError(f"method {method} changes train_dataloader's pipeline, which is not there")
    for pipeline in pipelines:
        _add_to(pipeline, steps, method, replace)


def _add_to(
    pipeline: MutableSequence[Any], steps: tuple[Step, ...], method: str, replace: bool
) -> None:
    if replace and not all(step.whole_frame for step in steps):
        pipeline[:] = [item for item in pipeline if not _is(item, *_COLOURS)]
    missing = [step for step in steps if not found_in(pipeline, step)]
    frame = [copy.deepcopy(dict(step.transform)) for step in missing if step.whole_frame]
    colours = [copy.deepcopy(dict(step.transform)) for step in missing if not step.whole_frame]
    if frame:
        _add_to_frames(pipeline, frame, method)
    if colours:
        pipeline[-1:-1] = colours


def _add_to_frames(
    pipeline: MutableSequence[Any], steps: list[dict[str, Any]], method: str
) -> None:
    """Add steps where the whole frame is loaded."""
    for place, item in enumerate(pipeline):
        if _is(item, _CROP):
            item[_FRAME_STEPS] = [*(item.get(_FRAME_STEPS) or ()), *steps]
            return
        if _is(item, *_LOADERS):
            pipeline[place + 1 : place + 1] = steps
            return
    raise UserError(
        f"method {method} changes whole frames, and no step of the pipeline loads labels",
        f"begin it with {_CROP}, or with LoadImageFromFile and LoadUrbanLabels",
    )


def remove_steps(config: Mapping[str, Any], names: frozenset[str]) -> None:
    """Remove steps from the training pipelines of a config, by the names of their transforms."""
    for pipeline in pipelines_of(config):
        kept = [item for item in pipeline if not _is(item, *names)]
        if len(kept) < len(pipeline):
            pipeline[:] = kept
        for item in pipeline:
            if _is(item, _CROP) and item.get(_FRAME_STEPS):
                item[_FRAME_STEPS] = [x for x in item[_FRAME_STEPS] if not _is(x, *names)]
                if not item[_FRAME_STEPS]:
                    del item[_FRAME_STEPS]


def found_in(pipeline: MutableSequence[Any], step: Step) -> list[Mapping[str, Any]]:
    """Return the transforms of a pipeline that have the name of a step, on whole frames or not."""
    items = [*pipeline]
    for item in pipeline:
        if isinstance(item, Mapping):
            items += item.get(_FRAME_STEPS) or ()
    return [item for item in items if _is(item, step.transform["type"])]


def differing_steps(config: Mapping[str, Any], steps: tuple[Step, ...]) -> dict[str, Any]:
    """Return the transforms of a config's pipelines that differ from steps of the same name."""
    found = {}
    for pipeline in pipelines_of(config):
        for step in steps:
            for item in found_in(pipeline, step):
                if _plain(item) != _plain(step.transform):
                    found[f"train_dataloader: {step.transform['type']}"] = _plain(item)
    return found


def _plain(item: Any) -> Any:
    """Return a config with lists in place of tuples."""
    if isinstance(item, Mapping):
        return {key: _plain(value) for key, value in item.items()}
    return [_plain(value) for value in item] if isinstance(item, list | tuple) else item


def pipelines_of(config: Mapping[str, Any]) -> Iterator[MutableSequence[Any]]:
    """Yield the training pipelines of a config, in any wrappers of data sets."""
    loader = config.get("train_dataloader")
    if isinstance(loader, MutableMapping):
        yield from _below(loader.get("dataset"))


def _below(part: Any) -> Iterator[MutableSequence[Any]]:
    if not isinstance(part, MutableMapping):
        return
    if isinstance(part.get("pipeline"), MutableSequence):
        yield part["pipeline"]
    for inner in (part.get("dataset"), *(part.get("datasets") or ())):
        yield from _below(inner)


def _is(item: Any, *names: str) -> bool:
    return isinstance(item, Mapping) and is_named(item.get("type"), *names)
