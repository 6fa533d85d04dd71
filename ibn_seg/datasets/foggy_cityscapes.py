"""Foggy Cityscapes (Sakaridis et al., IJCV 2018): Cityscapes with synthetic fog."""

import os
from pathlib import Path
from typing import Any

from mmseg.registry import DATASETS

from ibn_seg.datasets.card import DataCard, Part
from ibn_seg.datasets.cityscapes import RawCityscapesDataset
from ibn_seg.datasets.pairing import files_by_key
from ibn_seg.errors import unknown

# Attenuation coefficients in 1/m, as the file names write them.
BETAS = ("0.005", "0.01", "0.02")
_CLEAR = RawCityscapesDataset.CARD


@DATASETS.register_module()
class RawFoggyCityscapesDataset(RawCityscapesDataset):
    """One density of fog: `leftImg8bit_foggy/SPLIT/CITY/*_leftImg8bit_foggy_beta_BETA.png`.

    The labels are Cityscapes' own, in `gtFine`. Every frame has three files, one for each density,
    so each density is a domain.

    Args:
        data_root: The folder that holds `leftImg8bit_foggy` and `gtFine`.
        split: 'val' (default) or 'train'.
        beta: The density, 0.005, 0.01 or 0.02 per metre.
        **kwargs: Arguments of `UrbanSceneDataset`; `target` defaults to 'foggy_cityscapes-BETA'.

    Raises:
        UserError: As `RawCityscapesDataset`, or `beta` is not allowed.
    """

    TARGET = "foggy_cityscapes"
    ROOT_VARIABLE = "IBN_SEG_FOGGY_CITYSCAPES"
    SPLITS = ("val", "train")
    CARD = DataCard(
        title="Foggy Cityscapes",
        labels="Cityscapes'",
        quirks="three densities, each a domain",
        classes="19",
        layouts="`leftImg8bit_foggy`, `gtFine`",
        parts=tuple(
            Part({"beta": beta, "split": split}, count, sure=False)
            for beta in BETAS
            for split, count in (("train", 2975), ("val", 500))
        ),
        targets={f"foggy_cityscapes-{beta}": {"beta": beta} for beta in BETAS},
        size=_CLEAR.size,
        # The name of the archive of images is only commonly stated.
        archives=("leftImg8bit_trainvaltest_foggy.zip", "gtFine_trainvaltest.zip"),
        anchors=("leftImg8bit_foggy", "gtFine"),
        source=_CLEAR.source,
        licence=_CLEAR.licence,
        citation="Sakaridis et al., Semantic Foggy Scene Understanding, IJCV 2018",
    )

    def __init__(
        self,
        data_root: str | os.PathLike,
        split: str | None = None,
        *,
        beta: float | str = "0.02",
        **kwargs: Any,
    ) -> None:
        if str(beta) not in BETAS:
            raise unknown("density of Foggy Cityscapes", str(beta), BETAS)
        self.beta = str(beta)
        target = kwargs.pop("target", None) or f"{self.TARGET}-{self.beta}"
        super().__init__(data_root, split, target=target, **kwargs)

    @property
    def image_folder(self) -> Path:
        """The folder of the split's images."""
        return Path(self.data_root) / "leftImg8bit_foggy" / self.split

    def list_images(self) -> dict[str, Path]:
        """Return the images of one density by CITY/CITY_SEQUENCE_FRAME."""
        suffix = f"_leftImg8bit_foggy_beta_{self.beta}.png"
        return files_by_key(
            self.image_folder,
            f"*/*{suffix}",
            lambda path: f"{path.parent.name}/{path.name.removesuffix(suffix)}",
            type(self).__name__,
            "unpack the foggy images there (data/README.md)",
        )
