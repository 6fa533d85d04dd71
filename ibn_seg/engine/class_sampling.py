"""Samplers that show rare classes more often."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.dist import barrier, is_main_process
from mmengine.registry import DATA_SAMPLERS
from torch.utils.data import Dataset

from ibn_seg.datasets.base import UrbanSceneDataset
from ibn_seg.datasets.class_statistics import LabelStatistics, collect
from ibn_seg.engine.sampling import PositionSampler, members
from ibn_seg.errors import UserError
from ibn_seg.progress import progress_callback


class ClassSampler(PositionSampler):
    """Reads the statistics of a data set's labels; subclasses draw with them.

    Args:
        dataset: Data sets of ibn_seg whose pipeline begins with `LoadRandomCrop`.
        seed: The seed that fixes the order.
        statistics: The JSON file of the labels' statistics; it is made if missing.
        workers: Number of processes that count missing labels.
    """

    def __init__(
        self, dataset: Dataset, seed: int, statistics: str | os.PathLike, workers: int = 1
    ) -> None:
        super().__init__(dataset, seed)
        infos = []
        for member in members(dataset):
            if not isinstance(member, UrbanSceneDataset):
                raise UserError(
                    f"{type(self).__name__}: {type(member).__name__} has no label table",
                    "use the data sets of ibn_seg",
                )
            infos += [member.get_data_info(i) for i in range(len(member))]
        self.labels = _collected(infos, Path(statistics), workers)

    def generator(self, position: int) -> np.random.Generator:
        """Return the generator of the draws at a position."""
        return np.random.default_rng([self.seed, position, 1])


@DATA_SAMPLERS.register_module()
class RareClassSampler(ClassSampler):
    """Rare-class sampling of DAFormer (Hoyer et al., CVPR 2022, section 3.3).

    It draws a class c with probability P(c) proportional to exp((1 - f_c) / temperature). f_c is
    the class's share of all labelled pixels. Then it draws one of the images with more than
    `min_pixels` of the class. Then it draws crops of the image until one shows more than
    `min_crop_ratio * min_pixels` pixels of the class, ten more at most. The defaults are from
    DAFormer's configs (recalled). A class that no image has enough of is never drawn.

    Args:
        dataset: Data sets of ibn_seg whose pipeline begins with `LoadRandomCrop`.
        seed: The seed that fixes the order.
        statistics: The JSON file of the labels' statistics; it is made if missing.
        temperature: Over 0; a larger value makes the classes' probabilities more similar.
        min_pixels: Pixels of the class that an image must exceed.
        min_crop_ratio: Part of `min_pixels` that the crop must exceed.
        workers: Number of processes that count labels missing in the file.

    Raises:
        UserError: A setting is out of its range, or no image has enough pixels of any class.
    """

    def __init__(
        self,
        dataset: Dataset,
        seed: int,
        statistics: str | os.PathLike,
        temperature: float = 0.01,
        min_pixels: int = 3000,
        min_crop_ratio: float = 0.5,
        workers: int = 1,
    ) -> None:
        if temperature <= 0 or min_pixels < 0 or min_crop_ratio < 0:
            raise UserError(
                f"RareClassSampler: {temperature=}, {min_pixels=}, {min_crop_ratio=}",
                "allowed: temperature over 0, the others 0 or more",
            )
        super().__init__(dataset, seed, statistics, workers)
        counts = np.array([label.counts for label in self.labels])
        self.images = [np.flatnonzero(counts[:, c] > min_pixels) for c in range(counts.shape[1])]
        shown = np.array([len(images) > 0 for images in self.images])
        if not shown.any():
            raise UserError(
                f"RareClassSampler: no label has more than {min_pixels} pixels of any class",
                "lower min_pixels",
            )
        self.probabilities = rare_class_probabilities(counts.sum(axis=0), temperature, shown)
        self.least = min_crop_ratio * min_pixels

    def key(self, position: int) -> tuple[int, int, dict[str, Any]]:
        """Return position, index and the class that the crop should show."""
        generator = self.generator(position)
        label = int(generator.choice(len(self.probabilities), p=self.probabilities))
        return position, int(generator.choice(self.images[label])), {
            "crop_class": (label, self.least)
        }  # fmt: skip

    def index(self, position: int) -> int:
        """Return the index of the sample at a position."""
        return self.key(position)[1]


@DATA_SAMPLERS.register_module()
class ClassUniformSampler(ClassSampler):
    """Class-uniform sampling, as RobustNet (Choi et al., CVPR 2021) uses it.

    A share of the samples is drawn by class. All classes are equally likely. For the class, one of
    its centres of mass in tiles of 1024x1024 pixels is drawn. The crop then holds this pixel. The
    other samples go through all images in random order. RobustNet draws one half by class and
    leaves out the tiles that the image does not fill (both recalled). Here these tiles count too,
    because nearly half of a GTA5 frame lies in them.

    Args:
        dataset: Data sets of ibn_seg whose pipeline begins with `LoadRandomCrop`.
        seed: The seed that fixes the order.
        statistics: The JSON file of the labels' statistics; it is made if missing.
        share: Share of the samples that are drawn by class, 0..1.
        workers: Number of processes that count labels missing in the file.

    Raises:
        UserError: A setting is out of its range, or the labels show no class.
    """

    def __init__(
        self,
        dataset: Dataset,
        seed: int,
        statistics: str | os.PathLike,
        share: float = 0.5,
        workers: int = 1,
    ) -> None:
        if not 0 <= share <= 1:
            raise UserError(f"ClassUniformSampler: share={share!r}", "allowed: 0..1")
        super().__init__(dataset, seed, statistics, workers)
        self.share = share
        centers: dict[int, list[tuple[int, int, int]]] = {}
        for index, label in enumerate(self.labels):
            for train_id, row, column in label.centroids:
                centers.setdefault(train_id, []).append((index, row, column))
        if not centers:
            raise UserError(
                "ClassUniformSampler: the labels show none of the classes", "check them"
            )
        self.centers = {train_id: np.array(rows) for train_id, rows in sorted(centers.items())}

    def key(self, position: int) -> tuple:
        """Return position and index, and the pixel that the crop should hold if there is one."""
        generator = self.generator(position)
        if generator.random() >= self.share:
            return position, super().index(position)
        train_id = generator.choice(list(self.centers))
        index, row, column = map(int, generator.choice(self.centers[int(train_id)]))
        return position, index, {"crop_center": (row, column)}

    def index(self, position: int) -> int:
        """Return the index of the sample at a position."""
        return self.key(position)[1]


def rare_class_probabilities(
    counts: np.ndarray, temperature: float, shown: np.ndarray
) -> np.ndarray:
    """Return DAFormer's probability of each class.

    Args:
        counts: (C,) pixels of each class.
        temperature: Over 0.
        shown: (C,) bool, the classes that may be drawn.
    """
    logits = (1 - counts / counts.sum()) / temperature
    logits[~shown] = -np.inf
    weights = np.exp(logits - logits.max())
    return weights / weights.sum()


def _collected(infos: Sequence[dict], path: Path, workers: int) -> list[LabelStatistics]:
    """Return the statistics; the first process counts, the others read its file."""
    if is_main_process():
        with progress_callback("classes") as progress:
            collect(infos, path, workers, progress)
    barrier()
    return collect(infos, path)
