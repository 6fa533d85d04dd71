"""Any data set whose labels are Cityscapes trainIds."""

import os
from pathlib import Path
from typing import Any

from mmseg.registry import DATASETS

from ibn_seg.datasets.base import UrbanSceneDataset
from ibn_seg.datasets.card import DataCard
from ibn_seg.datasets.labels import TRAIN_IDS
from ibn_seg.datasets.pairing import files_by_key


@DATASETS.register_module()
class TrainIdDataset(UrbanSceneDataset):
    """Images in one folder tree, 8-bit labels of trainIds (0..18, 255) in another.

    An image and its label have the same path below their folders, apart from the suffixes.

    Args:
        data_root: The folder that holds both.
        images: The images' folder.
        labels: The labels' folder.
        image_suffix: The ending of the images' names.
        label_suffix: The ending of the labels' names.
        **kwargs: Arguments of `UrbanSceneDataset`; `target` defaults to the root's name.

    Raises:
        UserError: As `UrbanSceneDataset`.

    Example:
        >>> dict(type='TrainIdDataset', data_root='data/my_city', images='images', labels='labels',
        ...      image_suffix='.jpg', label_suffix='_train_id.png')
    """

    TARGET = "train_ids"
    ROOT_VARIABLE = "data_root"
    CARD = DataCard(
        title="any with trainIds",
        labels="0..18 and 255",
        quirks="folders and suffixes by arguments",
        classes="19",
        layouts="any",
    )
    table = TRAIN_IDS

    def __init__(
        self,
        data_root: str | os.PathLike,
        images: str = "images",
        labels: str = "labels",
        image_suffix: str = ".png",
        label_suffix: str = ".png",
        **kwargs: Any,
    ) -> None:
        self._image = (images, image_suffix)
        self._label = (labels, label_suffix)
        target = kwargs.pop("target", None) or Path(data_root).expanduser().resolve().name
        super().__init__(data_root, target=target, **kwargs)

    @property
    def image_folder(self) -> Path:
        """The folder of the images."""
        return Path(self.data_root) / self._image[0]

    def list_images(self) -> dict[str, Path]:
        """Return the images by path below their folder, without suffix."""
        return self._files(*self._image)

    def list_labels(self) -> dict[str, Path]:
        """Return the labels by the same keys."""
        return self._files(*self._label)

    def _files(self, kind: str, suffix: str) -> dict[str, Path]:
        folder = Path(self.data_root) / kind
        return files_by_key(
            folder,
            f"**/*{suffix}",
            lambda path: path.relative_to(folder).as_posix().removesuffix(suffix),
            "TrainIdDataset",
            "say where the files are by images=, labels=, image_suffix= and label_suffix=",
        )
