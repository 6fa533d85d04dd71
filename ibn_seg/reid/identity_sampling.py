"""Batches of P identities with K images each, as functions of the seed.

The rules of BoT's sampler, with an order that depends on seed and epoch alone:

- The images of each identity are shuffled and cut into groups of K. The rest is dropped for this
  epoch. An identity with fewer than K images gets K draws with replacement.
- While P identities have a group left, P of them are drawn evenly and give their next group.
"""

import bisect
from collections.abc import Iterator, Sequence

import numpy as np
from mmengine.registry import DATA_SAMPLERS
from torch.utils.data import Dataset

from ibn_seg.engine.sampling import PositionSampler
from ibn_seg.errors import UserError


def identity_batches(
    labels: Sequence[int], identities: int, images: int, seed: int, epoch: int
) -> np.ndarray:
    """Return the batches of an epoch: (batches, P * K) indices of images.

    Args:
        labels: (N,) identity of each image.
        identities: P, identities of a batch.
        images: K, images of each identity; they stand side by side.
        seed: The seed.
        epoch: The epoch, from 0.

    Raises:
        UserError: There are fewer than P identities.
    """
    generator = np.random.default_rng([seed, epoch])
    groups = _groups(np.asarray(labels), images, generator)
    check_identities(len(groups), identities)
    left = np.array([len(group) for group in groups])
    batches = []
    while np.count_nonzero(left) >= identities:
        chosen = generator.choice(np.flatnonzero(left), identities, replace=False)
        batches.append(np.concatenate([groups[one][left[one] - 1] for one in chosen]))
        left[chosen] -= 1
    return np.array(batches)


def check_identities(there: int, identities: int) -> None:
    """Raise a `UserError` if there are fewer identities than a batch holds."""
    if there < identities:
        raise UserError(
            f"a batch of {identities} identities, but only {there} are in the training pictures",
            "lower the number of identities of a batch",
        )


def upper_bound(labels: Sequence[int], images: int) -> int:
    """Return the most images that an epoch can draw: all whole groups of `images` images."""
    counts = np.unique(labels, return_counts=True)[1]
    return int((np.maximum(counts, images) // images * images).sum())


def _groups(labels: np.ndarray, images: int, generator: np.random.Generator) -> list[np.ndarray]:
    """Return the shuffled groups of each identity, (groups, K) indices."""
    order = np.argsort(labels, kind="stable")
    starts = np.unique(labels[order], return_index=True)[1]
    groups = []
    for mine in np.split(order, starts[1:]):
        if len(mine) < images:
            drawn = generator.choice(mine, images, replace=True)
        else:
            drawn = generator.permutation(mine)[: len(mine) // images * images]
        groups.append(drawn.reshape(-1, images))
    return groups


@DATA_SAMPLERS.register_module()
class IdentitySampler(PositionSampler):
    """Endless (position, index) pairs whose batches have P identities with K images each.

    Every rank takes whole batches in turn, so that each has P identities with K images.

    Args:
        dataset: The data set; `labels` of it, or of the data set inside `SeededDataset`, has the
            identity of each image.
        seed: The seed that fixes the batches.
        identities: P, identities of a batch.
        images: K, images of each identity.

    Raises:
        UserError: There are fewer than P identities.
    """

    def __init__(self, dataset: Dataset, seed: int, identities: int = 16, images: int = 4) -> None:
        super().__init__(dataset, seed)
        self.labels = np.asarray(getattr(dataset, "dataset", dataset).labels)
        check_identities(len(np.unique(self.labels)), identities)
        self.identities, self.images = identities, images
        # First batch of each epoch that was looked at so far; epochs differ in length. Resuming
        # replaces the seed, so it is kept beside them.
        self._begins: tuple[int, list[int]] = (seed, [0])
        self._batches: tuple[tuple[int, int], np.ndarray] = ((seed, -1), np.zeros((0, 0), int))

    @property
    def batch_size(self) -> int:
        """Images of a batch, P * K."""
        return self.identities * self.images

    def index(self, position: int) -> int:
        """Return the index in the data set of the sample at a position."""
        batch, offset = divmod(position, self.batch_size)
        if self._begins[0] != self.seed:
            self._begins = self.seed, [0]
        begins = self._begins[1]
        while begins[-1] <= batch:
            begins.append(begins[-1] + len(self._epoch(len(begins) - 1)))
        epoch = bisect.bisect_right(begins, batch) - 1
        return int(self._epoch(epoch)[batch - begins[epoch], offset])

    def __iter__(self) -> Iterator[tuple]:
        place = self.start
        while True:
            batch, offset = divmod(place, self.batch_size)
            turn = batch * self.world_size + self.rank
            yield self.key(turn * self.batch_size + offset)
            place += 1

    def __len__(self) -> int:
        return max(1, len(self._epoch(0)) // self.world_size) * self.batch_size

    def _epoch(self, epoch: int) -> np.ndarray:
        """Return the batches of an epoch; the last one asked for is kept."""
        if self._batches[0] != (self.seed, epoch):
            found = identity_batches(self.labels, self.identities, self.images, self.seed, epoch)
            self._batches = (self.seed, epoch), found
        return self._batches[1]
