"""Which sample is trained on when, and with which augmentation, as pure functions of the seed.

Samples are numbered by their position in training: position p is the p-th sample that all ranks
together train on. The sample at p comes from a permutation given by (seed, p // length), its
augmentation from (seed, p). Hence resuming at any iteration needs no replay, and the number of
data workers or of ranks does not change what is trained on.
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


@lru_cache(maxsize=2)
def permutation(length: int, seed: int, epoch: int) -> np.ndarray:
    """Return the order in which an epoch visits the samples: a permutation of range(length)."""
    return np.random.default_rng([seed, epoch]).permutation(length)


@DATA_SAMPLERS.register_module()
class PositionSampler(Sampler):
    """Endless (position, index) pairs of this rank, beginning at any position.

    Args:
        dataset: The data set; only its length is used.
        seed: The seed that fixes the order.
        shuffle: Visit the samples in a new random order every epoch, else in their own.

    Attributes:
        start: How many samples of this rank are skipped.
    """

    def __init__(self, dataset: Dataset, seed: int, shuffle: bool = True) -> None:
        self.length = len(dataset)
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

    def __iter__(self) -> Iterator[tuple[int, int]]:
        position = self.start * self.world_size + self.rank
        while True:
            yield position, self.index(position)
            position += self.world_size

    def __len__(self) -> int:
        return max(1, self.length // self.world_size)


@DATASETS.register_module()
class SeededDataset(Dataset):
    """A data set whose random augmentation depends on (seed, position) alone.

    Args:
        dataset: The data set, or its config.
        seed: The seed of the run.
    """

    def __init__(self, dataset: Dataset | Mapping[str, Any], seed: int) -> None:
        self.dataset = DATASETS.build(dataset) if isinstance(dataset, Mapping) else dataset
        self.seed = seed

    def full_init(self) -> None:
        """Initialise the wrapped data set, where it does so lazily."""
        if hasattr(self.dataset, "full_init"):
            self.dataset.full_init()

    @property
    def metainfo(self) -> dict:
        """Classes and palette of the wrapped data set."""
        return getattr(self.dataset, "metainfo", {})

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, key: tuple[int, int]) -> Any:
        """Return the sample of a (position, index) pair."""
        position, index = key
        with preserved_random_state():
            words = np.random.SeedSequence([self.seed, position]).generate_state(6)
            random.seed(int(words[0]))
            np.random.seed(words[1:5])
            # Not torch.manual_seed, which would reset the GPU's generator as well.
            torch.default_generator.manual_seed(int(words[5]))
            return self.dataset[index]
