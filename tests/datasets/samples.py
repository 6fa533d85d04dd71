"""What the writers of tiny data sets share: random classes, their encoding, and pictures."""

from pathlib import Path

import numpy as np
from PIL import Image

from tests.helpers import random_train_ids

COUNT = 3
SIZE = (64, 48)
IGNORED = 255

Expected = dict[str, np.ndarray]


def samples(seed: int, classes: int = 19) -> list[tuple[np.random.Generator, np.ndarray]]:
    """Return a generator and classes for each sample."""
    found = []
    for index in range(COUNT):
        rng = np.random.default_rng((seed, index))
        train_ids = random_train_ids(rng, SIZE)
        ids = np.where(train_ids == IGNORED, IGNORED, train_ids % classes)
        found.append((rng, ids.astype(np.uint8)))
    return found


def encode(train_ids: np.ndarray, ids: tuple, rng: np.random.Generator) -> np.ndarray:
    """Return a data set's own ids for trainIds."""
    classes, ignored = ids
    table = np.zeros(256, np.uint8)
    table[: len(classes)] = classes
    encoded = table[train_ids]
    blank = train_ids == IGNORED
    encoded[blank] = rng.choice(ignored, blank.sum())
    return encoded


def write_jpeg(path: Path, array: np.ndarray) -> Path:
    """Write an RGB JPEG, making its folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(array).save(path, quality=90)
    return path
