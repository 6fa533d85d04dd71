"""IDD-Lite (Mishra et al., 2019): small frames of IDD with 7 classes."""

from pathlib import Path

from mmseg.registry import DATASETS

from ibn_seg.datasets.base import UrbanSceneDataset
from ibn_seg.datasets.card import DataCard, Part
from ibn_seg.datasets.known_classes import IDD_LITE
from ibn_seg.datasets.labels import space_table
from ibn_seg.datasets.pairing import files_by_key

_IMAGE, _LABEL, _INSTANCES = "_image.jpg", "_label.png", "_inst_label.png"


@DATASETS.register_module()
class IDDLiteDataset(UrbanSceneDataset):
    """IDD-Lite: `leftImg8bit/SPLIT/DRIVE/ID_image.jpg` with `gtFine/SPLIT/DRIVE/ID_label.png`.

    Pictures are 320x227, distorted from 1920x1080. Labels hold `level1Id` of IDD's toolkit, 0..6,
    and 255 for void.

    Args:
        data_root: The folder that holds `leftImg8bit` and `gtFine`.
        split: 'val' (default, 204) or 'train' (1,403). The labels of 'test' are not public.
        **kwargs: Arguments of `UrbanSceneDataset`; `target` defaults to 'idd_lite'.

    Raises:
        UserError: As `UrbanSceneDataset`.
    """

    SPACE = IDD_LITE
    METAINFO = IDD_LITE.metainfo()
    TARGET = "idd_lite"
    ROOT_VARIABLE = "IBN_SEG_IDD_LITE"
    SPLITS = ("val", "train")
    CARD = DataCard(
        title="IDD-Lite",
        labels="`level1Id`, 0..6 and 255",
        quirks="a name may occur in several drives",
        classes="7 of its own",
        layouts="`leftImg8bit`, `gtFine`",
        parts=(Part({"split": "train"}, 1403), Part({"split": "val"}, 204)),
        targets={"idd_lite": {"split": "val"}},
        size=(320, 227),
        # The archive's name is only commonly stated.
        archives=("idd-lite.tar.gz",),
        anchors=("leftImg8bit", "gtFine"),
        source="https://idd.insaan.iiit.ac.in (IDD Lite)",
        licence="register there and accept the licence",
        citation="Mishra et al., Semantic Segmentation Datasets for Resource Constrained Training, "
        "2019",
    )
    table = space_table(IDD_LITE)

    @property
    def image_folder(self) -> Path:
        """The folder of the split's images."""
        return Path(self.data_root) / "leftImg8bit" / self.split

    def list_images(self) -> dict[str, Path]:
        """Return the images by DRIVE/ID."""
        return self._files("leftImg8bit", _IMAGE)

    def list_labels(self) -> dict[str, Path]:
        """Return the labels by the same keys."""
        return self._files("gtFine", _LABEL)

    def _files(self, place: str, suffix: str) -> dict[str, Path]:
        def key(path: Path) -> str | None:
            if path.name.endswith(_INSTANCES):
                return None
            return f"{path.parent.name}/{path.name.removesuffix(suffix)}"

        folder = Path(self.data_root) / place / self.split
        missing = "unpack idd-lite.tar.gz there (data/README.md)"
        return files_by_key(folder, f"*/*{suffix}", key, "IDDLiteDataset", missing)
