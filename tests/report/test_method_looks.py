"""Colours and shapes of methods follow their names, and can be told apart on both grounds."""

import itertools
import math
import re

import pytest

from ibn_seg.methods.all_methods import METHODS
from ibn_seg.report.method_looks import DARK, FIXED_LOOKS, LIGHT, MARKERS, Look, method_looks
from ibn_seg.report.page import style_sheet

STUDY = (
    "BN", "IBN-a", "IBN-b", "IBN-a ratio .25", "IBN-a ratio .75", "IBN-a stage 1",
    "IBN-a stages 1-2", "IBN-a stages 1-4",
)  # fmt: skip


def twins() -> tuple[str, str]:
    """Return two names outside the table that have the same colour of their own."""
    # Eleven colours for twelve names.
    names = [f"mine {k}" for k in range(12)]
    alone = {name: method_looks([name])[name] for name in names}
    return next(pair for pair in itertools.combinations(names, 2)
                if alone[pair[0]] == alone[pair[1]])  # fmt: skip


def test_methods_of_the_table_look_alike_everywhere_and_differ_from_each_other():
    assert set(FIXED_LOOKS) <= set(METHODS)
    assert len(set(FIXED_LOOKS.values())) == len(FIXED_LOOKS) == 31
    assert [name for name, look in FIXED_LOOKS.items() if look.colour == 0] == ["BN"]
    for page in (["PASTA"], ["mine", "PASTA", "BN"], [*METHODS, "another"]):
        assert method_looks(page)["PASTA"] == FIXED_LOOKS["PASTA"] == Look(5, 5)
    assert method_looks(["IBN-b", "mine", "BN"])["BN"].marker == "o"


def test_the_order_of_results_changes_nothing():
    looks = method_looks(STUDY)
    assert looks == method_looks(reversed(STUDY)) == method_looks([*STUDY, *STUDY])
    assert list(looks)[:3] == ["BN", "IBN-a", "IBN-b"]
    # The eight rows of the plan `embedded_full` have eight colours.
    assert len({look.colour for look in looks.values()}) == len(STUDY)


def test_another_name_leaves_its_colour_only_to_a_method_of_the_same_page():
    first, second = twins()
    (own,) = method_looks([second]).values()
    assert method_looks([second, "BN"])[second] == own
    both = method_looks([second, first])
    assert both[first] == own
    assert both[second].colour not in {0, own.colour}


def test_more_methods_than_colours_differ_in_shape():
    many = method_looks([f"m{k}" for k in range(88)])
    assert len(set(many.values())) == 88
    assert {look.colour for look in many.values()} == set(range(1, 12))
    # Beyond that looks repeat, and nothing fails.
    assert len(method_looks([f"m{k}" for k in range(90)])) == 90


def _luminance(colour: str) -> float:
    """Return the relative luminance of '#rrggbb' (WCAG 2.2)."""
    red, green, blue = _linear(colour)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _linear(colour: str) -> list[float]:
    channels = [int(colour[k : k + 2], 16) / 255 for k in (1, 3, 5)]
    return [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]


def _lab(colour: str) -> tuple[float, float, float]:
    """Return CIELAB of '#rrggbb' under D65 (CIE 15)."""
    red, green, blue = _linear(colour)
    x = (0.4124 * red + 0.3576 * green + 0.1805 * blue) / 0.9505
    z = (0.0193 * red + 0.1192 * green + 0.9505 * blue) / 1.0888
    fx, fy, fz = (
        t ** (1 / 3) if t > 216 / 24389 else (24389 / 27 * t + 16) / 116
        for t in (x, _luminance(colour), z)
    )
    return 116 * fy - 16, 500 * (fx - fy), 200 * (fy - fz)


@pytest.mark.parametrize(("colours", "at"), [(LIGHT, 0), (DARK, 1)], ids=["light", "dark"])
def test_colours_are_seen_on_their_ground_and_differ(colours, at):
    text = str(style_sheet())
    ground = re.findall(r"--surface: (#[0-9a-f]{6});", text)[at]
    for colour in colours:
        low, high = sorted((_luminance(colour), _luminance(ground)))
        assert (high + 0.05) / (low + 0.05) >= 3
    for one, other in itertools.combinations(colours, 2):
        assert math.dist(_lab(one), _lab(other)) >= 20
    # The page has each as a variable, and each shape as a class.
    found = re.findall(r"--series-(\d+): (#[0-9a-f]{6});", text)[12 * at : 12 * (at + 1)]
    assert found == [(str(k), colour) for k, colour in enumerate(colours)]
    assert set(re.findall(r"\.shape-(\d)", text)) == set(map(str, range(len(MARKERS))))
