"""The training pictures of a re-identification data set, augmented as the strong baseline does."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.registry import DATASETS
from torch.utils.data import Dataset

from ibn_seg.errors import UserError
from ibn_seg.reid.erasing import PaintRectangle
from ibn_seg.reid.sets.all_sets import picture_set
from ibn_seg.reid.sets.picture_set import TRAIN, training_labels
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
        size: tuple[int, int] = SIZE,
        erasing: float = 0.5,
    ) -> None:
        found = picture_set(name, root, **(options or {}))
        # Junk has no identity, and a distractor none of its own.
        least = 1 if found.CARD.distractors else 0
        pictures = [one for one in found.pictures(TRAIN) if one.identity >= least]
        if not pictures:
            raise UserError(f"{found.root}: no training pictures")
        self.paths = [picture.path for picture in pictures]
        self.labels = np.array(training_labels(pictures))
        identities = sorted({picture.identity for picture in pictures})
        self.metainfo = {"classes": tuple(map(str, identities))}
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


def _moved(pixels: np.ndarray) -> np.ndarray:
    """Return a picture, mirrored or not, shifted by up to 10 pixels, with black around."""
    if np.random.uniform() < _FLIP:
        pixels = pixels[:, ::-1]
    height, width = pixels.shape[:2]
    padded = np.pad(pixels, ((_PADDING, _PADDING), (_PADDING, _PADDING), (0, 0)))
    top, left = np.random.randint(0, 2 * _PADDING + 1, 2)
    return padded[top : top + height, left : left + width]
