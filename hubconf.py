"""Entry points of torch.hub: every network of `ibn-seg models` under its name.

    torch.hub.load('.', 'resnet50_ibn_a', source='local', pretrained=True)

Each takes the arguments of `ibn_seg.create_model` but for the name.
"""

from collections.abc import Callable
from typing import Any

from torch import nn

from ibn_seg.models.factory import create_model
from ibn_seg.models.specs import MODELS, ModelSpec

dependencies = ["torch", "numpy"]


def _entry_point(spec: ModelSpec) -> Callable[..., nn.Module]:
    """Return the function that builds one network."""

    def build(pretrained: bool | str = False, **options: Any) -> nn.Module:
        return create_model(spec.name, pretrained=pretrained, **options)

    weights = "published ImageNet weights" if spec.weights else "no published weights"
    build.__name__ = build.__qualname__ = spec.name
    build.__doc__ = f"{spec.title}; {weights}. Arguments: see `ibn_seg.create_model`."
    return build


# torch.hub looks for callables in this module's namespace.
globals().update({name: _entry_point(spec) for name, spec in MODELS.items()})
