"""Nested, seeded subsets: of names, and of data sets on disk."""

import shutil

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mmengine.registry import DATA_SAMPLERS

import ibn_seg.engine  # noqa: F401
from ibn_seg.datasets.cityscapes import RawCityscapesDataset
from ibn_seg.datasets.gta5 import GTA5Dataset
from ibn_seg.datasets.multi_domain import MultiDomainDataset
from ibn_seg.datasets.pairing import EXCLUDE_FILE
from ibn_seg.datasets.subset import subset, subset_size
from ibn_seg.errors import UserError
from tests.helpers import write_cityscapes, write_gta5

NAMES = st.lists(st.text(max_size=8), unique=True, min_size=1, max_size=60)
SHARES = st.floats(0, 1, exclude_min=True)
SEEDS = st.integers(0, 2**40)


@given(NAMES, SHARES, SHARES, SEEDS)
def test_a_smaller_share_lies_within_a_larger_one(names, one, other, seed):
    small, large = (set(subset(names, share, seed)) for share in sorted((one, other)))
    assert small <= large <= set(names)


@given(NAMES, SHARES, SEEDS)
def test_the_size_is_the_nearest_to_the_share(names, share, seed):
    size = len(subset(names, share, seed))
    assert size == subset_size(len(names), share) >= 1
    assert size == 1 or abs(size - share * len(names)) <= 0.5
    assert subset(names, 1.0, seed) == names


@given(NAMES, SHARES, SEEDS, st.randoms(use_true_random=False))
def test_the_order_of_names_does_not_matter(names, share, seed, random):
    shuffled = random.sample(names, len(names))
    chosen = subset(names, share, seed)
    assert set(subset(shuffled, share, seed)) == set(chosen)
    assert chosen == [name for name in names if name in chosen]


@given(NAMES, SHARES, SEEDS)
def test_a_name_that_goes_brings_in_no_more_than_one_other(names, share, seed):
    before, after = set(subset(names, share, seed)), set(subset(names[1:], share, seed))
    assert len(after - before) <= 1
    assert len(before - after - {names[0]}) <= 1


def test_seeds_choose_differently_and_all_alike_often():
    names = [f"{number:05}" for number in range(100)]
    chosen = [frozenset(subset(names, 0.1, seed)) for seed in range(400)]
    assert len(set(chosen)) == 400
    counts = [sum(name in one for one in chosen) for name in names]
    # Binomial(400, 0.1) has a standard deviation of 6.
    assert 40 - 5 * 6 < min(counts) < max(counts) < 40 + 5 * 6


def test_sizes_are_rounded_and_not_raised_by_floating_point():
    assert subset_size(100, 0.07) == 7
    assert subset_size(30, 0.1) == 3
    assert subset_size(2975, 0.01) == 30
    assert subset_size(20, 0.01) == 1
    assert subset_size(0, 0.5) == 0


def test_known_members():
    """The subset of a share and seed is part of every result: it may never change."""
    names = [f"{number:05}" for number in range(10)]
    assert subset(names, 0.3, 0) == ["00001", "00007", "00009"]
    assert subset(names, 0.3, 1) == ["00001", "00004", "00006"]


@pytest.fixture
def cityscapes(tmp_path):
    return write_cityscapes(tmp_path / "cityscapes", {"train": 20, "val": 4}, size=(8, 8))


def names_of(dataset):
    return [dataset.get_data_info(i)["img_path"].split("/")[-1] for i in range(len(dataset))]


def test_a_data_set_keeps_its_order_wherever_it_lies(cityscapes, tmp_path):
    whole = names_of(RawCityscapesDataset(cityscapes))
    part = names_of(RawCityscapesDataset(cityscapes, share=0.3, share_seed=5))
    assert len(part) == 6
    assert part == [name for name in whole if name in part]
    assert set(part) < set(names_of(RawCityscapesDataset(cityscapes, share=0.5, share_seed=5)))
    moved = shutil.copytree(cityscapes, tmp_path / "elsewhere")
    assert names_of(RawCityscapesDataset(moved, share=0.3, share_seed=5)) == part
    assert names_of(RawCityscapesDataset(cityscapes, share=0.3, share_seed=6)) != part


def test_excluded_files_are_left_out_first(cityscapes):
    before = names_of(RawCityscapesDataset(cityscapes, share=0.5))
    city = before[0].split("_")[0]
    (cityscapes / EXCLUDE_FILE).write_text(f"leftImg8bit/train/{city}/{before[0]}\n")
    after = names_of(RawCityscapesDataset(cityscapes, share=0.5))
    assert before[0] not in after
    assert len(after) == subset_size(19, 0.5)
    assert len(set(after) - set(before)) <= 1


def test_splits_and_strides_come_first(tmp_path):
    root = write_gta5(tmp_path / "gta5", (*range(1, 9), 201, 202, 203, 204), size=(8, 8))
    assert len(GTA5Dataset(root, every=2, share=0.5)) == 2
    held_out = GTA5Dataset(root, split="val", share=0.5)
    assert set(names_of(held_out)) < {"00201.png", "00202.png", "00203.png", "00204.png"}


@pytest.mark.parametrize("name", ["PositionSampler", "MixedSourceSampler"])
def test_samplers_draw_from_the_subset_alone(name, cityscapes, tmp_path):
    root = write_gta5(tmp_path / "gta5", range(1, 9), size=(8, 8))
    datasets = [
        dict(type="GTA5Dataset", data_root=str(root), share=0.5),
        dict(type="RawCityscapesDataset", data_root=str(cityscapes), share=0.1),
    ]
    joined = MultiDomainDataset(datasets)
    sampler = DATA_SAMPLERS.build(dict(type=name, dataset=joined, seed=0))
    drawn = {sampler.index(position) for position in range(400)}
    assert drawn == set(range(4 + 2))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"share": 0}, "share=0: allowed: above 0 and up to 1"),
        ({"share": -0.1}, "share=-0.1: allowed: above 0 and up to 1"),
        ({"share": 10}, "share=10: allowed: above 0 and up to 1; 10 % is 0.1"),
        ({"share": float("nan")}, "share=nan: allowed: above 0 and up to 1"),
        ({"share": True}, "share=True: allowed: above 0 and up to 1"),
        ({"share": "0.1"}, "share='0.1': allowed: above 0 and up to 1"),
        ({"share_seed": -1}, "share_seed=-1: allowed: whole numbers from 0"),
        ({"share_seed": 0.5}, "share_seed=0.5: allowed: whole numbers from 0"),
        (
            {"share": 0.5, "test_mode": True},
            "share=0.5 with test_mode: a share is for training; evaluate on the whole split",
        ),
    ],
)
def test_what_makes_no_sense_is_refused(options, message, cityscapes):
    with pytest.raises(UserError) as caught:
        RawCityscapesDataset(cityscapes, **options)
    assert str(caught.value) == f"RawCityscapesDataset: {message}"
