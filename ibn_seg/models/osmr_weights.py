"""The ImageNet weights of gluoncv2 and pytorchcv: where they are, their hashes, their errors.

Source: https://github.com/osmr/imgclsmob; gluoncv2 0.0.64 and pytorchcv 0.0.74 list the same files.
Both libraries have the same tensors of each network, trained in MXNet. The names of the files end
in the top-5 error and in the first digits of a SHA-1; all other published files that we know end in
those of a SHA-256.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

_RELEASES = "https://github.com/osmr/imgclsmob/releases/download"
# A release is a ZIP archive of the one file whose SHA-1 is in its name.
_NAME = re.compile(r"(.+-\d{4}-([0-9a-f]{8})\.(?:params|pth))(?:\.zip)?")

# Its ResNets of bottlenecks; a b would follow the depth.
_STRIDES_FIRST = re.compile(r"resnet(?:50|101|152|200)-")


@dataclass(frozen=True)
class OsmrFile:
    """One published file.

    Attributes:
        name: Its name, unpacked.
        release: The release that holds its archive.
        sha1: Of the unpacked file, 40 hexadecimal digits.
        top1_error: Error in percent on ImageNet's validation set in PyTorch, single crop of 224
            from 256. Source: the README of pytorchcv.
        top5_error: The same, among the five most likely classes.
    """

    name: str
    release: str
    sha1: str
    top1_error: float
    top5_error: float

    @property
    def archive(self) -> str:
        """The name of the published archive."""
        return f"{self.name}.zip"

    @property
    def url(self) -> str:
        """The address of the archive."""
        return f"{_RELEASES}/{self.release}/{self.archive}"


# Our name -> theirs, release, errors; digits and SHA-1 of the .params file, then of the .pth file.
_ROWS = (
    ("resnet50_ibn_a", "ibn_resnet50", "v0.0.495", 21.61, 5.76,
     "0559", "0f75710a144ea1483e6235f6909f8b8c3555ec01",
     "0576", "40c420fcbbfd87bf634fc5b351746e124c32e401"),
    ("resnet50_ibn_b", "ibnb_resnet50", "v0.0.552", 21.79, 5.97,
     "0579", "146aa6e143d582cd33af23c942e3e0b2fe152817",
     "0597", "383b44324af7bb3842b93df177bdd199864e0e8d"),
    ("resnet101_ibn_a", "ibn_resnet101", "v0.0.552", 19.97, 5.07,
     "0489", "db938be9060c0ea48913fa0fa9794bf6bcacea7f",
     "0507", "6f488f243cb02e8f4e934a390f8037cef927dcf7"),
    ("resnext101_ibn_a", "ibn_resnext101_32x4d", "v0.0.553", 20.10, 5.12,
     "0487", "1398597e25f0be2d7b05f190c5c53f7b8d5265e6",
     "0512", "73534cc42c9f7b1aa859b32e012c31f9ea66fd60"),
    ("densenet121_ibn_a", "ibn_densenet121", "v0.0.493", 23.58, 6.73,
     "0646", "82ee3ff44fd308107ec07d759c52a99e94af7041",
     "0673", "0ea2c535382c7a3d92e712617d8405ba631c071f"),
    ("densenet169_ibn_a", "ibn_densenet169", "v0.0.500", 22.42, 6.19,
     "0608", "b509f33947b2f205f03e49ce2d5ee87855bbf708",
     "0619", "ec2c0556f4fb2e2e51d49460095bf28259cb5d19"),
)  # fmt: skip


def _table(suffix: str, column: int) -> dict[str, OsmrFile]:
    """Return the files of one library by the names of our models."""
    return {
        row[0]: OsmrFile(
            f"{row[1]}-{row[column]}-{row[column + 1][:8]}.{suffix}", row[2], row[column + 1],
            row[3], row[4],
        )
        for row in _ROWS
    }  # fmt: skip


OSMR_FILES: Mapping[str, Mapping[str, OsmrFile]] = {
    "gluoncv2": _table("params", 5),
    "pytorchcv": _table("pth", 7),
}


def strides_first(name: str) -> bool:
    """Return whether a file is of a ResNet with its strides in the first 1x1 convolutions.

    Names and shapes of its tensors are those of the others; gluoncv2 calls these resnet50b and so
    on.

    Args:
        name: The name of the file or of its archive.
    """
    return _NAME.fullmatch(name) is not None and _STRIDES_FIRST.match(name) is not None


def unpacked_name(name: str) -> str | None:
    """Return the name of the file in an archive or under its own name; None for files of others."""
    match = _NAME.fullmatch(name)
    return match and match[1]


def sha1_of(name: str) -> str | None:
    """Return the SHA-1 of a published file, or as many digits as are known; None for others.

    Args:
        name: The name of the file or of its archive.
    """
    match = _NAME.fullmatch(name)
    if match is None:
        return None
    known = (file for table in OSMR_FILES.values() for file in table.values())
    return next((file.sha1 for file in known if file.name == match[1]), match[2])
