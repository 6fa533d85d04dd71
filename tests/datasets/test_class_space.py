"""Class spaces: what a config or a YAML file gives, and each fault of it in one line."""

import re
from pathlib import Path

import numpy as np
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from ibn_seg.datasets.class_space import ClassSpace, made_palette, parse_space, read_space
from ibn_seg.datasets.known_classes import CAMVID, CITYSCAPES, SPACES, space_of
from ibn_seg.datasets.labels import color_table, space_table
from ibn_seg.errors import UserError

COLORS = ((9, 0, 0), (0, 9, 0), (0, 0, 9))


def line_of(action) -> str:
    with pytest.raises(UserError) as caught:
        action()
    assert "\n" not in caught.value.line
    return caught.value.line


@st.composite
def drawn(draw):
    """A space as a user may write it: distinct names, and values, colours and void or not."""
    count = draw(st.integers(2, 40))
    pool = draw(st.permutations(range(256)))
    void_count = draw(st.integers(0, 4))
    void, pool = pool[:void_count], pool[void_count:]
    classes, at = [], 0
    for index in range(count):
        number = draw(st.integers(1, 3))
        entry = {"name": f"class {index}", "values": list(pool[at : at + number])}
        at += number
        if draw(st.booleans()):
            entry["color"] = [index, 255 - index, 7]
        classes.append(entry)
    return {"name": "drawn", "classes": classes, "void": list(void), "void_colors": [[1, 2, 3]]}


@settings(deadline=None, max_examples=60)
@given(drawn())
def test_every_value_has_its_class_and_every_class_its_colour(tmp_path_factory, given_space):
    path = tmp_path_factory.mktemp("space") / "drawn.yaml"
    path.write_text(yaml.safe_dump(given_space))
    space = read_space(path)
    assert space == parse_space(given_space, "classes")
    assert len(set(space.palette)) == len(space) == len(given_space["classes"])
    table = space_table(space)
    for value in range(256):
        owners = [k for k, one in enumerate(given_space["classes"]) if value in one["values"]]
        known = bool(owners) or value in given_space["void"]
        assert table.known[value] == known
        assert table.train_ids[value] == (owners[0] if owners else 255)
    for index, entry in enumerate(given_space["classes"]):
        assert space.colors[index].tolist() == entry.get("color", list(space.palette[index]))
    assert not space.colors[len(space) :].any()


def test_masks_of_0_and_255_have_no_void():
    mask = {"classes": ["ground", {"name": "tree", "values": [255]}]}
    assert "write it once; void: [] ignores nothing" in line_of(lambda: space_of(mask))
    table = space_table(space_of({**mask, "void": []}))
    assert (table.train_ids[[0, 255]].tolist(), table.known.sum()) == ([0, 1], 2)


def test_a_space_at_an_end_is_no_fault():
    """mmseg's ADE20K has a class 'bed '."""
    assert space_of(["bed ", "wall"]).classes == ("bed ", "wall")


def test_colours_may_be_lists():
    assert ClassSpace("x", ("a", "b"), [[1, 2, 3], [4, 5, 6]]).palette == ((1, 2, 3), (4, 5, 6))


def test_a_list_of_names_is_enough():
    space = space_of(["grass", "path"])
    assert space.classes == ("grass", "path")
    assert (space.values, space.void, len(set(space.palette))) == (((0,), (1,)), (255,), 2)
    assert space_table(space).allowed == "0..1 and 255"
    assert space.metainfo() == {
        "classes": ("grass", "path"), "palette": [list(one) for one in space.palette],
    }  # fmt: skip


def test_the_example_of_the_module(tmp_path):
    from ibn_seg.datasets import class_space

    example = class_space.__doc__.split("YAML file:\n")[1].split("\nNeeds numpy")[0]
    path = tmp_path / "mine.yaml"
    path.write_text(example.replace("\n    ", "\n").lstrip())
    space = read_space(path)
    assert (space.name, space.classes) == ("yard", ("grass", "path"))
    assert space.values == ((0,), (3, 4))
    assert space.palette[1] == (128, 64, 128)
    table = color_table(space)
    assert table.colors.tolist() == [list(space.palette[0]), [128, 64, 128], [0, 0, 0]]
    assert table.train_ids[:3].tolist() == [0, 1, 255]


def test_the_file_s_name_is_the_default_name_and_colours_may_be_hexadecimal(tmp_path):
    path = tmp_path / "garden.yml"
    path.write_text("classes: [{name: a, color: '#0A0b0C'}, b]\n")
    space = space_of(str(path))
    assert (space.name, space.palette[0]) == ("garden", (10, 11, 12))
    assert space_of(str(path.rename(tmp_path / "GARDEN.YML"))).classes == ("a", "b")


def test_spaces_are_the_same_if_their_names_are():
    names = ("a", "b")
    assert ClassSpace("x", names, COLORS[:2]) == ClassSpace("x", names, COLORS[1:])
    assert ClassSpace("x", names, COLORS[:2]) != ClassSpace("x", names[::-1], COLORS[:2])


@given(st.integers(0, 255))
def test_made_colours_are_distinct_and_the_same_for_more_classes(count):
    colors = made_palette(count)
    assert len(set(colors)) == count
    assert made_palette(255)[:count] == colors


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"classes": ("a", "b", "a")}, "two classes are named 'a'"),
        ({"classes": ("a", "", "c")}, "class 1 has no name"),
        ({"classes": ("a", 3, "c")}, "class 1 is named 3, which is no text: write its name in"),
        ({"classes": ("a", "b\nc", "c")}, r"class 1 is named 'b\nc', with a line break"),
        ({"classes": ("a", "b\u2028c", "c")}, "with a line break or a control character"),
        ({"palette": (COLORS[0], COLORS[1], COLORS[0])}, r"'a' and 'c' have the same colour"),
        ({"void_colors": (COLORS[2],)}, r"'c' and 'void' have the same colour [0, 0, 9]"),
        ({"palette": COLORS[:2]}, "2 colours for 3 classes"),
        ({"values": ((0,), (1,))}, "2 lists of label values for 3 classes: give one per class"),
        ({"classes": ("a", "c", "a ")}, "two classes are named 'a': give each a name of its own"),
        ({"classes": ("a", "caf\u00e9", "cafe\u0301")}, "two classes are named 'caf\u00e9'"),
        ({"values": ((0,), (256,), (2,))}, "label value 256: allowed: 0..255"),
        ({"values": ((0,), (-1,), (2,))}, "label value -1: allowed: 0..255"),
        ({"values": ((0,), (1, 4), (4,))}, "the label value 4 is 'b' and 'c': write it once"),
        ({"values": ((0, 0), (1,), (2,))}, "the label value 0 is 'a' and 'a'"),
        ({"void": (2, 255)}, "2 is 'c' and 'void': write it once; void: [] ignores nothing"),
        ({"void": (9, 9)}, "the label value 9 is 'void' and 'void': write it once"),
    ],
)
def test_faults_of_a_space(changes, words):
    arguments = {"name": "mine", "classes": ("a", "b", "c"), "palette": COLORS, **changes}
    line = line_of(lambda: ClassSpace(**arguments))
    assert line.startswith("class space 'mine': ")
    assert words in line


@pytest.mark.parametrize("count", [0, 1, 256])
def test_too_few_or_too_many_classes(count):
    line = line_of(lambda: space_of([f"c{at}" for at in range(count)]))
    assert f"{count} classes: name 2 to 255" in line
    assert len(space_of([f"c{at}" for at in range(255)])) == 255


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("classes: [a, b, a]", "two classes are named 'a'"),
        ("classes: [{name: a, color: [1, 2, 3]}, {name: b, color: [1, 2, 3]}]", "same colour"),
        ("clases: [a, b]", "unknown key of FILE 'clases': did you mean 'classes'?"),
        ("classes: [{nam: a}, b]", "unknown key of FILE: class 0 'nam': did you mean 'name'?"),
        ("classes: a, b", "FILE: classes is 'a, b': give a list of class names"),
        ("name: x", "FILE: classes is None"),
        ("- a\n- b\n- a", "two classes are named 'a'"),
        ("classes: [{name: a, color: [1, 2]}, b]", "class 0 (a) has the color [1, 2]"),
        ("classes: [{name: a, color: [1, 2, 256]}, b]", "write [red, green, blue] of 0..255"),
        ("classes: [{name: a, color: blue}, b]", "class 0 (a) has the color 'blue'"),
        ("classes: [{name: a, values: x}, b]", "class 0 (a) has the label values 'x'"),
        ("classes: [{name: a, values: [1.5]}, b]", "has the label values [1.5]"),
        ("classes: [{name: a, values: 300}, b]", "label value 300: allowed: 0..255"),
        ("classes: [{name: a, values: [1]}, b]", "the label value 1 is 'a' and 'b'"),
        ("{classes: [a, b], void: [true]}", "void has the label values [True]"),
        ("{classes: [a, b], void: [1]}", "the label value 1 is 'b' and 'void'"),
        ("{classes: [a, b], void_colors: 3}", "FILE: void_colors is 3: give a list of colours"),
        ("{classes: [a, b], void_colors: [3]}", "FILE: void has the color 3"),
        ("classes: [yes, no]", "class 0 is named True, which is no text: write its name in quotes"),
        ("classes: &x [a, *x]", "class 1 is named ['a', [...]], which is no text"),
        # YAML takes what follows # for a remark.
        ("classes:\n- name: a\n  color: #ff0000\n- b", "class 0 (a) has the color None: write"),
        ("classes: [{name: a, color: [true, 0, 0]}, b]", "has the color [True, 0, 0]"),
        ("{classes: [a, b], void: null}", "FILE: void has the label values None"),
        ("classes: [", "FILE"),
    ],
)
def test_faults_of_a_file(text, words, tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text(text)
    line = line_of(lambda: read_space(path))
    assert str(path) in line
    assert line.count(str(path)) == 1
    assert words.replace("FILE", str(path)) in line


def test_made_colours_keep_away_from_void():
    first = list(made_palette(1)[0])
    space = parse_space({"classes": ["a", "b"], "void_colors": [first]}, "classes")
    assert len({*space.palette, *space.void_colors}) == 3


def test_faults_of_a_name_or_path(tmp_path):
    assert "did you mean 'camvid'" in line_of(lambda: space_of("camvit", "--classes"))
    assert "FILE.yaml" in line_of(lambda: space_of("zzz", "--classes"))
    assert "class space in classes 'a.txt'" in line_of(lambda: space_of(Path("a.txt")))
    assert "gone.yaml" in line_of(lambda: space_of(tmp_path / "gone.yaml"))
    assert "did you mean 'pole'" in line_of(lambda: CAMVID.index("pol"))
    assert CAMVID.index("pole") == 2


def test_known_spaces():
    """Numbers, orders and void values as the data's README and Cityscapes state them."""
    assert {name: len(space) for name, space in SPACES.items()} == {
        "cityscapes": 19, "cityscapes_background": 20, "camvid": 11, "idd_lite": 7,
        "cityscapes_categories": 7,
    }  # fmt: skip
    assert " ".join(CAMVID.classes) == (
        "sky building pole road pavement tree sign fence car pedestrian bicyclist"
    )
    assert SPACES["idd_lite"].classes == (
        "drivable", "non-drivable", "living things", "vehicles", "roadside objects", "far objects",
        "sky",
    )  # fmt: skip
    assert (CAMVID.void, SPACES["idd_lite"].void) == ((11,), (255,))
    assert SPACES["cityscapes_background"].classes == (*CITYSCAPES.classes, "background")
    assert all(re.fullmatch(r"[a-z_]+", name) for name in SPACES)
    assert np.array_equal(space_of("cityscapes").colors[0], (128, 64, 128))
