"""Which sources pass for misspelt domains, and which are right though they are not evaluated."""

import pytest

from ibn_seg.datasets.targets import GROUPS, check_source, list_targets
from ibn_seg.errors import UserError


@pytest.mark.parametrize(
    ("source", "evaluated", "meant"),
    [
        ("gta", ["gta5", "cityscapes"], "gta5"),
        ("GTA5", ["gta5", "cityscapes"], "gta5"),
        ("gta-5", ["gta5"], "gta5"),
        ("gta5+citiscapes", ["gta5", "cityscapes"], "cityscapes"),
        ("darkzurich", ["dark_zurich"], "dark_zurich"),
        ("bdd10k", ["bdd100k"], "bdd100k"),
        ("acdc-nigth", ["acdc-fog", "acdc-night"], "acdc-night"),
        ("gamee", ["game", "dashcam"], "game"),
    ],
)
def test_a_misspelt_source_is_refused(source, evaluated, meant):
    with pytest.raises(UserError, match=rf"in KEY '.*': did you mean {meant!r}\?"):
        check_source(source, evaluated, "KEY")


@pytest.mark.parametrize(
    ("source", "evaluated"),
    [
        (None, ["gta5"]),
        ("gta5", ["gta5", "cityscapes"]),
        ("cityscapes", ["foggy_cityscapes-0.02", "cityscape"]),
        ("foggy_cityscapes-0.005", ["foggy_cityscapes-0.01"]),
        ("acdc", ["acdc-fog", "acdc-rain"]),
        ("mapillary", ["mapillary-rein"]),
        ("cityscapes-coarse", ["cityscapes"]),
        ("city_a", ["city_b"]),
        ("city1", ["city2"]),
        ("kitti", ["cityscapes", "gta5"]),
    ],
)
def test_a_source_that_is_not_evaluated_may_be_right(source, evaluated):
    check_source(source, evaluated, "KEY")


def test_what_was_trained_on_is_right():
    with pytest.raises(UserError, match="did you mean 'paris'"):
        check_source("parish", ["paris"], "KEY")
    check_source("parish", ["paris"], "KEY", trained=["parish"])


@pytest.mark.parametrize("name", [*list_targets(), *GROUPS])
def test_every_domain_of_the_table_is_right_beside_all_others(name):
    check_source(name, [other for other in list_targets() if other != name], "KEY")
