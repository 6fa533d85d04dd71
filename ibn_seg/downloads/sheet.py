"""Draws a contact sheet: each image beside its label overlay."""

import os
from collections.abc import Sequence

import cv2
import numpy as np
from PIL import Image

from ibn_seg.downloads.stats import Sample
from ibn_seg.io import atomic_path
from ibn_seg.predict.picture_results import overlay

_WIDTH, _CAPTION, _GAP = 320, 18, 4
_COLUMNS = 3
_OPACITY = 0.6
_BACKGROUND = 255


def write_sheet(
    samples: Sequence[Sample],
    path: str | os.PathLike,
    palette: Sequence[Sequence[int]],
    count: int = 12,
) -> None:
    """Write a PNG of samples in a grid, each as image and overlay under its name.

    The samples are spread evenly over the data set, so the same call draws the same sheet. Ignored
    pixels keep the image's colours.

    Args:
        samples: The samples to choose from.
        path: The PNG file.
        palette: The colours of the classes, RGB.
        count: Number of samples to draw.

    Raises:
        UserError: A file is damaged.
        EnvError: The sheet cannot be written.
    """
    count = min(count, len(samples))
    chosen = [samples[index * len(samples) // count] for index in range(count)]
    cells = [_cell(sample, palette) for sample in chosen]
    height = max(cell.shape[0] for cell in cells)
    columns = min(_COLUMNS, count)
    rows = [
        np.hstack([_padded(cell, height) for cell in cells[start : start + columns]])
        for start in range(0, count, columns)
    ]
    width = max(row.shape[1] for row in rows)
    rows = [_filled(row, row.shape[0], width) for row in rows]
    with atomic_path(path) as temporary:
        Image.fromarray(np.vstack(rows)[..., ::-1]).save(temporary, format="PNG")


def _cell(sample: Sample, palette: Sequence[Sequence[int]]) -> np.ndarray:
    """Return caption, image and overlay of one sample, BGR."""
    image, train_ids = sample.read()
    height = max(round(image.shape[0] * _WIDTH / image.shape[1]), 1)
    small = cv2.resize(image, (_WIDTH, height), interpolation=cv2.INTER_AREA)
    labels = cv2.resize(train_ids, (_WIDTH, height), interpolation=cv2.INTER_NEAREST)
    painted = overlay(small, labels, np.array(palette, np.uint8), _OPACITY)
    pair = np.hstack([small, painted])
    caption = np.full((_CAPTION, pair.shape[1], 3), _BACKGROUND, np.uint8)
    text = sample.image.name.encode("ascii", "replace").decode()
    cv2.putText(caption, text, (2, 13), cv2.FONT_HERSHEY_SIMPLEX, 0.4, (0, 0, 0), 1, cv2.LINE_AA)
    return np.vstack([caption, pair])


def _padded(cell: np.ndarray, height: int) -> np.ndarray:
    return _filled(cell, height + _GAP, cell.shape[1] + _GAP)


def _filled(picture: np.ndarray, height: int, width: int) -> np.ndarray:
    """Return a picture padded with white below and to the right."""
    canvas = np.full((height, width, 3), _BACKGROUND, np.uint8)
    canvas[: picture.shape[0], : picture.shape[1]] = picture
    return canvas
