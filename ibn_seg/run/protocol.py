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


def check_views(cfg: "Config", part: str) -> None:
    """Raise if a metric names a protocol whose sizes no step of the pipeline applies.

    Args:
        cfg: The config.
        part: 'val' or 'test'.

    Raises:
        UserError: The result would carry the name of a protocol that it does not follow.
    """
    from ibn_seg.evaluation.protocols import View, get_protocol

    loader, evaluator = cfg.get(f"{part}_dataloader"), cfg.get(f"{part}_evaluator")
    metrics = [evaluator] if isinstance(evaluator, Mapping) else evaluator or ()
    names = [one.get("protocol") for one in metrics if is_metric_of_ours(one)]
    for name in filter(None, names if loader else ()):
        protocol = get_protocol(name)
        views = [View(one.image, one.label, one.square) for one in protocol.views.values()]
        sized = protocol.window is not None or any(view != View() for view in views)
        if sized and not _has_view(loader["dataset"], name):
            raise UserError(
                f"{part}_evaluator.protocol is {name!r}, and {part}_dataloader has no ProtocolView "
                "for its sizes",
                f"leave it out and test with --protocol {name}",
            )


def _has_view(part: Any, name: str) -> bool:
    """Tell whether a step in a part of a config applies a protocol's sizes."""
    if isinstance(part, (list, tuple)):
        return any(_has_view(item, name) for item in part)
    if not isinstance(part, Mapping):
        return False
    if is_named(part.get("type"), "ProtocolView"):
        return part.get("protocol") == name
    return any(_has_view(value, name) for value in part.values())


def check_augmented(cfg: "Config", name: str) -> None:
    """Raise if test-time augmentation would load labels behind a protocol's change of their size.

    Args:
        cfg: A config with `test_dataloader`.
        name: The protocol.

    Raises:
        UserError: It changes the labels of an evaluated domain.
    """
    from ibn_seg.evaluation.protocols import NATIVE, get_protocol
    from ibn_seg.run.domains import domain_configs

    protocol = get_protocol(name)
    for domain in domain_configs(cfg):
        view = protocol.view(domain)
        if view.label != NATIVE or view.square is not None:
            raise UserError(
                f"--tta with --protocol {name}: it scores {domain} at another size than its labels"
                " have",
                "leave one of the two out",
            )


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
