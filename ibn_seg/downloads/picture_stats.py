"""Runs `ibn-seg data stats` on re-identification data sets, and draws their contact sheet."""

import collections
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from PIL import Image

from ibn_seg.datasets.formats import check_image_file, read_image
from ibn_seg.errors import UserError
from ibn_seg.io import atomic_path
from ibn_seg.reid.set_numbers import PartNumbers, part_numbers, unmatched
from ibn_seg.reid.sets.all_sets import picture_set
from ibn_seg.reid.sets.picture_set import GALLERY, QUERY, TRAIN, Picture, PictureSet, SetCard
from ibn_seg.worker_pool import default_workers, run_batches

# A cell of the sheet: width and height of a crop, height of its caption, pixels between cells.
_WIDTH, _HEIGHT, _CAPTION, _GAP = 64, 128, 14, 4
_COLUMNS = 8


@dataclass
class PixelSums:
    """Sums over pictures.

    Attributes:
        pictures: Number of pictures.
        values: Their pixels.
        sum: (3,) sum of the values per channel, RGB.
        squares: (3,) sum of their squares.
        sizes: Number of pictures of each width and height.
    """

    pictures: int = 0
    values: int = 0
    sum: np.ndarray = field(default_factory=lambda: np.zeros(3))
    squares: np.ndarray = field(default_factory=lambda: np.zeros(3))
    sizes: collections.Counter = field(default_factory=collections.Counter)

    def add(self, other: "PixelSums") -> None:
        """Add the sums of other pictures."""
        self.pictures += other.pictures
        self.values += other.values
        self.sum += other.sum
        self.squares += other.squares
        self.sizes.update(other.sizes)


@dataclass
class PictureStats:
    """The numbers of a data set.

    Attributes:
        name: The data set's name.
        pictures: The data set.
        parts: The pictures of each part.
        numbers: Their counts.
        unmatched: Number of queries without a match.
        sums: The measurements of all pictures.
    """

    name: str
    pictures: PictureSet
    parts: dict[str, list[Picture]]
    numbers: dict[str, PartNumbers]
    unmatched: int
    sums: PixelSums

    def report(self) -> dict[str, Any]:
        """Return the numbers for a JSON file; mean and deviation are RGB, 0 to 255."""
        mean = self.sums.sum / self.sums.values
        # Rounding can give a tiny negative variance if all pixels have one colour.
        variance = np.maximum(self.sums.squares / self.sums.values - mean**2, 0.0)
        return {
            "data_set": self.name,
            "root": str(self.pictures.root),
            "options": self.pictures.options,
            "note": self.pictures.CARD.note,
            "parts": {part: asdict(numbers) for part, numbers in self.numbers.items()},
            "queries_without_match": self.unmatched,
            "pictures": self.sums.pictures,
            "sizes": {f"{w}x{h}": count for (w, h), count in self.sums.sizes.most_common()},
            "mean": mean.tolist(),
            "std": np.sqrt(variance).tolist(),
        }


def measure_pictures(
    name: str,
    root: str | os.PathLike,
    *,
    options: Mapping[str, Any] | None = None,
    workers: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> PictureStats:
    """Count and measure the pictures of a re-identification data set.

    Args:
        name: A key of `PICTURE_SETS`.
        root: Its root.
        options: Its choices, such as boxes='labeled'.
        workers: Number of processes; default the number of cores.
        progress: Called with (pictures done, pictures in all).

    Raises:
        UserError: There is no such data set, root or option; a name does not parse, or a file is
            damaged.
        EnvError: A worker died.
    """
    pictures = picture_set(name, root, **(options or {}))
    parts = {part: pictures.pictures(part) for part in _there(pictures)}
    paths = list({one.path: None for found in parts.values() for one in found})
    if not paths:
        raise UserError(f"{pictures.root}: no pictures", "run `ibn-seg data check`")
    sums = PixelSums()
    workers = default_workers() if workers is None else workers
    for part in run_batches(measure_paths, paths, workers=workers, size=32):
        sums.add(part)
        if progress:
            progress(sums.pictures, len(paths))
    return PictureStats(
        name=name,
        pictures=pictures,
        parts=parts,
        numbers={part: part_numbers(found, pictures.CARD) for part, found in parts.items()},
        unmatched=len(unmatched(parts.get(QUERY, []), parts.get(GALLERY, []))),
        sums=sums,
    )


def measure_paths(paths: Sequence[Path]) -> PixelSums:
    """Measure some pictures in a worker."""
    sums = PixelSums()
    for path in paths:
        check_image_file(path)
        image = read_image(path)
        mean, std = (values.ravel()[::-1] for values in cv2.meanStdDev(image))
        count = image.shape[0] * image.shape[1]
        squares = (std**2 + mean**2) * count
        size = collections.Counter([image.shape[1::-1]])
        sums.add(PixelSums(1, count, mean * count, squares, size))
    return sums


def write_picture_sheet(
    parts: Mapping[str, Sequence[Picture]],
    card: SetCard,
    path: str | os.PathLike,
    count: int = 12,
) -> None:
    """Write a PNG with a row of pictures for each of some identities, spread over the data set.

    A row shows each camera once before any camera twice. The captions are identity and camera,
    which counts from 0.

    Args:
        parts: The pictures of each part.
        card: The data set's card.
        path: The PNG file.
        count: Number of identities.

    Raises:
        UserError: A file is damaged.
        EnvError: The sheet cannot be written.
    """
    # The number of a person; where training and test count on their own, with the side in front.
    people: dict[tuple[bool, int], list[Picture]] = collections.defaultdict(list)
    for part, pictures in parts.items():
        for picture in pictures:
            if picture.identity not in card.nobody:
                side = card.shared_numbers and part != TRAIN
                people[side, picture.identity].append(picture)
    known = sorted(people)
    count = min(count, len(known))
    if not count:
        raise UserError(f"{path}: no identity to draw")
    chosen = [known[index * len(known) // count] for index in range(count)]
    height, width = _HEIGHT + _CAPTION + _GAP, _WIDTH + _GAP
    sheet = np.full((count * height, _COLUMNS * width, 3), 255, np.uint8)
    for row, identity in enumerate(chosen):
        for column, picture in enumerate(_by_camera(people[identity])[:_COLUMNS]):
            cell = sheet[row * height : (row + 1) * height, column * width : (column + 1) * width]
            _draw(cell, picture)
    with atomic_path(path) as temporary:
        Image.fromarray(sheet[..., ::-1]).save(temporary, format="PNG")


def _there(pictures: PictureSet) -> list[str]:
    """Return the parts of a data set whose folders are there."""
    return [part for part in pictures.parts if pictures.has(part)]


def _by_camera(pictures: Sequence[Picture]) -> list[Picture]:
    """Return pictures so that each camera comes once before any comes twice."""
    turns: collections.Counter = collections.Counter()
    order = []
    for picture in pictures:
        order.append((turns[picture.camera], picture.camera, len(order)))
        turns[picture.camera] += 1
    return [pictures[place] for _, _, place in sorted(order)]


def _draw(cell: np.ndarray, picture: Picture) -> None:
    """Draw a picture with its caption into a cell, BGR."""
    check_image_file(picture.path)
    crop = cv2.resize(read_image(picture.path), (_WIDTH, _HEIGHT), interpolation=cv2.INTER_AREA)
    cell[_CAPTION : _CAPTION + _HEIGHT, :_WIDTH] = crop
    # OpenCV draws into whole arrays only.
    caption = np.full((_CAPTION, _WIDTH, 3), 255, np.uint8)
    text = f"{picture.identity} c{picture.camera}"
    cv2.putText(caption, text, (1, 10), cv2.FONT_HERSHEY_SIMPLEX, 0.33, (0, 0, 0), 1, cv2.LINE_AA)
    cell[:_CAPTION, :_WIDTH] = caption
