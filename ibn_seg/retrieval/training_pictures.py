"""The training pictures of a re-identification data set, augmented as the strong baseline does."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.registry import DATASETS
from torch.utils.data import Dataset

from ibn_seg.errors import UserError
from ibn_seg.reid.erasing import PaintRectangle
from ibn_seg.reid.sets.all_sets import picture_set
from ibn_seg.reid.sets.picture_set import TRAIN, Picture, PictureSet, training_labels
from ibn_seg.retrieval.crops import DEVIATION, MEAN, SIZE, read_crop

_FLIP, _PADDING = 0.5, 10


@DATASETS.register_module()
class TrainingPictures(Dataset):
    """Pictures with labels from 0: flipped, padded, cropped, normalised and painted over.

    A sample is a dict: `inputs`, (3, H, W) float32, and `labels`, the number of the identity.

    Args:
        name: A key of `PICTURE_SETS`.
        root: Its root.
        options: Its choices, such as boxes='labeled'.
        also: Name and root of other data sets to train on together. Their people are others.
        size: Width and height of the input.
        erasing: Share of pictures with a painted rectangle.

    Attributes:
        labels: (N,) the label of each picture.
        metainfo: `classes`, the identities.

    Raises:
        UserError: There is no such data set, or a name does not parse.
    """

    def __init__(
        self,
        name: str,
        root: str | Path,
        options: Mapping[str, Any] | None = None,
        also: Sequence[tuple[str, str]] = (),
        size: tuple[int, int] = SIZE,
        erasing: float = 0.5,
    ) -> None:
        self.paths: list[Path] = []
        labels: list[int] = []
        classes: list[str] = []
        for one, place in ((name, root), *also):
            pictures = _of_people(
                picture_set(one, place, **((options or {}) if one == name else {}))
            )
            self.paths += [picture.path for picture in pictures]
            labels += [len(classes) + label for label in training_labels(pictures)]
            people = sorted({picture.identity for picture in pictures})
            # A number means another person in another data set.
            classes += [f"{one}/{person}" if also else str(person) for person in people]
        self.labels = np.array(labels)
        self.metainfo = {"classes": tuple(classes)}
        self.size = tuple(size)
        self.painter = PaintRectangle(erasing)

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> dict[str, Any]:
        """Return a sample; all draws are of NumPy's global generator."""
        pixels = _moved(read_crop(self.paths[index], self.size))
        values = (pixels.astype(np.float32) / 255 - np.float32(MEAN)) / np.float32(DEVIATION)
        values = self.painter.transform({"img": values})["img"]
        inputs = torch.from_numpy(np.ascontiguousarray(values.transpose(2, 0, 1)))
        return {"inputs": inputs, "labels": int(self.labels[index])}


def _of_people(data: PictureSet) -> list[Picture]:
    """Return the training pictures of a data set, without junk and distractors.

    Raises:
        UserError: There are none, or a name does not parse.
    """
    pictures = data.people(TRAIN)
    if not pictures:
        raise UserError(f"{data.root}: no training pictures")
    return pictures


def _moved(pixels: np.ndarray) -> np.ndarray:
    """Return a picture, mirrored or not, shifted by up to 10 pixels, with black around."""
    if np.random.uniform() < _FLIP:
        pixels = pixels[:, ::-1]
    height, width = pixels.shape[:2]
    padded = np.pad(pixels, ((_PADDING, _PADDING), (_PADDING, _PADDING), (0, 0)))
    top, left = np.random.randint(0, 2 * _PADDING + 1, 2)
    return padded[top : top + height, left : left + width]
