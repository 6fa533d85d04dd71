"""Compute which sample is trained on when, and its augmentation, as functions of the seed.

Samples are numbered by their position in training: position p is the p-th sample of all ranks
together. A permutation given by (seed, p // length) fixes the sample at p. Its augmentation depends
on (seed, p). So resuming at any iteration needs no replay. The number of data workers or ranks does
not change the training samples.
"""

import random
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from mmengine.dist import get_dist_info
from mmengine.registry import DATA_SAMPLERS, DATASETS
from torch.utils.data import Dataset, Sampler

from ibn_seg.engine.random_state import preserved_random_state
from ibn_seg.errors import UserError


@lru_cache(maxsize=2)
def permutation(length: int, seed: int, epoch: int) -> np.ndarray:
    """Return the order in which an epoch visits the samples: a permutation of range(length)."""
    return np.random.default_rng([seed, epoch]).permutation(length)


@DATA_SAMPLERS.register_module()
class PositionSampler(Sampler):
    """Endless (position, index) pairs of this rank, beginning at any position.

    A subclass draws other indices or adds requests for the crop (`key`). If they depend only on
    seed and position, resuming and several ranks work without further care.

    Args:
        dataset: The data set; only its length is used.
        seed: The seed that fixes the order.
        shuffle: Visit the samples in a new random order every epoch, else in the data set's order.

    Attributes:
        start: Number of samples of this rank to skip.

    Raises:
        UserError: There is no sample.
    """

    def __init__(self, dataset: Dataset, seed: int, shuffle: bool = True) -> None:
        self.length = len(dataset)
        if not self.length:
            raise UserError(
                "the data set of train_dataloader has no samples",
                "check its indices and its wrappers, such as RepeatDataset(times=0)",
            )
        self.seed = seed
        self.shuffle = shuffle
        self.start = 0
        self.rank, self.world_size = get_dist_info()

    def index(self, position: int) -> int:
        """Return the index in the data set of the sample at a position."""
        epoch, offset = divmod(position, self.length)
        if not self.shuffle:
            return offset
        return int(permutation(self.length, self.seed, epoch)[offset])

    def key(self, position: int) -> tuple:
        """Return the key for `SeededDataset` at a position: (position, index[, wishes])."""
        return position, self.index(position)

    def __iter__(self) -> Iterator[tuple]:
        position = self.start * self.world_size + self.rank
        while True:
            yield self.key(position)
            position += self.world_size

    def __len__(self) -> int:
        return max(1, self.length // self.world_size)


@DATASETS.register_module()
class SeededDataset(Dataset):
    """A data set whose random augmentation depends only on (seed, position).

    Args:
        dataset: The data set, or its config.
        seed: The seed of the run.
    """

    def __init__(self, dataset: Dataset | Mapping[str, Any], seed: int) -> None:
        self.dataset = DATASETS.build(dataset) if isinstance(dataset, Mapping) else dataset
        self.seed = seed

    def full_init(self) -> None:
        """Initialise the wrapped data set if it is lazy."""
        if hasattr(self.dataset, "full_init"):
            self.dataset.full_init()

    @property
    def metainfo(self) -> dict:
        """Classes and palette of the wrapped data set."""
        return getattr(self.dataset, "metainfo", {})

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, key: tuple) -> Any:
        """Return the sample of (position, index), or of (position, index, wishes for the crop)."""
        position, index, *wishes = key
        with preserved_random_state():
            words = np.random.SeedSequence([self.seed, position]).generate_state(6)
            random.seed(int(words[0]))
            np.random.seed(words[1:5])
            # Not torch.manual_seed, which would reset the GPU's generator as well.
            torch.default_generator.manual_seed(int(words[5]))
            if not wishes:
                return self.dataset[index]
            member, offset = locate(self.dataset, index)
            return member.prepare_data(offset, **wishes[0])


def members(dataset: Any) -> list[Any]:
    """Return the data sets inside wrappers and concatenations, in the order of their samples."""
    if hasattr(dataset, "datasets"):
        return [member for part in dataset.datasets for member in members(part)]
    return members(dataset.dataset) if hasattr(dataset, "dataset") else [dataset]


def locate(dataset: Any, index: int) -> tuple[Any, int]:
    """Return the member of a data set that holds a sample, and the sample's index in it."""
    for member in members(dataset):
        if index < len(member):
            return member, index
        index -= len(member)
    raise IndexError(index)
