"""Batches for test-time methods: images of one domain each, in a seeded order."""

from collections.abc import Iterator, Sequence

import numpy as np
from mmengine.registry import DATA_SAMPLERS
from torch.utils.data import BatchSampler, Sampler

from ibn_seg.engine.sampling import members
from ibn_seg.errors import UserError


@DATA_SAMPLERS.register_module()
class DomainBatchSampler(BatchSampler):
    """Batches of images of one domain each, in an order that a seed decides.

    The domains keep their order. The last batch of a domain may be smaller.

    Args:
        sampler: The sampler whose indices are put into batches.
        batch_size: Images of a batch.
        drop_last: Has to be False: every image is scored.
        seed: The seed of the order; None keeps the sampler's order.

    Raises:
        UserError: `drop_last` is set.
    """

    def __init__(
        self,
        sampler: Sampler,
        batch_size: int,
        drop_last: bool = False,
        seed: int | None = 0,
    ) -> None:
        if drop_last:
            raise UserError("DomainBatchSampler: drop_last=True", "every image is scored")
        super().__init__(sampler, batch_size, drop_last)
        self.seed = seed

    def __iter__(self) -> Iterator[list[int]]:
        for number, indices in enumerate(self._by_domain()):
            order = np.arange(len(indices))
            if self.seed is not None:
                order = np.random.default_rng([self.seed, number]).permutation(order)
            for begin in range(0, len(order), self.batch_size):
                yield [indices[place] for place in order[begin : begin + self.batch_size]]

    def __len__(self) -> int:
        return sum(-(-len(indices) // self.batch_size) for indices in self._by_domain())

    def _by_domain(self) -> list[Sequence[int]]:
        """Return the sampler's indices by data set, in the order of the data sets."""
        lengths = [len(member) for member in members(self.sampler.dataset)]
        ends = np.cumsum(lengths)
        found: list[list[int]] = [[] for _ in lengths]
        for index in self.sampler:
            found[int(np.searchsorted(ends, index, side="right"))].append(index)
        return [indices for indices in found if indices]
