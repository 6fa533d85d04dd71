"""Writers of tiny data sets in the layouts of the official downloads.

They share no code with the readers under test: ids are written out here, and the palette of the
GTA5 labels is arbitrary on purpose, because only the indices count.
"""

import os
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
from PIL import Image

# Raw ids of the 19 classes in trainId order (cityscapesScripts, helpers/labels.py).
RAW_IDS = (7, 8, 11, 12, 13, 17, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 31, 32, 33)
IGNORED_RAW_IDS = (0, 1, 2, 3, 4, 5, 6, 9, 10, 14, 15, 16, 18, 29, 30)
IGNORE = 255


class Malicious:
    """Pickles to a call that makes a folder when it is loaded."""

    def __init__(self, path: str | os.PathLike) -> None:
        self.path = os.fspath(path)

    def __reduce__(self) -> tuple:
        return os.mkdir, (self.path,)


def random_train_ids(
    rng: np.random.Generator, size: tuple[int, int], block: int = 8, ignored: float = 0.1
) -> np.ndarray:
    """Return an (H, W) uint8 map of blocks of the 19 trainIds, a part of them 255.

    Args:
        rng: Source of randomness.
        size: Width and height in pixels.
        block: Side of the blocks in pixels.
        ignored: Share of blocks that are 255.
    """
    width, height = size
    rows, columns = -(-height // block), -(-width // block)
    # Shuffled repetitions of 0..18, so that a map of at least 19 blocks holds most classes.
    blocks = np.resize(np.arange(19, dtype=np.uint8), rows * columns)
    rng.shuffle(blocks)
    blocks[rng.random(blocks.size) < ignored] = IGNORE
    blocks = blocks.reshape(rows, columns)
    return np.kron(blocks, np.ones((block, block), np.uint8))[:height, :width].copy()


def raw_from_train_ids(train_ids: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return raw ids for trainIds of any shape; 255 becomes any of the ignored raw ids."""
    raw = rng.choice(np.array(IGNORED_RAW_IDS, np.uint8), size=train_ids.shape)
    for train_id, raw_id in enumerate(RAW_IDS):
        raw[train_ids == train_id] = raw_id
    return raw


def image_for(train_ids: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return an (H, W, 3) uint8 RGB picture whose colours follow the classes, with noise."""
    colors = np.random.default_rng(0).integers(20, 236, (256, 3))
    return (colors[train_ids] + rng.integers(-20, 20, (*train_ids.shape, 3))).astype(np.uint8)


def write_image(path: Path, array: np.ndarray) -> Path:
    """Write an RGB or 8-bit grey PNG, making its folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(array).save(path)
    return path


def write_palette(path: Path, indices: np.ndarray) -> Path:
    """Write a palette PNG of (H, W) indices with an arbitrary palette of 256 colours."""
    path.parent.mkdir(parents=True, exist_ok=True)
    picture = Image.fromarray(indices)
    picture.putpalette(np.random.default_rng(1).integers(0, 256, 768).tolist())
    picture.save(path)
    return path


def write_gta5(
    root: Path,
    frames: Iterable[int] = (1, 2, 3, 4, 201, 202),
    size: tuple[int, int] = (64, 48),
    seed: int = 0,
) -> Path:
    """Write `images/NNNNN.png` and palette `labels/NNNNN.png` of raw ids under `root`.

    With the default frames four are in the training part and two in the held-out part.

    Returns:
        `root`.
    """
    for frame in frames:
        rng = np.random.default_rng((seed, frame))
        train_ids = random_train_ids(rng, size)
        write_image(root / "images" / f"{frame:05}.png", image_for(train_ids, rng))
        write_palette(root / "labels" / f"{frame:05}.png", raw_from_train_ids(train_ids, rng))
    return root


def write_cityscapes(
    root: Path,
    frames: Mapping[str, int] | None = None,
    size: tuple[int, int] = (64, 48),
    seed: int = 0,
    label_ids: bool = True,
    label_train_ids: bool = False,
) -> Path:
    """Write `leftImg8bit/SPLIT/CITY/...` and `gtFine/SPLIT/CITY/...` under `root`.

    Args:
        root: The folder that becomes the data root.
        frames: Number of frames per split, spread over two cities each; 4 train and 2 val.
        size: Width and height in pixels.
        seed: Seed of the contents.
        label_ids: Write `*_gtFine_labelIds.png`, as in the download.
        label_train_ids: Write `*_gtFine_labelTrainIds.png`, as csCreateTrainIdLabelImgs does.

    Returns:
        `root`.
    """
    cities = {"train": ("aachen", "zurich"), "val": ("frankfurt", "lindau")}
    for number, (split, count) in enumerate((frames or {"train": 4, "val": 2}).items()):
        for index in range(count):
            rng = np.random.default_rng((seed, number, index))
            city = cities[split][index % 2]
            stem = f"{split}/{city}/{city}_{index:06}_000019"
            train_ids = random_train_ids(rng, size)
            write_image(root / "leftImg8bit" / f"{stem}_leftImg8bit.png", image_for(train_ids, rng))
            if label_ids:
                raw = raw_from_train_ids(train_ids, rng)
                write_image(root / "gtFine" / f"{stem}_gtFine_labelIds.png", raw)
            if label_train_ids:
                write_image(root / "gtFine" / f"{stem}_gtFine_labelTrainIds.png", train_ids)
    return root


def truncate(path: Path, keep: float = 0.6) -> Path:
    """Cut a file to the given share of its bytes, as an interrupted download leaves it."""
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * keep)])
    return path
