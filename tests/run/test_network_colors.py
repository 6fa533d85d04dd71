"""Names and colours of a network's outputs, from whatever its checkpoint says."""

from types import SimpleNamespace

import pytest

from ibn_seg.datasets.class_colors import CITYSCAPES_COLORS, class_colors
from ibn_seg.datasets.class_space import read_space
from ibn_seg.datasets.known_classes import CAMVID
from ibn_seg.run.network_colors import known_colors, network_colors

TWO = {"classes": ["dry", "wet"], "palette": [[1, 2, 3], [4, 5, 6]]}


def network(outputs):
    return SimpleNamespace(decode_head=SimpleNamespace(num_classes=outputs))


def checkpoint(**meta):
    return {"meta": {"dataset_meta": meta}}


def test_the_checkpoint_is_believed_where_it_fits():
    found = network_colors(network(2), checkpoint(**TWO))
    assert (found.names, found.palette) == (("dry", "wet"), ((1, 2, 3), (4, 5, 6)))
    assert network_colors(SimpleNamespace(), checkpoint(**TWO)) == found
    camvid = network_colors(network(11), checkpoint(classes=CAMVID.classes, palette=[[1, 2, 3]]))
    assert camvid.palette == CAMVID.palette


@pytest.mark.parametrize("meta", [{}, TWO, {"palette": [[1, 2, 3]]}])
def test_networks_of_the_field_are_known_by_their_number_of_outputs(meta):
    assert network_colors(network(19), checkpoint(**meta)) == CITYSCAPES_COLORS
    names = known_colors(network(20), checkpoint(**meta)).names
    assert names == (*CITYSCAPES_COLORS.names, "background")


def test_other_outputs_are_numbered_in_distinct_colours():
    assert known_colors(network(5), checkpoint(**TWO)) is None
    found = network_colors(network(5), checkpoint(**TWO))
    assert found.names == ("class 0", "class 1", "class 2", "class 3", "class 4")
    assert len(set(found.palette)) == 5
    cascade = SimpleNamespace(decode_head=[network(19).decode_head, network(5).decode_head])
    assert network_colors(SimpleNamespace(module=cascade), {}) == found


def test_the_yaml_of_any_names_is_read_again(tmp_path):
    names = ['a "quoted" name', "yes", "1: {x}", "Straße"]
    file = tmp_path / "classes.yaml"
    file.write_text(class_colors(names).yaml_text("null"), encoding="utf-8")
    assert '"Straße"' in file.read_text(encoding="utf-8")
    space = read_space(file)
    assert (space.name, space.classes) == ("null", tuple(names))
    assert space.palette == class_colors(names).palette


def test_classes_of_one_colour_are_read_again(tmp_path):
    """Palettes of the field have colours twice; a space has none."""
    class_colors(["dry", "wet", "mud"], [[1, 2, 3], [1, 2, 3], [4, 5, 6]]).write(tmp_path)
    assert "# [1, 2, 3] in pictures, as class 0" in (tmp_path / "classes.yaml").read_text()
    space = read_space(tmp_path / "classes.yaml")
    assert space.classes == ("dry", "wet", "mud")
    assert (space.palette[0], space.palette[2]) == ((1, 2, 3), (4, 5, 6))
    assert space.values == ((0,), (1,), (2,))
