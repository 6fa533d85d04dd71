"""The embedded camera networks: layout, people, resuming, and that they stay as they are."""

import collections
import dataclasses

import numpy as np
import pytest
from PIL import Image

from ibn_seg.errors import UserError
from ibn_seg.reid.set_numbers import part_numbers, unmatched
from ibn_seg.reid.sets.all_sets import picture_set
from ibn_seg.scenes.camera_networks.cast import CastPlan, cast
from ibn_seg.scenes.camera_networks.sightings import Sighting
from ibn_seg.scenes.camera_networks.write_networks import crops, write_camera_networks
from tests.scenes import golden_cameras

SMALL = CastPlan(train=3, test=3, cameras=3, crops=2, distractors=4, junk=4)


@pytest.fixture(scope="module")
def networks(tmp_path_factory):
    return write_camera_networks(tmp_path_factory.mktemp("cameras"), SMALL)


def test_pictures_are_those_of_the_published_numbers():
    assert golden_cameras.current() == golden_cameras.stored()


def test_the_reader_of_market_1501_reads_them(networks):
    for network, root in networks.items():
        data = picture_set(f"cameras_{network}", root)
        query, gallery = data.pictures("query"), data.pictures("gallery")
        numbers = part_numbers(gallery, data.CARD)
        assert (numbers.junk, numbers.distractors, numbers.identities) == (4, 4, 3)
        assert numbers.doubled > 1
        assert part_numbers(query, data.CARD).doubled > 0
        assert unmatched(query, gallery) == []
        assert len(picture_set("market1501", root).pictures("train")) == len(data.pictures("train"))
        assert (root / "query" / "Thumbs.db").is_file()
        with Image.open(query[0].path) as picture:
            assert (picture.format, picture.size) == ("JPEG", (64, 128))


def test_nobody_is_in_both_networks_or_in_training_and_test():
    people = []
    for network in ("source", "target"):
        parts = collections.defaultdict(set)
        for name, sighting in cast(network, 0, CastPlan()):
            if sighting.kind == "person":
                parts[name.startswith("bounding_box_train")].add(sighting.identity)
        people += parts.values()
    assert sum(map(len, people)) == len(set.union(*people)) == 2 * (200 + 150)


def test_names_occur_once_and_everybody_is_seen_by_two_cameras():
    listed = list(cast("source", 0, CastPlan()))
    names = [name for name, _ in listed]
    assert len(set(names)) == len(names)
    cameras = collections.defaultdict(set)
    for _, sighting in listed:
        if sighting.kind == "person":
            cameras[sighting.identity].add(sighting.camera)
    counts = np.array([len(seen) for seen in cameras.values()])
    assert counts.min() == 2
    # Seven in ten of six cameras, and a little more because of the least two.
    assert 4.0 < counts.mean() < 4.4


def test_more_people_and_cameras_leave_the_others():
    more = dataclasses.replace(SMALL, train=5, cameras=4)
    small, large = (set(cast("target", 0, plan)) for plan in (SMALL, more))
    trained = {one for one in small if one[0].startswith("bounding_box_train")}
    assert trained < large


def test_a_person_keeps_the_clothes_and_the_seed_changes_them():
    one, other, stranger = (
        Sighting("person", 5, 0, 0), Sighting("person", 5, 0, 1), Sighting("person", 6, 0, 0)
    )  # fmt: skip
    seen = crops("source", [one, other, stranger, one])
    assert np.array_equal(seen[0], seen[3])
    assert not np.array_equal(seen[0], seen[1])
    assert not np.array_equal(seen[0], crops("source", [one], seed=1)[0])


def test_a_second_call_goes_on_and_other_sizes_are_refused(tmp_path):
    told = []
    write_camera_networks(tmp_path, SMALL, networks=["source"])
    first = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.jpg")}
    gone = next(iter(first))
    gone.unlink()
    write_camera_networks(tmp_path, SMALL, networks=["source"], progress=lambda *n: told.append(n))
    assert told[-1] == (len(first), len(first))
    again = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.jpg")}
    assert again.keys() == first.keys()
    assert [path for path in first if again[path] != first[path]] == [gone]
    with pytest.raises(UserError, match="other parameters \\(train 3 instead of 4\\)"):
        write_camera_networks(tmp_path, dataclasses.replace(SMALL, train=4))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        ({"plan": CastPlan(cameras=1)}, "cameras = 1"),
        ({"networks": ["night"]}, "unknown camera network 'night'"),
        ({"seed": -1}, "seed = -1"),
    ],
)
def test_wrong_use_is_one_line(call, message, tmp_path):
    with pytest.raises(UserError, match=message):
        write_camera_networks(tmp_path, **call)
    assert list(tmp_path.iterdir()) == []
