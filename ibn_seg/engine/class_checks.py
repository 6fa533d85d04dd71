"""Checks, before anything is learnt or predicted, that networks and data sets fit by classes."""

from collections.abc import Iterable, Sequence
from typing import Any

from ibn_seg.datasets.known_classes import CITYSCAPES, known_outputs
from ibn_seg.engine.sampling import members
from ibn_seg.errors import UserError
from ibn_seg.evaluation.network_classes import (
    head_widths,
    network_classes,
    outputs_of,
    trained_classes,
)
from ibn_seg.layers.semantic_stage import SemanticStage


def classes_of(dataset: Any) -> list[str] | None:
    """Return the names of a data set's classes, if it has some."""
    found = (getattr(dataset, "metainfo", None) or {}).get("classes")
    return list(found) if found else None


def check_heads(network: Any, dataset: Any) -> None:
    """Check that a network's heads are for the classes of its training data.

    Args:
        network: The network, maybe wrapped.
        dataset: The training data.

    Raises:
        UserError: The data are of several lists of classes, or a head has another number. Or SAN
            finds regions of other classes.
    """
    meta = getattr(dataset, "metainfo", None) or {}
    if by_domain := meta.get("domain_classes"):
        sizes = ", ".join(f"{name}: {len(names)}" for name, names in by_domain.items())
        raise UserError(
            f"train_dataloader: its data sets have different classes ({sizes})",
            "read them in the same classes by read_as",
        )
    classes = tuple(classes_of(dataset) or ())
    for head, outputs in head_widths(network).items():
        # The field has networks of Cityscapes with a last output that is never labelled.
        if classes and outputs != len(classes) and (known_outputs(outputs) or ())[:-1] != classes:
            raise UserError(
                f"model.{head}.num_classes = {outputs}, and train_dataloader.dataset has "
                f"{len(classes)} classes",
                f"write num_classes={len(classes)} in every head",
            )
    if classes:
        _check_regions(network, classes)


def _check_regions(network: Any, classes: Sequence[str]) -> None:
    """Raise if the regions of SAN are those of other labels than the training data's."""
    for stage in (one for one in network.modules() if isinstance(one, SemanticStage)):
        if stage.num_classes != len(classes) or (
            stage.of_train_ids and tuple(classes) != CITYSCAPES.classes
        ):
            given = ", ".join(f"{at} {name}" for at, name in enumerate(classes))
            raise UserError(
                f"model.backbone.semantic is for {stage.num_classes} classes, and "
                f"train_dataloader.dataset has {len(classes)}: {given}",
                f"write semantic=dict(num_classes={len(classes)}, selected_classes=[...]) with the "
                "indices of road, sky, building, sidewalk and vegetation",
            )


def check_start(network: Any, checkpoint: Any, dataset: Any, name: str) -> None:
    """Check that the outputs of loaded weights stand for the classes of the training data.

    Args:
        network: The network with the weights loaded, maybe wrapped.
        checkpoint: The content of the checkpoint; those that name no classes pass.
        dataset: The training data.
        name: The checkpoint's file, for messages.

    Raises:
        UserError: They stand for other classes.
    """
    theirs, ours = trained_classes(checkpoint)[0] or [], classes_of(dataset) or []
    if len(theirs) != len(ours) or outputs_of(network) != len(ours):
        return
    for at, (old, new) in enumerate(zip(theirs, ours, strict=True)):
        if old.casefold() != new.casefold():
            raise UserError(
                f"{name}: its output {at} stands for {old!r}, in train_dataloader.dataset for "
                f"{new!r}",
                "read the data in its classes by read_as, or begin without this checkpoint",
            )


def tell_classes(
    network: Any, metrics: Iterable[Any], dataset: Any, trained: Sequence[str] | None
) -> None:
    """Tell our metrics the network's classes, and check that data of others have a map.

    Args:
        network: The network, maybe wrapped.
        metrics: The metrics of a loop; those of others are left alone.
        dataset: The data that they evaluate.
        trained: The classes of the training data, or None if they are unknown.

    Raises:
        UserError: The network's classes are unknown, or a domain has other ones and no map.
    """
    evaluated = classes_of(dataset)
    for metric in metrics:
        if hasattr(metric, "trained_classes") and evaluated:
            metric.trained_classes = network_classes(
                outputs_of(network), metric.classes, trained, evaluated
            )
            metric.check_maps(getattr(member, "target", None) for member in members(dataset))
