"""WildDash 2 (Zendel et al., CVPR 2022), in its panoptic package and in the older layout."""

from pathlib import Path
from typing import Any

from mmseg.registry import DATASETS

from ibn_seg.datasets.base import UrbanSceneDataset
from ibn_seg.datasets.card import DataCard, Part
from ibn_seg.datasets.labels import grouped_table
from ibn_seg.datasets.pairing import files_by_key
from ibn_seg.errors import UserError
from ibn_seg.io import read_json

_ANNOTATIONS = "panoptic.json"

# WildDash 2 (Zendel et al., CVPR 2022), ids 0..80, through the Cityscapes names of the authors'
# unified label policy (wilddash_scripts, wd2_unified_label_policy.json). Cityscapes' own table
# would ignore vans, pickups, motorcyclists and road markings.
_WILDDASH = {
    0: [7, 38, 41, 43, 61, 64, 70, 74, 75, 76, 79],  # road, its markings, manholes, crosswalks, ...
    1: [8, 52, 65, 77, 80],  # sidewalk, curb, bike lane and manhole on it, curb cut
    2: [11],
    3: [12, 56],  # wall, other barrier
    4: [13],
    5: [17, 45, 46],  # pole, traffic sign frame, utility pole
    6: [19],
    7: [20],
    8: [21],
    9: [22, 78],  # terrain, curb terrain
    10: [23],
    11: [24],
    12: [25, 47, 48, 49],  # rider, motorcyclist, bicyclist, other rider
    13: [26, 35],  # car, van
    14: [27, 34],  # truck, pickup
    15: [28],
    16: [31],
    17: [32, 58],  # motorcycle, autorickshaw
    18: [33],
}
WILDDASH_IDS = grouped_table("WildDash id", _WILDDASH, 81)
# The current package holds segment numbers, which `panoptic.json` maps to the same ids.
WILDDASH_SEGMENTS = grouped_table("WildDash id", _WILDDASH, 81, encoding="panoptic")


@DATASETS.register_module()
class WildDash2Dataset(UrbanSceneDataset):
    """WildDash 2's public images: `images/*.jpg` with panoptic PNGs, or `labels/*.png` of ids.

    The current package has `panoptic.json` and a folder `panoptic` of segment numbers; the older
    one has `labels`. There is no official split, so all public images form one.

    Args:
        data_root: The folder that holds `images`.
        **kwargs: Arguments of `UrbanSceneDataset`; `target` defaults to 'wilddash2'.

    Raises:
        UserError: As `UrbanSceneDataset`; or `panoptic.json` has unexpected content.
    """

    TARGET = "wilddash2"
    ROOT_VARIABLE = "IBN_SEG_WILDDASH2"
    CARD = DataCard(
        title="WildDash 2",
        labels="panoptic PNGs, or ids",
        quirks="segment numbers through `panoptic.json`; ids above 33",
        classes="19",
        layouts="panoptic; ids",
        parts=(Part({}, 4256, sure=False),),
        targets={"wilddash2": {}},
        size=(1920, 1080),
        # Published code reads an archive of this name.
        archives=("wd_public_02.zip",),
        anchors=("images", "labels", "panoptic"),
        keep=("panoptic.json",),
        source="https://wilddash.cc",
        licence="register there and accept the licence",
        citation="Zendel et al., Unifying Panoptic Segmentation for Autonomous Driving, CVPR 2022",
    )

    @property
    def image_folder(self) -> Path:
        """The folder of the images."""
        return Path(self.data_root) / "images"

    def list_images(self) -> dict[str, Path]:
        """Return the images by name."""
        return self._files("images", "*.jpg")

    def list_labels(self) -> dict[str, Path]:
        """Return the labels by the same names, and choose their table."""
        path = Path(self.data_root) / _ANNOTATIONS
        self._segments: dict[str, dict[int, int]] = {}
        if not path.is_file():
            self.table = WILDDASH_IDS
            return self._files("labels", "*.png")
        self.table = WILDDASH_SEGMENTS
        self._segments = _read_segments(path)
        return self._files("panoptic", "*.png")

    def more_info(self, key: str) -> dict[str, Any]:
        """Return the class of each segment of a panoptic label."""
        if self.table is WILDDASH_IDS:
            return {}
        if key not in self._segments:
            raise UserError(
                f"WildDash2Dataset: {_ANNOTATIONS} says nothing about {key!r}",
                "unpack the whole package again",
            )
        return {"segments": self._segments[key]}

    def _files(self, kind: str, pattern: str) -> dict[str, Path]:
        return files_by_key(
            Path(self.data_root) / kind,
            pattern,
            lambda path: path.stem,
            "WildDash2Dataset",
            "unpack WildDash 2's public package there (data/README.md)",
        )


def _read_segments(path: Path) -> dict[str, dict[int, int]]:
    """Return the category of every segment number, by the name of the label file."""
    content = read_json(path)
    try:
        return {
            Path(annotation["file_name"]).stem: {
                int(segment["id"]): int(segment["category_id"])
                for segment in annotation["segments_info"]
            }
            for annotation in content["annotations"]
        }
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(
            f"{path}: not a panoptic annotation file ({type(error).__name__}: {error})",
            "unpack it again",
        ) from error
