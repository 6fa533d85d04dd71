"""Maps of classes to groups: merging against plain loops, the known maps, and each fault."""

import numpy as np
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from ibn_seg.datasets.class_map import ClassMap, identity, parse_map, read_map
from ibn_seg.datasets.known_classes import SPACES, known_map, map_of, space_of
from ibn_seg.errors import UserError

CLASSES, GROUPS = ("road", "parking", "wall", "sky"), ("flat", "high")
GOOD = {"groups": {"flat": ["road", "parking"], "high": ["wall"]}, "none": ["sky"]}

# The group of each trainId, from the table in the data's README.
TO_CAMVID = (3, 4, 1, 1, 7, 2, 6, 6, 5, 5, 0, 9, 10, 8, 8, 8, 8, 10, 10)
TO_IDD_LITE = (0, 1, 5, 4, 4, 4, 4, 4, 5, 1, 6, 2, 2, 3, 3, 3, 3, 3, 3)
# By cityscapesScripts' helpers/labels.py.
TO_CATEGORIES = (0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 4, 5, 5, 6, 6, 6, 6, 6, 6)
# From the issue: fixed before any training.
CAMVID_TO_IDD_LITE = {
    "sky": 6, "building": 5, "pole": 4, "road": 0, "pavement": 1, "tree": 5, "sign": 4, "fence": 4,
    "car": 3, "pedestrian": 2, "bicyclist": 2,
}  # fmt: skip


def line_of(action) -> str:
    with pytest.raises(UserError) as caught:
        action()
    assert "\n" not in caught.value.line
    return caught.value.line


@st.composite
def drawn(draw):
    """A map of any classes to any groups; groups may be empty."""
    count, groups = draw(st.integers(1, 9)), draw(st.integers(1, 6))
    of = draw(st.lists(st.none() | st.integers(0, groups - 1), min_size=count, max_size=count))
    return ClassMap(
        tuple(f"c{at}" for at in range(count)), tuple(f"g{at}" for at in range(groups)), tuple(of)
    )


@settings(deadline=None)
@given(drawn(), st.integers(0, 2**32 - 1))
def test_merging_is_what_plain_loops_add_up(mapping, seed):
    rng = np.random.default_rng(seed)
    groups, count = len(mapping.groups), len(mapping.classes)
    counts = rng.integers(0, 2**40, (3, groups + 1, count))
    expected = np.zeros((3, groups + 1, groups + 1), np.int64)
    for image in range(3):
        for row in range(groups + 1):
            for column in range(count):
                group = mapping.group_of[column]
                expected[image, row, groups if group is None else group] += counts[
                    image, row, column
                ]
    assert np.array_equal(mapping.merge_columns(counts), expected)
    labels = rng.integers(0, 2**40, (3, count, 5))
    merged = np.zeros((3, groups + 1, 5), np.int64)
    for row in range(count):
        group = mapping.group_of[row]
        merged[:, groups if group is None else group] += labels[:, row]
    assert np.array_equal(mapping.merge_labels(labels), merged)


@settings(deadline=None)
@given(drawn())
def test_a_map_comes_back_from_what_it_is_written_as(tmp_path_factory, mapping):
    written = mapping.to_dict()
    assert parse_map(written, mapping.classes, mapping.groups, "map") == mapping
    path = tmp_path_factory.mktemp("map") / "map.yaml"
    path.write_text(yaml.safe_dump(written))
    assert read_map(path, mapping.classes, mapping.groups) == mapping
    assert map_of(str(path), mapping.classes, space_like(mapping.groups)) == mapping
    for at, group in enumerate(mapping.group_of):
        assert mapping.lookup[at] == (255 if group is None else group)
    assert (mapping.lookup[len(mapping.classes) :] == 255).all()
    none = [name for name, g in zip(mapping.classes, mapping.group_of, strict=True) if g is None]
    assert list(mapping.without_group) == none


def space_like(groups):
    """Return a space of these groups, which may be fewer than a space has."""

    class Space:
        classes = groups

    return Space()


def test_identity():
    mapping = identity(CLASSES)
    counts = np.arange(20).reshape(5, 4)
    assert np.array_equal(mapping.merge_columns(counts), np.pad(counts, ((0, 0), (0, 1))))


@pytest.mark.parametrize(
    ("target", "groups"),
    [("camvid", TO_CAMVID), ("idd_lite", TO_IDD_LITE), ("cityscapes_categories", TO_CATEGORIES)],
)
def test_known_maps_are_those_of_the_sources(target, groups):
    mapping = known_map(SPACES["cityscapes"].classes, SPACES[target])
    assert mapping.group_of == groups
    assert mapping.groups == SPACES[target].classes
    twenty = known_map(SPACES["cityscapes_background"].classes, SPACES[target])
    assert twenty.group_of == (*groups, None)
    assert twenty.without_group == ("background",)


def test_the_map_of_camvid_to_idd_lite():
    mapping = known_map(SPACES["camvid"].classes, SPACES["idd_lite"])
    assert dict(zip(mapping.classes, mapping.group_of, strict=True)) == CAMVID_TO_IDD_LITE


def test_twenty_outputs_on_cityscapes_itself():
    mapping = known_map(SPACES["cityscapes_background"].classes, SPACES["cityscapes"])
    assert mapping.group_of == (*range(19), None)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda g: g["groups"]["flat"].append("rood"), "unknown class in map 'rood': did you mean"),
        (lambda g: g["groups"]["high"].append("road"), "map: road is mapped twice: name it once"),
        (lambda g: g["none"].append("road"), "map: road is mapped twice: name it once"),
        (lambda g: g["groups"]["flat"].append("road"), "map: road is mapped twice"),
        (lambda g: g.pop("none"), "map: sky without a group: add each to a group, or write none"),
        (lambda g: g["groups"].update(flats=[]), "unknown group in map 'flats': did you mean"),
        (lambda g: g.update(non=[]), "unknown key of map 'non': did you mean 'none'"),
        (lambda g: g["groups"].update(flat="road"), "map: flat is 'road': write a list"),
        (lambda g: g["groups"].update(flat=None), "map: flat is None: write a list"),
        (lambda g: g.update(none=False), "map: none is False: write a list of classes"),
        (lambda g: g.pop("groups"), "map: no map of classes: write groups"),
    ],
)
def test_faults_of_a_map(change, words):
    given_map = {"groups": {k: list(v) for k, v in GOOD["groups"].items()}, "none": ["sky"]}
    assert parse_map(given_map, CLASSES, GROUPS, "map").group_of == (0, 0, 1, None)
    change(given_map)
    assert words in line_of(lambda: parse_map(given_map, CLASSES, GROUPS, "map"))


def test_the_advice_on_classes_without_a_group_can_be_copied():
    odd = ("x, y: z", "[wall]", "no", "7", 'a "b"', "stra\u00dfe", "traffic light", "a # b", "-")
    line = line_of(lambda: parse_map({"groups": {}}, odd, GROUPS, "map"))
    assert yaml.safe_load(line.partition("or write ")[2]) == {"none": list(odd)}


def test_faults_of_a_file(tmp_path):
    path = tmp_path / "map.yaml"
    assert "map.yaml" in line_of(lambda: read_map(path, CLASSES, GROUPS))
    path.write_text("[road]")
    assert f"{path}: no map of classes" in line_of(lambda: read_map(path, CLASSES, GROUPS))
    path.write_text("groups: {flat: [road, parkin, wall, sky]}")
    line = line_of(lambda: read_map(path, CLASSES, GROUPS))
    assert line.startswith(f"unknown class in {path} 'parkin': did you mean 'parking'")


def test_no_map_is_known():
    """The line says which classes differ, and what to do."""
    line = line_of(lambda: map_of(None, ("grass", "path"), SPACES["camvid"]))
    assert line == (
        "a network of 2 classes for labels of camvid (11 classes): it has 'grass', 'path' and "
        "lacks 'sky', 'building', 'pole', ...: give a map by --map FILE, in a config by "
        "maps= of its evaluator, or train a head of the labels' classes"
    )
    other = tuple(reversed(SPACES["camvid"].classes))
    assert "their order differs" in line_of(lambda: known_map(other, SPACES["camvid"]))
    # A space of one's own that has the name of a known one is another space.
    mine = space_of({"name": "camvid", "classes": ["a", "b"]})
    assert "2 classes" in line_of(lambda: known_map(SPACES["cityscapes"].classes, mine))
    wrong = identity(CLASSES)
    assert "a map of other classes or groups" in line_of(
        lambda: map_of(wrong, CLASSES, SPACES["camvid"])
    )
