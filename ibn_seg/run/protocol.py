"""Applies evaluation protocols to configs, and inserts steps into their pipelines."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ibn_seg.errors import UserError
from ibn_seg.type_names import is_named

if TYPE_CHECKING:
    from mmengine.config import Config

DEFAULT_PROTOCOL = "native"
_LOADING = ("LoadImageFromFile", "LoadUrbanLabels", "LoadAnnotations")


def set_protocol(cfg: "Config", name: str) -> None:
    """Let validation and test follow an evaluation protocol (`ibn_seg.evaluation.protocols`).

    Raises:
        UserError: There is no such protocol, or the config evaluates by another metric than ours.
    """
    from ibn_seg.evaluation.protocols import get_protocol

    protocol = get_protocol(name)
    for part in ("val", "test"):
        if not cfg.get(f"{part}_dataloader"):
            continue
        evaluator = cfg.get(f"{part}_evaluator")
        if not is_metric_of_ours(evaluator):
            raise UserError(
                f"--protocol {name}: {part}_evaluator is not MultiDomainIoU", "use that metric"
            )
        evaluator["protocol"] = name
        view = {"type": "ProtocolView", "protocol": name}
        insert_step(cfg[f"{part}_dataloader"]["dataset"], view, after=_LOADING)
    if protocol.window is not None:
        side, stride = protocol.window
        window = {"mode": "slide", "crop_size": (side, side), "stride": (stride, stride)}
        cfg.model.test_cfg = {**(cfg.model.get("test_cfg") or {}), **window}


def is_metric_of_ours(evaluator: Any) -> bool:
    """Tell whether a config's evaluator is our metric, which counts by domain and image."""
    return isinstance(evaluator, Mapping) and is_named(evaluator.get("type"), "MultiDomainIoU")


def insert_step(part: Any, step: Mapping[str, Any], *, after: Sequence[str]) -> None:
    """Insert a step into every pipeline in a part of a config, in place.

    Args:
        part: A part of a config, such as a data set's.
        step: The transform's config.
        after: Types of transforms. The step goes after the last of them; without any, to the end of
            the pipeline.
    """
    if isinstance(part, Mapping):
        for key, value in part.items():
            if key == "pipeline":
                names = [given.get("type") for given in value]
                found = [i for i, kind in enumerate(names) if is_named(kind, *after)]
                last = max(found, default=len(names) - 1)
                part[key] = [*value[: last + 1], dict(step), *value[last + 1 :]]
            else:
                insert_step(value, step, after=after)
    elif isinstance(part, (list, tuple)):
        for item in part:
            insert_step(item, step, after=after)


def replace_pipelines(dataset: Any, steps: Sequence[Mapping[str, Any]]) -> None:
    """Let a data set, and every data set in it, use one pipeline, in place.

    Args:
        dataset: The config of a data set. One with several may have a pipeline for all of them, or
            each has its own.
        steps: The pipeline.
    """
    if not _replaced(dataset, steps):
        dataset["pipeline"] = steps


def _replaced(part: Any, steps: Sequence[Mapping[str, Any]]) -> int:
    """Replace each pipeline in a part of a config, and return their number."""
    if isinstance(part, (list, tuple)):
        return sum(_replaced(item, steps) for item in part)
    if not isinstance(part, Mapping):
        return 0
    found = sum(_replaced(value, steps) for key, value in part.items() if key != "pipeline")
    if "pipeline" not in part:
        return found
    part["pipeline"] = steps
    return found + 1
