"""Tells metrics which classes a network predicts, and checks them before the first iteration."""

from collections.abc import Sequence
from typing import Any

from mmengine.runner import Runner

from ibn_seg.engine.sampling import members
from ibn_seg.evaluation.metric import MultiDomainIoU
from ibn_seg.evaluation.network_classes import network_classes, outputs_of


def tell_classes(
    runner: Runner, metrics: Sequence[Any], dataset: Any, trained: Sequence[str] | None
) -> None:
    """Let metrics know the network's classes, and check that each domain can be scored.

    Args:
        runner: The runner of the network.
        metrics: Its metrics; those of others are left alone.
        dataset: The evaluated data.
        trained: The classes that the weights were trained on, if known.

    Raises:
        UserError: No classes fit the head, or no map to a domain's classes is known.
    """
    evaluated = _metainfo(dataset).get("classes")
    for metric in metrics:
        if isinstance(metric, MultiDomainIoU) and evaluated:
            metric.dataset_meta = _metainfo(dataset)
            metric.trained_classes = network_classes(
                outputs_of(runner.model), metric.classes, trained, evaluated
            )
            for member in members(dataset):
                if domain := getattr(member, "target", None) or metric.domain:
                    metric.map_of(domain)


def _metainfo(dataset: Any) -> dict[str, Any]:
    return getattr(dataset, "metainfo", None) or {}
