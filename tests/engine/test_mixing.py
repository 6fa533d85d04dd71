"""Mixing sources: exact shares, every sample in turn, the same for any start and rank."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils.data import ConcatDataset

from ibn_seg.engine.mixing import BLOCK, MixedSourceSampler
from ibn_seg.errors import UserError


class Source(list):
    def __init__(self, target, length):
        super().__init__(range(length))
        self.target = target


def sampler_of(lengths, weights=None, seed=0, rank=0, world=1, start=0):
    data = ConcatDataset([Source(f"s{i}", length) for i, length in enumerate(lengths)])
    sampler = MixedSourceSampler(data, seed, weights)
    sampler.rank, sampler.world_size, sampler.start = rank, world, start
    return sampler


def take(sampler, count):
    keys = iter(sampler)
    return [next(keys) for _ in range(count)]


def sources_of(lengths, indices):
    return np.searchsorted(np.cumsum(lengths), indices, side="right")


@settings(max_examples=30, deadline=None)
@given(
    lengths=st.lists(st.integers(1, 3000), min_size=1, max_size=4),
    seed=st.integers(0, 2**31),
    data=st.data(),
)
def test_shares_are_exact_in_every_block(lengths, seed, data):
    weight = st.floats(0, 100)
    weights = data.draw(st.lists(weight, min_size=len(lengths), max_size=len(lengths)).filter(sum))
    indices = [index for _, index in take(sampler_of(lengths, weights, seed), 2 * BLOCK)]
    for block in (indices[:BLOCK], indices[BLOCK:]):
        found = np.bincount(sources_of(lengths, block), minlength=len(lengths))
        assert np.abs(found - np.array(weights) / sum(weights) * BLOCK).max() < 1


def test_every_source_is_visited_evenly_whatever_its_size():
    lengths = (7, 400, 30)
    indices = np.array([i for _, i in take(sampler_of(lengths, (0.2, 0.5, 0.3)), 4 * BLOCK)])
    visits = np.bincount(indices, minlength=sum(lengths))
    for begin, length in zip(np.cumsum((0, *lengths)), lengths, strict=False):
        part = visits[begin : begin + length]
        assert part.max() - part.min() <= 1
    first = indices[sources_of(lengths, indices) == 1][:800]
    assert sorted(first[:400]) == sorted(first[400:]) == list(range(7, 407))
    assert list(first[:400]) != list(first[400:])


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**31), world=st.integers(1, 4), start=st.integers(0, 700))
def test_ranks_share_one_sequence_and_any_start_joins_it(seed, world, start):
    lengths, weights = (11, 23), (3, 1)
    whole = take(sampler_of(lengths, weights, seed), (start + 10) * world)
    for rank in range(world):
        part = take(sampler_of(lengths, weights, seed, rank, world, start), 10)
        assert part == whole[start * world + rank :: world]


def test_sources_are_mixed_within_a_block_and_seeds_differ():
    lengths = (50, 50)
    runs = {tuple(i for _, i in take(sampler_of(lengths, seed=seed), 100)) for seed in range(3)}
    assert len(runs) == 3
    assert all(30 < (np.array(run) < 50).sum() < 70 for run in runs)


def test_weights_by_name_and_default():
    by_name = sampler_of((5, 5), {"s1": 3, "s0": 1})
    assert by_name.counts == (250, 750)
    assert sampler_of((5, 5000)).counts == (500, 500)
    assert sampler_of((5, 5, 5)).counts == (334, 333, 333)


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ({"s0": 1, "s2": 1}, r"unknown source in MixedSourceSampler.weights 's2'"),
        ({"s0": 1}, "no weight for s1"),
        ([1], "1 weights for 2 sources"),
        ([0, 0], "not all 0"),
        ([-1, 2], "numbers from 0"),
        ([float("nan"), 2], "numbers from 0"),
        (["a", 2], "numbers from 0"),
    ],
)
def test_bad_weights(weights, message):
    with pytest.raises(UserError, match=message):
        sampler_of((5, 5), weights)
