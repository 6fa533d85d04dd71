"""The drawings, measured in their SVG."""

import math
import re
import warnings
import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ibn_seg.report import plots
from ibn_seg.report.method_looks import method_looks
from ibn_seg.report.runs import Curve
from ibn_seg.report.scores import ClassRow, by_difference
from ibn_seg.statistics import SeedSummary

SVG = "{http://www.w3.org/2000/svg}"
XLINK = "{http://www.w3.org/1999/xlink}"


def _paths(svg: str, variable: str) -> list[np.ndarray]:
    """Return the points, (N, 2), of each path drawn in a CSS variable's colour."""
    root = ElementTree.fromstring(svg)
    paths = [p for p in root.iter(f"{SVG}path") if f"var({variable})" in p.get("style", "")]
    numbers = [re.findall(r"-?\d+(?:\.\d+)?", path.get("d")) for path in paths]
    return [np.array(list(map(float, found))).reshape(-1, 2) for found in numbers]


def _areas(svg: str, variable: str) -> list[np.ndarray]:
    """Return the outlines, (N, 2), of each translucent area in a CSS variable's colour."""
    root = ElementTree.fromstring(svg)
    outlines = {f"#{path.get('id')}": path.get("d") for path in root.iter(f"{SVG}path")}
    found = []
    for use in root.iter(f"{SVG}use"):
        if f"var({variable})" in use.get("style", "") and "fill-opacity" in use.get("style"):
            numbers = re.findall(r"-?\d+(?:\.\d+)?", outlines[use.get(f"{XLINK}href")])
            points = np.array(list(map(float, numbers))).reshape(-1, 2)
            found.append(points + np.array([float(use.get("x")), float(use.get("y"))]))
    return found


def _words(svg: str) -> list[str]:
    return [text.text for text in ElementTree.fromstring(svg).iter(f"{SVG}text")]


def test_bars_are_as_long_as_the_values_and_absent_classes_have_none():
    rows = [
        ClassRow("road", {"BN": SeedSummary((80.0,)), "IBN-a": SeedSummary((40.0,))}),
        ClassRow("train", None),
        ClassRow("sky", {"BN": SeedSummary((10.0, 30.0)), "IBN-a": SeedSummary((0.0, 0.0))}),
    ]
    svg = plots.class_bars(rows, "x", "bars", method_looks(["BN", "IBN-a"]))
    lengths = [
        [float(np.ptp(points[:, 0])) for points in _paths(svg, f"--series-{k}")] for k in (0, 1)
    ]
    assert [len(one) for one in lengths] == [2, 2]
    scale = lengths[0][0] / 80
    np.testing.assert_allclose(lengths, [[80 * scale, 20 * scale], [40 * scale, 0]], atol=0.01)
    (spread,) = _paths(svg, "--ink")
    assert np.ptp(spread[:, 0]) == pytest.approx(2 * math.sqrt(200) * scale, abs=0.01)
    assert {"road", "train", "sky", "absent"} <= set(_words(svg))
    # The value of each bar stands behind it.
    assert {"80.0", "40.0", "20.0", "0.0"} <= set(_words(svg))


def test_names_of_classes_have_room_and_no_font_is_missed():
    """Names of one's own are longer than Cityscapes', and not Latin."""
    named = "\N{CJK UNIFIED IDEOGRAPH-6728}"
    long = "a place where people wait for a bus"
    rows = [ClassRow(name, {"BN": SeedSummary((50.0,))}) for name in (named, long)]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        svg = plots.class_bars(rows, "x", "bars", method_looks(["BN"]))
    assert {named, "a place where peopl\N{HORIZONTAL ELLIPSIS}"} <= set(_words(svg))
    short = plots.class_bars(rows[:1], "x", "bars", method_looks(["BN"]))
    bars = [np.ptp(_paths(one, "--series-0")[0][:, 0]) for one in (svg, short)]
    # 16 points and 20 letters of 6.9 in place of 102, of a picture 340 wide.
    assert bars[0] / bars[1] == pytest.approx((340 - 154 - 20) / (340 - 102 - 20))


def test_classes_are_sorted_by_the_difference_and_absent_ones_are_last():
    rows = [
        ClassRow(name, {"BN": SeedSummary((base,)), "IBN-a": SeedSummary((value,))})
        for name, base, value in (("road", 80.0, 70.0), ("sky", 10.0, 60.0), ("car", 30.0, 31.0))
    ]
    rows.insert(1, ClassRow("train", None))
    names = [row.name for row in by_difference(rows, "IBN-a", "BN")]
    assert names == ["sky", "car", "road", "train"]
    assert next(row.name for row in by_difference(rows, "IBN-a", None)) == "road"


def test_curves_draw_each_seed_and_their_mean():
    at = (100, 200, 300)
    one = plots.Series(0, (Curve(at, (1.0, 2.0, 3.0)), Curve(at, (3.0, 4.0, 5.0))))
    lines = _paths(plots.curves([one], "x", "curves", quantity="mIoU"), "--series-0")
    lines = [points for points in lines if len(points) == 3]
    assert len(lines) == 3
    np.testing.assert_allclose(lines[2][:, 1], (lines[0][:, 1] + lines[1][:, 1]) / 2, atol=1e-3)


def test_seeds_logged_at_different_iterations_have_no_mean():
    one = plots.Series(0, (Curve((1, 2, 3), (1.0, 2.0, 3.0)), Curve((1, 2), (3.0, 4.0))))
    lines = _paths(plots.curves([one], "x", "curves", quantity="loss"), "--series-0")
    assert sorted(len(points) for points in lines if len(points) < 4) == [2, 3]


def test_label_is_escaped():
    svg = plots.curves([plots.Series(0, (Curve((1,), (1.0,)),))], "x", '"><b>', quantity="loss")
    assert ElementTree.fromstring(svg).get("aria-label") == '"><b>'


@given(st.lists(st.floats(0, 10), min_size=1, max_size=300), st.integers(1, 60))
def test_thinning_keeps_the_end_and_averages_neighbours(values, points):
    curve = Curve(tuple(range(1, len(values) + 1)), tuple(values))
    thin = plots.thinned(curve, points)
    assert len(thin.values) == len(thin.iterations) <= points
    assert thin.iterations[-1] == len(values)
    first = thin.iterations[0]
    assert thin.values[0] == pytest.approx(np.mean(values[:first]))
    if len(values) <= points:
        assert thin == curve


def test_axes_hold_everything():
    rows = [ClassRow("road", {"BN": SeedSummary((50.0, 70.0))}), ClassRow("bus", None)]
    assert plots.bars_top(rows) == 80
    assert plots.bars_top([ClassRow("road", {"BN": SeedSummary((99.0, 80.0))})]) == 100
    series = [plots.Series(0, (Curve((1, 2), (math.nan, 40.0)),))]
    assert 40 < plots.common_limits(series)[1] < 45
