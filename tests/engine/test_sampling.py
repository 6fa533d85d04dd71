import random

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils.data import DataLoader

from ibn_seg.engine.sampling import PositionSampler, SeededDataset
from ibn_seg.errors import UserError
from tests.engine.toys import ToyNoise


def sampler_of(length, seed=0, rank=0, world=1, start=0):
    sampler = PositionSampler(range(length), seed)
    sampler.rank, sampler.world_size, sampler.start = rank, world, start
    return sampler


def take(sampler, count):
    pairs = iter(sampler)
    return [next(pairs) for _ in range(count)]


@settings(max_examples=50, deadline=None)
@given(
    length=st.integers(1, 40), seed=st.integers(0, 2**31), world=st.integers(1, 4),
    start=st.integers(0, 100),
)  # fmt: skip
def test_ranks_share_one_sequence_and_any_start_joins_it(length, seed, world, start):
    whole = take(sampler_of(length, seed), (start + 10) * world)
    for rank in range(world):
        part = take(sampler_of(length, seed, rank, world, start), 10)
        assert part == whole[start * world + rank :: world]


@settings(max_examples=30, deadline=None)
@given(length=st.integers(1, 40), seed=st.integers(0, 2**31))
def test_every_epoch_visits_each_sample_once(length, seed):
    indices = [index for _, index in take(sampler_of(length, seed), 3 * length)]
    for epoch in range(3):
        assert sorted(indices[epoch * length : (epoch + 1) * length]) == list(range(length))


def test_epochs_and_seeds_differ_in_order():
    orders = {
        tuple(index for _, index in take(sampler_of(50, seed, start=start), 50))
        for seed in (0, 1)
        for start in (0, 50)
    }
    assert len(orders) == 4


def test_without_shuffle_the_order_is_that_of_the_data():
    sampler = PositionSampler(range(3), 0, shuffle=False)
    assert [index for _, index in take(sampler, 7)] == [0, 1, 2, 0, 1, 2, 0]


def test_augmentation_depends_on_seed_and_position_only():
    data = SeededDataset(ToyNoise(), seed=1)
    np.random.seed(5)
    first = data[7, 2]["inputs"]
    torch.manual_seed(9)
    random.random()
    assert torch.equal(data[7, 2]["inputs"], first)
    assert not torch.equal(data[8, 2]["inputs"], first)
    assert not torch.equal(SeededDataset(ToyNoise(), seed=2)[7, 2]["inputs"], first)


def test_reading_a_sample_leaves_the_generators_alone():
    data = SeededDataset(ToyNoise(), seed=1)
    states = (random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist())
    _ = data[7, 2]
    after = (random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist())
    assert states == after


@pytest.mark.parametrize("workers", [1, 2])
def test_workers_do_not_change_the_samples(workers):
    def batches(num_workers):
        data = SeededDataset(ToyNoise(), seed=1)
        loader = DataLoader(data, 4, sampler=PositionSampler(data, 1), num_workers=num_workers)
        iterator = iter(loader)
        return [next(iterator)["inputs"] for _ in range(5)]

    for here, there in zip(batches(0), batches(workers), strict=True):
        assert torch.equal(here, there)


def test_a_data_set_without_samples_is_refused():
    with pytest.raises(UserError, match="has no samples"):
        PositionSampler([], seed=0)
