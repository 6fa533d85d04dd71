"""Models by name."""

from typing import Any

from torch import nn

from ibn_seg.errors import UserError, unknown
from ibn_seg.models.resnet import OUTPUT_STRIDES, ResNet
from ibn_seg.models.specs import MODELS

FAMILIES: dict[str, type[nn.Module]] = {"resnet": ResNet}


def list_models() -> list[str]:
    """Return the names that `create_model` takes."""
    return list(MODELS)


def create_model(
    name: str,
    num_classes: int = 1000,
    features_only: bool = False,
    output_stride: int = 32,
    **options: Any,
) -> nn.Module:
    """Build a named model with random weights.

    Args:
        name: One of `list_models()`.
        num_classes: Classes of the classifier.
        features_only: Build a backbone instead, which returns a tuple of feature maps.
        output_stride: Image size over the size of the last feature map: 32, 16 or 8.
        options: Further arguments of the network class.

    Returns:
        The model, in training mode.

    Raises:
        UserError: An unknown name, output stride or option value.
    """
    if name not in MODELS:
        raise unknown("model", name, MODELS)
    if output_stride not in OUTPUT_STRIDES:
        raise unknown("output stride", output_stride, OUTPUT_STRIDES)
    if output_stride != 32 and not options.keys().isdisjoint(("strides", "dilations")):
        raise UserError(
            f"output_stride={output_stride} is given together with strides or dilations",
            "give one or the other",
        )
    spec = MODELS[name]
    strides, dilations = OUTPUT_STRIDES[output_stride]
    settings = {"strides": strides, "dilations": dilations, "ibn": spec.ibn, **options}
    classes = None if features_only else num_classes
    return FAMILIES[spec.family](depth=spec.depth, num_classes=classes, **settings)
