"""Rare-class and class-uniform sampling: what the crops show, counted on real files."""

import json
import os

import numpy as np
import pytest
from mmengine.registry import init_default_scope

from ibn_seg.datasets.class_statistics import collect, label_statistics
from ibn_seg.datasets.gta5 import GTA5Dataset
from ibn_seg.engine.class_sampling import ClassUniformSampler, RareClassSampler
from ibn_seg.engine.sampling import SeededDataset, locate
from ibn_seg.errors import UserError
from ibn_seg.run.setup import register
from tests.helpers import image_for, raw_from_train_ids, write_image, write_palette

SIZE = (96, 64)
CAR, TRAIN, ROAD, SKY = 13, 16, 0, 10
LOAD = [dict(type="LoadRandomCrop", scale=SIZE, ratio_range=(0.8, 1.5), crop_size=(32, 32))]


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """Twelve frames of road and sky; a car in four of them, a train in one, both small."""
    register()
    init_default_scope("mmseg")
    root = tmp_path_factory.mktemp("gta5")
    for frame in range(1, 13):
        rng = np.random.default_rng(frame)
        train_ids = np.full((SIZE[1], SIZE[0]), ROAD, np.uint8)
        train_ids[:32] = SKY
        if frame % 3 == 0:
            train_ids[40:52, 8:24] = CAR
        if frame == 5:
            train_ids[36:48, 70:86] = TRAIN
        write_image(root / "images" / f"{frame:05}.png", image_for(train_ids, rng))
        write_palette(root / "labels" / f"{frame:05}.png", raw_from_train_ids(train_ids, rng))
    return root


def dataset(root, pipeline=LOAD):
    return GTA5Dataset(root, split="all", pipeline=pipeline)


def crops(sampler, data, count):
    """Return (key, label) of the first samples that a sampler asks for."""
    seeded = SeededDataset(data, seed=3)
    keys = iter(sampler)
    found = [next(keys) for _ in range(count)]
    return [(key, seeded[key]["gt_seg_map"]) for key in found]


def shares(labels):
    counts = np.bincount(np.concatenate([label.ravel() for label in labels]), minlength=19)
    return counts / counts.sum()


def plain_shares(root):
    data = dataset(root)
    np.random.seed(0)
    return shares([data[i % 12]["gt_seg_map"] for i in range(240)])


def test_statistics_of_a_label():
    label = np.full((30, 50), 255, np.uint8)
    label[2:5, 10:13] = CAR
    label[20:30, 40:50] = ROAD
    found = label_statistics(label, 19, tile=25)
    assert found.counts == [100 if c == ROAD else 9 if c == CAR else 0 for c in range(19)]
    # The road lies in two tiles: rows 20-24 in the upper, 25-29 in the lower.
    assert found.centroids == [[CAR, 3, 11], [ROAD, 22, 44], [ROAD, 27, 44]]


def test_statistics_are_kept_and_never_stale(root, tmp_path):
    path = tmp_path / "classes.json"
    data = dataset(root)
    infos = [data.get_data_info(i) for i in range(12)]
    seen = []
    first = collect(infos, path, progress=lambda *at: seen.append(at))
    assert seen[-1] == (12, 12)
    assert [label.counts[TRAIN] for label in first] == [192 if i == 4 else 0 for i in range(12)]
    again = []
    assert collect(infos, path, progress=lambda *at: again.append(at)) == first
    assert again == []
    os.utime(infos[0]["seg_map_path"], (5, 5))
    collect(infos, path, progress=lambda *at: again.append(at))
    assert again == [(12, 12)]
    few = GTA5Dataset(root, split="all", metainfo=dict(classes=("train", "car")))
    other = collect([few.get_data_info(i) for i in range(12)], path)
    assert other[4].counts[0] == 192, "another table, another count"
    assert len(json.loads(path.read_text())["labels"]) == 24


def test_statistics_in_several_processes_are_the_same(root, tmp_path):
    data = dataset(root)
    infos = [data.get_data_info(i) for i in range(12)]
    assert collect(infos, tmp_path / "a", workers=2) == collect(infos, tmp_path / "b")


def test_another_file_is_not_overwritten(root, tmp_path):
    path = tmp_path / "classes.json"
    path.write_text("[1]")
    with pytest.raises(UserError, match="not a file of class statistics"):
        RareClassSampler(dataset(root), 0, path)
    assert path.read_text() == "[1]"


def test_rare_classes_are_drawn_as_often_as_the_formula_says(root, tmp_path):
    sampler = RareClassSampler(
        dataset(root), 0, tmp_path / "classes.json", temperature=0.5, min_pixels=100
    )
    counts = np.zeros(19)
    counts[[ROAD, SKY, CAR, TRAIN]] = 12 * 32 * 96 - 4 * 192 - 192, 12 * 32 * 96, 4 * 192, 192
    expected = np.where(counts > 0, np.exp((1 - counts / counts.sum()) / 0.5), 0)
    expected /= expected.sum()
    assert np.allclose(sampler.probabilities, expected)
    keys = iter(sampler)
    drawn = [next(keys) for _ in range(4000)]
    found = np.bincount([key[2]["crop_class"][0] for key in drawn], minlength=19) / len(drawn)
    # Four standard deviations of a share of 4000 draws.
    assert np.abs(found - expected).max() < 4 * np.sqrt(0.25 / 4000)
    images = {
        label: {k[1] for k in drawn if k[2]["crop_class"][0] == label} for label in (CAR, TRAIN)
    }
    assert images == {CAR: {2, 5, 8, 11}, TRAIN: {4}}


def test_rare_class_crops_show_the_class(root, tmp_path):
    data = dataset(root)
    sampler = RareClassSampler(data, 0, tmp_path / "classes.json", min_pixels=100)
    found = crops(sampler, data, 120)
    # With the default temperature nearly every draw is of the two rare classes.
    assert sampler.probabilities[[CAR, TRAIN]].sum() > 0.99
    shown = [np.sum(label == key[2]["crop_class"][0]) > 50 for key, label in found]
    # One crop shows an object of 16x12 pixels in 20 % of cases, the best of eleven in over 90 %.
    assert np.mean(shown) > 0.85
    now, before = shares([label for _, label in found]), plain_shares(root)
    assert now[TRAIN] > 10 * before[TRAIN]
    assert now[CAR] > 3 * before[CAR]


def test_class_uniform_draws_every_class_alike(root, tmp_path):
    data = dataset(root)
    sampler = ClassUniformSampler(data, 0, tmp_path / "classes.json")
    found = crops(sampler, data, 400)
    centered = [(key, label) for key, label in found if len(key) == 3]
    assert abs(len(centered) / 400 - 0.5) < 4 * np.sqrt(0.25 / 400)
    classes = []
    for (_, index, wishes), label in centered:
        row, column = wishes["crop_center"]
        member, offset = locate(data, index)
        with_label = label_statistics_at(member, offset)
        classes.append(with_label[row, column])
        assert np.any(label == with_label[row, column]), "the crop misses the pixel"
    counts = np.bincount(classes, minlength=19)[[ROAD, SKY, CAR, TRAIN]]
    assert counts.sum() == len(centered)
    assert np.abs(counts / counts.sum() - 0.25).max() < 4 * np.sqrt(0.1875 / counts.sum())
    now, before = shares([label for _, label in found]), plain_shares(root)
    assert now[TRAIN] > 5 * before[TRAIN]
    rest = [key[1] for key, _ in found if len(key) == 2]
    assert set(rest) == set(range(12))


def label_statistics_at(member, offset):
    from ibn_seg.datasets.formats import read_values

    info = member.get_data_info(offset)
    return info["label_table"].train_ids[read_values(info["seg_map_path"])]


@pytest.mark.parametrize("kind", [RareClassSampler, ClassUniformSampler])
def test_any_rank_and_start_join_one_sequence(root, tmp_path, kind):
    more = dict(min_pixels=100) if kind is RareClassSampler else {}
    whole = kind(dataset(root), 7, tmp_path / "classes.json", **more)
    keys = iter(whole)
    sequence = [next(keys) for _ in range(60)]
    for rank in range(3):
        part = kind(dataset(root), 7, tmp_path / "classes.json", **more)
        part.rank, part.world_size, part.start = rank, 3, 5
        keys = iter(part)
        assert [next(keys) for _ in range(10)] == sequence[15 + rank : 45 : 3]


def test_refusals(root, tmp_path):
    data, path = dataset(root), tmp_path / "classes.json"
    with pytest.raises(UserError, match="no label has more than 99999 pixels"):
        RareClassSampler(data, 0, path, min_pixels=99999)
    with pytest.raises(UserError, match="temperature=0"):
        RareClassSampler(data, 0, path, temperature=0)
    with pytest.raises(UserError, match="share=2"):
        ClassUniformSampler(data, 0, path, share=2)
    with pytest.raises(UserError, match="range has no label table"):
        ClassUniformSampler(range(3), 0, path)
    ignoring = dataset(root, [dict(type="LoadImageFromFile"), dict(type="LoadUrbanLabels")])
    sampler = RareClassSampler(ignoring, 0, path, min_pixels=100)
    with pytest.raises(UserError, match="begin the pipeline with LoadRandomCrop"):
        SeededDataset(ignoring, 0)[next(iter(sampler))]
