"""Train on several sources, each with its share of the samples."""

from collections.abc import Mapping, Sequence
from functools import lru_cache

import numpy as np
from mmengine.registry import DATA_SAMPLERS
from torch.utils.data import Dataset

from ibn_seg.engine.sampling import PositionSampler, members
from ibn_seg.errors import UserError, unknown

# Shares hold exactly in every block of so many samples, and are rounded to this.
BLOCK = 1000


@DATA_SAMPLERS.register_module()
class MixedSourceSampler(PositionSampler):
    """Draw from each member of a `MultiDomainDataset` with its own share.

    The shares hold exactly in every 1,000 samples of all ranks together. Each source has its own
    order: every sample comes once before any comes again, however large the other sources are.

    Args:
        dataset: Several data sets in one.
        seed: The seed that fixes the order.
        weights: Their relative shares, in their order or by the names of their domains. Default:
            equal shares.

    Raises:
        UserError: The weights do not fit the data sets.
    """

    def __init__(
        self,
        dataset: Dataset,
        seed: int,
        weights: Sequence[float] | Mapping[str, float] | None = None,
    ) -> None:
        super().__init__(dataset, seed)
        sources = members(dataset)
        names = [getattr(source, "target", str(i)) for i, source in enumerate(sources)]
        self.lengths = tuple(len(source) for source in sources)
        self.starts = np.cumsum([0, *self.lengths[:-1]])
        self.counts = _shares(_by_source(weights, names))

    def index(self, position: int) -> int:
        """Return the index in the data set of the sample at a position."""
        block, offset = divmod(position, BLOCK)
        sources, places = _block(self.counts, self.seed, block)
        source = int(sources[offset])
        number = block * self.counts[source] + int(places[offset])
        epoch, place = divmod(number, self.lengths[source])
        order = _order(self.lengths[source], self.seed, source, epoch)
        return int(self.starts[source] + order[place])


@lru_cache(maxsize=4)
def _block(counts: tuple[int, ...], seed: int, block: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the source of each sample of a block, and its number among that source's samples."""
    sources = np.repeat(np.arange(len(counts)), counts)
    # Three words, so that no other order in this module or in `sampling` has the same seed.
    sources = np.random.default_rng([seed, block, len(counts)]).permutation(sources)
    places = np.empty(len(sources), np.int64)
    for source, count in enumerate(counts):
        places[sources == source] = np.arange(count)
    return sources, places


@lru_cache(maxsize=32)
def _order(length: int, seed: int, source: int, epoch: int) -> np.ndarray:
    return np.random.default_rng([seed, source, epoch, 0]).permutation(length)


def _by_source(
    weights: Sequence[float] | Mapping[str, float] | None, names: Sequence[str]
) -> list[float]:
    """Return the weights in the order of the sources."""
    if weights is None:
        return [1.0] * len(names)
    if isinstance(weights, Mapping):
        for name in weights:
            if name not in names:
                raise unknown("source in MixedSourceSampler.weights", name, names)
        missing = [name for name in names if name not in weights]
        if missing:
            raise UserError(
                f"MixedSourceSampler: no weight for {', '.join(missing)}", "0 leaves a source out"
            )
        weights = [weights[name] for name in names]
    if len(weights) != len(names):
        raise UserError(
            f"MixedSourceSampler: {len(weights)} weights for {len(names)} sources",
            f"give one for each of {', '.join(names)}",
        )
    numbers = all(isinstance(weight, (int, float)) for weight in weights)
    if not numbers or not all(0 <= weight < np.inf for weight in weights) or not sum(weights):
        raise UserError(
            f"MixedSourceSampler: weights={list(weights)}", "allowed: numbers from 0, not all 0"
        )
    return list(weights)


def _shares(weights: Sequence[float]) -> tuple[int, ...]:
    """Return each source's number of `BLOCK` samples: rounded down, the largest rests up."""
    exact = np.asarray(weights, float) / np.sum(weights) * BLOCK
    counts = np.floor(exact).astype(int)
    rest = np.argsort(counts - exact, kind="stable")[: BLOCK - counts.sum()]
    counts[rest] += 1
    return tuple(int(count) for count in counts)
