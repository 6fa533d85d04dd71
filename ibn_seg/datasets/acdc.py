"""ACDC (Sakaridis et al., ICCV 2021) and Dark Zurich (Sakaridis et al., ICCV 2019)."""

import os
from pathlib import Path
from typing import Any

from mmseg.registry import DATASETS

from ibn_seg.datasets.base import UrbanSceneDataset
from ibn_seg.datasets.card import DataCard, Part
from ibn_seg.datasets.labels import TRAIN_IDS
from ibn_seg.datasets.pairing import files_by_key
from ibn_seg.errors import unknown

CONDITIONS = ("fog", "night", "rain", "snow")
_IMAGE, _LABEL = "_rgb_anon.png", "_gt_labelTrainIds.png"


class _AnonymisedScenes(UrbanSceneDataset):
    """Shared layout: `rgb_anon/FOLDER/SEQUENCE/*` with `gt/FOLDER/SEQUENCE/*` of trainIds."""

    table = TRAIN_IDS
    folder: str

    @property
    def image_folder(self) -> Path:
        """The folder of the split's images."""
        return Path(self.data_root) / "rgb_anon" / self.folder

    def list_images(self) -> dict[str, Path]:
        """Return the images by name; the normal-condition references are not included."""
        return self._files("rgb_anon", _IMAGE)

    def list_labels(self) -> dict[str, Path]:
        """Return the labels by the same names."""
        return self._files("gt", _LABEL)

    def _files(self, kind: str, suffix: str) -> dict[str, Path]:
        return files_by_key(
            Path(self.data_root) / kind / self.folder,
            f"**/*{suffix}",
            lambda path: path.name.removesuffix(suffix),
            type(self).__name__,
            "unpack the images and the ground truth there (data/README.md)",
        )


@DATASETS.register_module()
class RawACDCDataset(_AnonymisedScenes):
    """One adverse condition of ACDC, each a domain of its own; 1920x1080.

    `rgb_anon/CONDITION/SPLIT/SEQUENCE/*_rgb_anon.png` with
    `gt/CONDITION/SPLIT/SEQUENCE/*_gt_labelTrainIds.png`. The mean over the four domains differs
    from the score of all images pooled.

    Args:
        data_root: The folder that holds `rgb_anon` and `gt`.
        condition: 'fog', 'night', 'rain' or 'snow'.
        split: 'val' (default, 100, at night 106) or 'train' (400 per condition). The labels of
            'test' are not public.
        **kwargs: Arguments of `UrbanSceneDataset`; `target` defaults to 'acdc-CONDITION'.

    Raises:
        UserError: As `UrbanSceneDataset`, or `condition` is not allowed.
    """

    TARGET = "acdc"
    ROOT_VARIABLE = "IBN_SEG_ACDC"
    SPLITS = ("val", "train")
    CARD = DataCard(
        title="ACDC",
        labels="trainIds",
        quirks="four conditions, each a domain",
        classes="19",
        layouts="`rgb_anon`, `gt`",
        protocols="`rein`",
        parts=tuple(
            Part({"condition": condition, "split": split}, count, sure=False)
            for condition in CONDITIONS
            for split, count in (("train", 400), ("val", 106 if condition == "night" else 100))
        ),
        targets={f"acdc-{condition}": {"condition": condition} for condition in CONDITIONS},
        size=(1920, 1080),
        # Published code reads archives of these names.
        archives=("rgb_anon_trainvaltest.zip", "gt_trainval.zip"),
        anchors=("rgb_anon", "gt"),
        source="https://acdc.vision.ee.ethz.ch",
        licence="register there and accept the licence",
        citation="Sakaridis et al., ACDC, ICCV 2021",
    )

    def __init__(
        self,
        data_root: str | os.PathLike,
        condition: str,
        split: str | None = None,
        **kwargs: Any,
    ) -> None:
        if condition not in CONDITIONS:
            raise unknown("condition of ACDC", condition, CONDITIONS)
        self.condition = condition
        super().__init__(
            data_root, split, target=kwargs.pop("target", None) or f"acdc-{condition}", **kwargs
        )

    @property
    def folder(self) -> str:
        """The folder of the condition and split, below the folders of images and labels."""
        return f"{self.condition}/{self.split}"


@DATASETS.register_module()
class RawDarkZurichDataset(_AnonymisedScenes):
    """The labelled night images of Dark Zurich: val, 50 of 1920x1080.

    `rgb_anon/val/**/*_rgb_anon.png` with `gt/val/**/*_gt_labelTrainIds.png`. The training images
    have no labels, and the labels of the test images are not public.

    Args:
        data_root: The folder that holds `rgb_anon` and `gt`.
        **kwargs: Arguments of `UrbanSceneDataset`; `target` defaults to 'dark_zurich'.

    Raises:
        UserError: As `UrbanSceneDataset`.
    """

    TARGET = "dark_zurich"
    ROOT_VARIABLE = "IBN_SEG_DARK_ZURICH"
    CARD = DataCard(
        title="Dark Zurich",
        labels="trainIds",
        quirks="labels of val only",
        classes="19",
        layouts="`rgb_anon`, `gt`",
        parts=(Part({}, 50, sure=False),),
        targets={"dark_zurich": {}},
        size=(1920, 1080),
        # Published code reads an archive of this name.
        archives=("Dark_Zurich_val_anon.zip",),
        anchors=("rgb_anon", "gt"),
        source="https://www.trace.ethz.ch/publications/2019/GCMA_UIoU/",
        licence="the page states the terms",
        citation="Sakaridis et al., Guided Curriculum Model Adaptation, ICCV 2019",
    )
    folder = "val"
