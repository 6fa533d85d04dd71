"""The table of named models."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

# How papers write the names of the families.
FAMILY_TITLES = {
    "resnet": "ResNet",
    "resnext": "ResNeXt",
    "se_resnet": "SE-ResNet",
    "densenet": "DenseNet",
    "mx_resnet": "MX-ResNet",
    "mx_resnext": "MX-ResNeXt",
    "mx_resnext_wd": "MX-ResNeXt-WD",
}
_RELEASE = "https://github.com/XingangPan/IBN-Net/releases/download/v1.0"


@dataclass(frozen=True)
class ModelSpec:
    """One named model; the figures are for the ImageNet classifier with 1000 classes.

    Attributes:
        family: The network class, a key of `factory.FAMILIES`.
        depth: Number of layers.
        ibn: 'a', 'b' or None (batch norm only).
        parameters: Number of parameters.
        gflops: Multiply-adds of convolutions and linear layers for one image of 224x224, in
            thousand millions; papers call this GFLOPs.
        top1_error: Error in percent on ImageNet's validation set, single crop, or None if the
            authors published none. Source: README of https://github.com/XingangPan/IBN-Net, also
            for the batch-norm networks that the authors trained.
        top5_error: The same, among the five most likely classes.
        sha256: First eight digits of the SHA-256 of the published weights, also the end of the
            file's name. None if no weights were published.
    """

    family: str
    depth: int
    ibn: str | None
    parameters: int
    gflops: float
    top1_error: float | None = None
    top5_error: float | None = None
    sha256: str | None = None

    @property
    def name(self) -> str:
        """The name that `create_model` takes, for example 'resnet50_ibn_a'."""
        return f"{self.family}{self.depth}" + (f"_ibn_{self.ibn}" if self.ibn else "")

    @property
    def title(self) -> str:
        """The name as papers write it, for example 'ResNet-50-IBN-a'."""
        variant = f"-IBN-{self.ibn}" if self.ibn else ""
        return f"{FAMILY_TITLES[self.family]}-{self.depth}{variant}"

    @property
    def weights(self) -> str | None:
        """File name of the published weights, or None."""
        return f"{self.name}-{self.sha256}.pth" if self.sha256 else None

    @property
    def url(self) -> str | None:
        """Where the authors published the weights, or None."""
        return f"{_RELEASE}/{self.weights}" if self.weights else None


_SPECS = (
    ModelSpec("resnet", 18, None, 11_689_512, 1.814, 30.24, 10.92),
    ModelSpec("resnet", 18, "a", 11_689_512, 1.814, 29.17, 10.24, "2f571257"),
    ModelSpec("resnet", 18, "b", 11_689_896, 1.814, sha256="bc2f3c11"),
    ModelSpec("resnet", 34, None, 21_797_672, 3.664, 26.7, 8.58),
    ModelSpec("resnet", 34, "a", 21_797_672, 3.664, 25.78, 8.19, "94bc1577"),
    ModelSpec("resnet", 34, "b", 21_798_056, 3.664, sha256="04134c37"),
    ModelSpec("resnet", 50, None, 25_557_032, 4.089, 24.27, 7.08),
    ModelSpec("resnet", 50, "a", 25_557_032, 4.089, 22.54, 6.32, "d9d0bb7b"),
    ModelSpec("resnet", 50, "b", 25_558_568, 4.089, sha256="9ca61e85"),
    ModelSpec("resnet", 101, None, 44_549_160, 7.801, 22.48, 6.23),
    ModelSpec("resnet", 101, "a", 44_549_160, 7.801, 21.39, 5.59, "59ea0ac6"),
    ModelSpec("resnet", 101, "b", 44_550_696, 7.801, sha256="c55f6dba"),
    ModelSpec("resnet", 152, None, 60_192_808, 11.514),
    ModelSpec("resnet", 152, "a", 60_192_808, 11.514),
    ModelSpec("resnet", 152, "b", 60_194_344, 11.514),
    ModelSpec("resnext", 50, None, 25_028_904, 4.23),
    ModelSpec("resnext", 50, "a", 25_028_904, 4.23),
    ModelSpec("resnext", 101, None, 44_177_704, 7.97, 21.31, 5.74),
    ModelSpec("resnext", 101, "a", 44_177_704, 7.97, 20.88, 5.42, "6ace051d"),
    ModelSpec("resnext", 152, None, 59_951_400, 11.71),
    ModelSpec("resnext", 152, "a", 59_951_400, 11.71),
    ModelSpec("se_resnet", 50, None, 28_071_976, 4.092),
    ModelSpec("se_resnet", 50, "a", 28_071_976, 4.092),
    ModelSpec("se_resnet", 101, None, 49_292_328, 7.806, 21.68, 5.88),
    ModelSpec("se_resnet", 101, "a", 49_292_328, 7.806, 21.25, 5.51, "fabed4e2"),
    ModelSpec("se_resnet", 152, None, 66_770_984, 11.52),
    ModelSpec("se_resnet", 152, "a", 66_770_984, 11.52),
    ModelSpec("densenet", 121, None, 7_978_856, 2.834, 24.96, 7.85),
    ModelSpec("densenet", 121, "a", 7_978_856, 2.834, 24.47, 7.25, "e4af5cc1"),
    ModelSpec("densenet", 161, None, 28_681_000, 7.728),
    ModelSpec("densenet", 161, "a", 28_681_000, 7.728),
    ModelSpec("densenet", 169, None, 14_149_480, 3.36, 24.02, 7.06),
    ModelSpec("densenet", 169, "a", 14_149_480, 3.36, 23.25, 6.51, "9f32c161"),
    ModelSpec("densenet", 201, None, 20_013_928, 4.291),
    ModelSpec("densenet", 201, "a", 20_013_928, 4.291),
    ModelSpec("mx_resnet", 18, None, 11_691_944, 1.827),
    ModelSpec("mx_resnet", 34, None, 21_800_104, 3.677),
    ModelSpec("mx_resnet", 50, "a", 25_549_480, 4.089),
    ModelSpec("mx_resnet", 101, "a", 44_541_608, 7.801),
    ModelSpec("mx_resnet", 152, "a", 60_185_256, 11.514),
    ModelSpec("mx_resnext", 18, None, 11_693_736, 1.827),
    ModelSpec("mx_resnext", 34, None, 21_801_896, 3.677),
    ModelSpec("mx_resnext", 50, "a", 17_401_768, 2.521),
    ModelSpec("mx_resnext", 50, "b", 25_059_112, 4.23),
    ModelSpec("mx_resnext", 101, "a", 28_908_456, 4.76),
    ModelSpec("mx_resnext", 101, "b", 44_242_728, 7.97),
    ModelSpec("mx_resnext", 152, "a", 38_389_672, 6.998),
    ModelSpec("mx_resnext", 152, "b", 60_047_144, 11.71),
    ModelSpec("mx_resnext_wd", 50, "a", 39_451_176, 5.419),
    ModelSpec("mx_resnext_wd", 101, "a", 50_957_864, 7.657),
    ModelSpec("mx_resnext_wd", 152, "a", 60_439_080, 9.895),
)

MODELS: Mapping[str, ModelSpec] = MappingProxyType({spec.name: spec for spec in _SPECS})
