"""Tells metrics which classes a network predicts, and checks them before the first iteration."""

from collections.abc import Sequence
from typing import Any

from mmengine.model import is_model_wrapper
from mmengine.runner import Runner
from torch import nn

from ibn_seg.engine.sampling import members
from ibn_seg.errors import UserError
from ibn_seg.evaluation.metric import MultiDomainIoU
from ibn_seg.evaluation.network_classes import network_classes


def check_training_classes(runner: Runner) -> list[str] | None:
    """Return the classes that a runner trains on; None if its data set does not say.

    Raises:
        UserError: The training data have several lists of classes, or more classes than the head.
    """
    meta = _metainfo(runner.train_loop.dataloader.dataset)
    if by_domain := meta.get("domain_classes"):
        sizes = ", ".join(f"{name}: {len(names)}" for name, names in by_domain.items())
        raise UserError(
            f"train_dataloader: its data sets have different classes ({sizes})",
            "read them in the same classes by read_as",
        )
    classes, outputs = list(meta.get("classes") or ()), _outputs(runner)
    if outputs is not None and len(classes) > outputs:
        raise UserError(
            f"model.decode_head.num_classes is {outputs}, and train_dataloader.dataset has "
            f"{len(classes)} classes",
            f"write num_classes={len(classes)} in every head",
        )
    return classes or None


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
                _outputs(runner), metric.classes, trained, evaluated
            )
            for member in members(dataset):
                if domain := getattr(member, "target", None) or metric.domain:
                    metric.map_of(domain)


def _metainfo(dataset: Any) -> dict[str, Any]:
    return getattr(dataset, "metainfo", None) or {}


def _outputs(runner: Runner) -> int | None:
    """Return the number of classes of a segmentor's last decode head; None for other networks."""
    network = runner.model.module if is_model_wrapper(runner.model) else runner.model
    head = getattr(network, "decode_head", None)
    last = head[-1] if isinstance(head, nn.ModuleList) else head
    return getattr(last, "num_classes", None)
