"""The table of named models."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType


@dataclass(frozen=True)
class ModelSpec:
    """One named model.

    Attributes:
        name: What `create_model` takes.
        family: The network class, a key of `factory.FAMILIES`.
        depth: Number of layers.
        ibn: 'a', 'b' or None (batch norm only).
        parameters: Number of parameters of the ImageNet classifier (1000 classes).
    """

    name: str
    family: str
    depth: int
    ibn: str | None
    parameters: int

    @property
    def title(self) -> str:
        """The name as papers write it, for example 'ResNet-50-IBN-a'."""
        return f"ResNet-{self.depth}" + (f"-IBN-{self.ibn}" if self.ibn else "")


_SPECS = (
    ModelSpec("resnet18", "resnet", 18, None, 11_689_512),
    ModelSpec("resnet18_ibn_a", "resnet", 18, "a", 11_689_512),
    ModelSpec("resnet18_ibn_b", "resnet", 18, "b", 11_689_896),
    ModelSpec("resnet34", "resnet", 34, None, 21_797_672),
    ModelSpec("resnet34_ibn_a", "resnet", 34, "a", 21_797_672),
    ModelSpec("resnet34_ibn_b", "resnet", 34, "b", 21_798_056),
    ModelSpec("resnet50", "resnet", 50, None, 25_557_032),
    ModelSpec("resnet50_ibn_a", "resnet", 50, "a", 25_557_032),
    ModelSpec("resnet50_ibn_b", "resnet", 50, "b", 25_558_568),
    ModelSpec("resnet101", "resnet", 101, None, 44_549_160),
    ModelSpec("resnet101_ibn_a", "resnet", 101, "a", 44_549_160),
    ModelSpec("resnet101_ibn_b", "resnet", 101, "b", 44_550_696),
    ModelSpec("resnet152", "resnet", 152, None, 60_192_808),
    ModelSpec("resnet152_ibn_a", "resnet", 152, "a", 60_192_808),
    ModelSpec("resnet152_ibn_b", "resnet", 152, "b", 60_194_344),
)

MODELS: Mapping[str, ModelSpec] = MappingProxyType({spec.name: spec for spec in _SPECS})
