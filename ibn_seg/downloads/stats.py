"""Runs `ibn-seg data stats`: class frequencies, and mean and deviation of the images."""

import collections
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from ibn_seg.datasets.all_datasets import dataset_class
from ibn_seg.datasets.formats import check_image_file, map_ids, read_image, read_values
from ibn_seg.datasets.labels import LabelTable
from ibn_seg.datasets.orientation import advice_on_sizes
from ibn_seg.downloads.check_report import class_rows
from ibn_seg.downloads.parts import Listing, list_parts
from ibn_seg.errors import UserError
from ibn_seg.worker_pool import default_workers, run_batches


@dataclass(frozen=True)
class Sample:
    """An image with its label.

    Attributes:
        image: The image's path.
        label: The label's path.
        table: The table of the label's values.
        segments: The value of each segment number of a panoptic label.
    """

    image: Path
    label: Path
    table: LabelTable
    segments: Mapping[int, int] | None = None

    def read(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the image, (H, W, 3) uint8 BGR, and its trainIds, (H, W) uint8.

        Raises:
            UserError: A file is damaged, a label holds an unknown value, or the two differ in size.
        """
        check_image_file(self.image)
        check_image_file(self.label)
        image = read_image(self.image)
        values = read_values(self.label, self.table, self.segments)
        train_ids = map_ids(values, self.table, self.label)
        if image.shape[:2] != train_ids.shape:
            sizes = image.shape[1::-1], train_ids.shape[::-1]
            raise UserError(
                f"{self.image}: differs in size from its label",
                advice_on_sizes(self.image, *sizes) or "run `ibn-seg data check`",
            )
        return image, train_ids


@dataclass
class Sums:
    """Sums over images.

    Attributes:
        images: Number of images.
        values: Pixels of all images.
        sum: (3,) sum of the values per channel, RGB.
        squares: (3,) sum of their squares.
        pixels: (256,) pixels of each trainId.
        present: (256,) number of labels with each class.
        sizes: Number of images by (width, height).
    """

    images: int = 0
    values: int = 0
    sum: np.ndarray = field(default_factory=lambda: np.zeros(3))
    squares: np.ndarray = field(default_factory=lambda: np.zeros(3))
    pixels: np.ndarray = field(default_factory=lambda: np.zeros(256, np.int64))
    present: np.ndarray = field(default_factory=lambda: np.zeros(256, np.int64))
    sizes: collections.Counter = field(default_factory=collections.Counter)

    def add(self, other: "Sums") -> None:
        """Add the sums of other images."""
        self.images += other.images
        self.values += other.values
        self.sum += other.sum
        self.squares += other.squares
        self.pixels += other.pixels
        self.present += other.present
        self.sizes.update(other.sizes)


@dataclass
class Stats:
    """The numbers of a data set.

    Attributes:
        name: The data set's name.
        root: Its root.
        parts: The names of the measured parts.
        samples: Its images and labels.
        sums: The measurements.
        classes: The names of the classes of its labels.
        palette: Their colours, RGB.
    """

    name: str
    root: Path
    parts: list[str]
    samples: list[Sample]
    sums: Sums
    classes: Sequence[str]
    palette: Sequence[Sequence[int]]

    def report(self) -> dict[str, Any]:
        """Return the numbers for a JSON file; mean and deviation are RGB, 0 to 255."""
        sums = self.sums
        mean = sums.sum / sums.values
        # Rounding can give a tiny negative variance if an image has a single colour.
        variance = np.maximum(sums.squares / sums.values - mean**2, 0.0)
        return {
            "data_set": self.name,
            "root": str(self.root),
            "parts": self.parts,
            "samples": sums.images,
            "sizes": {f"{w}x{h}": count for (w, h), count in sums.sizes.most_common()},
            "mean": mean.tolist(),
            "std": np.sqrt(variance).tolist(),
            "classes": class_rows(self.classes, [sums.pixels], [sums.present]),
        }


def measure(
    name: str,
    root: str | os.PathLike,
    *,
    options: Mapping[str, Any] | None = None,
    exclude: str | os.PathLike | None = None,
    workers: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Stats:
    """Measure a data set's images and labels, in memory that does not grow with their number.

    Args:
        name: A name of `all_datasets.DATA_SETS`.
        root: The data set's root.
        options: Arguments of its class, such as split='val'; default: all parts. An image in
            several parts counts once, with the label of the first.
        exclude: The exclude list; default `ibn_seg_exclude.txt` in the root.
        workers: Number of processes; default the number of cores.
        progress: Called with (images done, images in all).

    Raises:
        UserError: There is no such data set, root or option. Or no image has a label, or a file is
            damaged.
        EnvError: A worker died.
    """
    root = Path(root).expanduser()
    listings = list_parts(dataset_class(name), root, options, exclude)
    parts, samples = _samples(listings, root)
    sums = Sums()
    workers = default_workers() if workers is None else workers
    for part in run_batches(measure_samples, samples, workers=workers, size=4):
        sums.add(part)
        if progress:
            progress(sums.images, len(samples))
    meta = listings[0].dataset.metainfo
    return Stats(name, root, parts, samples, sums, meta["classes"], meta["palette"])


def measure_samples(samples: Sequence[Sample]) -> Sums:
    """Measure some samples in a worker, with one pair of pictures in memory at a time."""
    sums = Sums()
    for sample in samples:
        image, train_ids = sample.read()
        mean, std = (values.ravel()[::-1] for values in cv2.meanStdDev(image))
        count = train_ids.size
        pixels = cv2.calcHist([train_ids], [0], None, [256], [0, 256]).ravel().astype(np.int64)
        sums.add(
            Sums(
                images=1,
                values=count,
                sum=mean * count,
                squares=(std**2 + mean**2) * count,
                pixels=pixels,
                present=(pixels > 0).astype(np.int64),
                sizes=collections.Counter([image.shape[1::-1]]),
            )
        )
    return sums


def _samples(listings: Sequence[Listing], root: Path) -> tuple[list[str], list[Sample]]:
    """Return the existing parts and their samples, each image once."""
    parts, samples, seen = [], [], set()
    for listing in listings:
        before = len(samples)
        for key, image in listing.images.items():
            if key not in listing.labels or image in seen:
                continue
            seen.add(image)
            segments = listing.dataset.more_info(key).get("segments")
            samples.append(
                Sample(image, listing.labels[key], listing.dataset.label_table, segments)
            )
        if len(samples) > before:
            parts.append(listing.part.name)
    if not samples:
        raise UserError(f"{root}: no image with its label", "run `ibn-seg data check`")
    return parts, samples
