"""IBN-Net for domain-generalised semantic segmentation.

Importing this package loads neither PyTorch nor a host framework and registers nothing. Public
names are resolved at first use (PEP 562). `ibn_seg.plugins.mmengine` registers the backbones;
`ibn_seg.plugins.mmseg` adds data sets, transforms and the metric.
"""

import importlib
from typing import Any

__version__ = "0.1.0"

_PUBLIC = {
    "IBN": "ibn_seg.layers.ibn",
    "Placement": "ibn_seg.layers.placement",
    "Variant": "ibn_seg.layers.placement",
    "register_variant": "ibn_seg.layers.placement",
    "create_model": "ibn_seg.models.factory",
    "list_models": "ibn_seg.models.factory",
    "load_backbone_weights": "ibn_seg.models.weights",
    "convert": "ibn_seg.surgery.convert",
    "fuse": "ibn_seg.surgery.fuse",
    "UserError": "ibn_seg.errors",
}

__all__ = ["__version__", *_PUBLIC]


def __getattr__(name: str) -> Any:
    """Import a public name on first use."""
    if name not in _PUBLIC:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_PUBLIC[name]), name)


def __dir__() -> list[str]:
    """List the lazy names too, for completion."""
    return sorted({*globals(), *_PUBLIC})
