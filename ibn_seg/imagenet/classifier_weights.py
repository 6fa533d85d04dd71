"""Loads classifier weights from files, to test them or to start a training from them."""

import os
from collections.abc import Mapping
from typing import Any

import torch

from ibn_seg.errors import UserError
from ibn_seg.imagenet.train_config import experiment_of
from ibn_seg.models.backbone import Backbone
from ibn_seg.models.factory import FAMILIES
from ibn_seg.models.finite import say_not_finite
from ibn_seg.models.sources import bare_weights, read_checkpoint
from ibn_seg.models.specs import MODELS
from ibn_seg.models.weights import LoadReport, adapt_state_dict, load_backbone_weights


def count_classes(model: str, checkpoint: Mapping[str, Any], source: str | os.PathLike) -> int:
    """Return the number of classes of a checkpoint.

    Args:
        model: The name of its network.
        checkpoint: The file's content: a state dict, bare or wrapped, with or without `module.`.
        source: The file, for messages.

    Raises:
        UserError: The weights are of another network, or without a classifier.
    """
    trained = experiment_of(checkpoint).get("model", model)
    if trained != model:
        raise UserError(
            f"{source}: holds weights of {trained}, not of {model}", f"give --model {trained}"
        )
    weight = _bare(checkpoint, source).get(f"{_classifier(model)}.weight")
    if weight is None or weight.dim() != 2:
        raise UserError(
            f"{source}: has no classifier ({_classifier(model)}.weight) of {model}",
            "give weights of the whole network",
        )
    return weight.shape[0]


def load_exactly(
    network: Backbone, checkpoint: Mapping[str, Any], source: str | os.PathLike
) -> None:
    """Load weights to test with: every tensor of the network must be in the checkpoint.

    Args:
        network: Changed in place.
        checkpoint: The file's content.
        source: The file, for messages.

    Raises:
        UserError: They do not fit, or belong to the batch-norm twin.
    """
    try:
        adapted, report = adapt_state_dict(network, checkpoint)
    except UserError as error:
        raise UserError(f"{source}: {error}") from error
    if report.split or report.added:
        raise UserError(
            f"{source}: has no instance norms where the network has them",
            "give weights of this variant, or train from these: imagenet train --init",
        )
    network.load_state_dict(adapted, strict=True)
    say_not_finite(network, source)


def start_from(network: Backbone, source: str | os.PathLike) -> LoadReport:
    """Load weights to start a training, from the network itself or its batch-norm twin.

    Args:
        network: Changed in place. Its classifier keeps its values if the checkpoint has none, or
            one for other classes.
        source: A local path or an http(s) URL.

    Returns:
        The entries that were split, added and dropped.

    Raises:
        UserError: They do not fit.
    """
    name = network.classifier_name
    weight = _bare(read_checkpoint(source), source).get(f"{name}.weight")
    fits = weight is not None and weight.shape == getattr(network, name).weight.shape
    return load_backbone_weights(network, source, skip=() if fits else (name,))


def _classifier(model: str) -> str:
    return FAMILIES[MODELS[model].family].classifier_name


def _bare(checkpoint: Mapping, source: str | os.PathLike) -> dict[str, torch.Tensor]:
    try:
        return bare_weights(checkpoint)[0]
    except UserError as error:
        raise UserError(f"{source}: {error}") from error
