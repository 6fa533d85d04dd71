"""Models by name."""

import logging
from collections.abc import Sequence
from typing import Any

import torch

from ibn_seg.errors import UserError, WrongTypeError, unknown
from ibn_seg.models.backbone import OUTPUT_STRIDES, Backbone
from ibn_seg.models.densenet import DenseNet
from ibn_seg.models.mx_resnet import MXResNet, MXResNeXt, MXResNeXtWD
from ibn_seg.models.published_weights import AUTHORS, SOURCES, addresses, published_url
from ibn_seg.models.resnet import ResNet
from ibn_seg.models.resnext import ResNeXt
from ibn_seg.models.se_resnet import SEResNet
from ibn_seg.models.sources import bare_weights, read_checkpoint
from ibn_seg.models.specs import MODELS
from ibn_seg.models.weights import load_backbone_weights

FAMILIES: dict[str, type[Backbone]] = {
    "resnet": ResNet,
    "resnext": ResNeXt,
    "se_resnet": SEResNet,
    "densenet": DenseNet,
    "mx_resnet": MXResNet,
    "mx_resnext": MXResNeXt,
    "mx_resnext_wd": MXResNeXtWD,
}
_CLASSES = 1000

_logger = logging.getLogger(__name__)


def list_models(pretrained: bool | str = False) -> list[str]:
    """Return the names that `create_model` takes.

    Args:
        pretrained: List only models with weights that the authors published, or another source.
    """
    source = _source(pretrained)
    return [name for name in MODELS if not pretrained or source in addresses(name)]


def create_model(
    name: str,
    pretrained: bool | str = False,
    num_classes: int = _CLASSES,
    features_only: bool = False,
    out_indices: Sequence[int] | None = None,
    output_stride: int = 32,
    **options: Any,
) -> Backbone:
    """Build a named model.

    Args:
        name: One of `list_models()`.
        pretrained: Load the authors' published weights, key by key, or those of another source:
            'gluoncv2' or 'pytorchcv', which have the same. The classifier's weights are left out
            if the model has no classifier of 1000 classes.
        num_classes: Classes of the classifier.
        features_only: Build a backbone instead, which returns a tuple of feature maps.
        out_indices: With `features_only`, the stages whose outputs are returned, from 0 (stride 4)
            to 3. Default: all four.
        output_stride: Image size over the size of the last feature map: 32, 16 or 8.
        options: Further arguments of the network class.

    Returns:
        The model, in training mode. It takes images of any size (N, 3, H, W). It returns logits,
        shape (N, num_classes), or feature maps, which `feature_info` describes.

    Raises:
        UserError: An unknown name, output stride or option; weights that were never published.
        WrongTypeError: `pretrained` is neither a bool nor the name of a source.
        EnvError: The weights cannot be downloaded.
    """
    if name not in MODELS:
        raise unknown("model", name, MODELS)
    url = published_url(name, _source(pretrained)) if pretrained else None
    if out_indices is not None:
        if not features_only:
            raise UserError(
                f"out_indices={tuple(out_indices)} is given for a classifier",
                "set features_only=True",
            )
        options["out_indices"] = tuple(out_indices)
    classes = None if features_only else num_classes
    settings = network_settings(name, output_stride, num_classes=classes, **options)
    model = FAMILIES[MODELS[name].family](**settings)
    if url is not None:
        skip = () if classes in (None, _CLASSES) else (model.classifier_name,)
        report = load_backbone_weights(model, url, skip=skip)
        _logger.info("%s: %s", name, report)
    return model


def network_settings(name: str, output_stride: int = 32, **options: Any) -> dict[str, Any]:
    """Return the arguments with which the network class of a named model is built.

    Args:
        name: One of `list_models()`.
        output_stride: Image size over the size of the last feature map: 32, 16 or 8.
        options: Further arguments of the network class.

    Raises:
        UserError: An unknown name or output stride.
    """
    if name not in MODELS:
        raise unknown("model", name, MODELS)
    spec = MODELS[name]
    strides = _stride_options(output_stride, options)
    return {**strides, "depth": spec.depth, "ibn": spec.ibn, **options}


def published_weights(name: str, source: str = AUTHORS) -> dict[str, torch.Tensor]:
    """Return the tensors that were published for a model, under our network's names.

    Args:
        name: One of `list_models()`.
        source: One of `published_weights.SOURCES`.

    Raises:
        UserError: No such model, or no such weights were published.
        EnvError: The weights cannot be downloaded.
    """
    return weights_in(name, published_url(name, source))


def weights_in(name: str, source: str) -> dict[str, torch.Tensor]:
    """Return the tensors of a checkpoint under the names of a model's network.

    Args:
        name: One of `list_models()`.
        source: A local path or an http(s) URL.

    Raises:
        UserError: The checkpoint cannot be read.
        EnvError: It cannot be downloaded.
    """
    weights, _ = bare_weights(read_checkpoint(source))
    return FAMILIES[MODELS[name].family].weight_rules.rename(weights)


def _source(pretrained: bool | str) -> str:
    """Return the source of published weights that an argument `pretrained` names.

    Raises:
        WrongTypeError: It is neither a bool nor a name.
    """
    if isinstance(pretrained, str):
        return pretrained
    if pretrained not in (True, False, None):
        raise WrongTypeError(
            f"pretrained={pretrained!r} is no source of weights",
            f"give True or one of {', '.join(SOURCES)}",
        )
    return AUTHORS


def _stride_options(output_stride: int, options: dict[str, Any]) -> dict[str, Any]:
    """Return the strides and dilations of an output stride."""
    if output_stride not in OUTPUT_STRIDES:
        raise unknown("output stride", output_stride, OUTPUT_STRIDES)
    if output_stride != 32 and not options.keys().isdisjoint(("strides", "dilations")):
        raise UserError(
            f"output_stride={output_stride} is given together with strides or dilations",
            "give one or the other",
        )
    strides, dilations = OUTPUT_STRIDES[output_stride]
    return {"strides": strides, "dilations": dilations}
