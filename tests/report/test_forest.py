"""Differences with intervals, measured in their drawing."""

import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest

from ibn_seg.errors import UserError
from ibn_seg.report.forest import ForestRow, forest_chart
from ibn_seg.report.method_looks import Look
from tests.report.test_plots import _paths, _words

ROWS = [
    ForestRow("dashcam", Look(1, 1), 4.0, 3.0, 6.0),
    ForestRow("dashcam", Look(2, 2), -2.0, -3.0, -1.0),
    ForestRow("night", Look(1, 1), 1.0),
]


def test_intervals_are_as_long_as_they_are_and_zero_is_where_it_is():
    svg = forest_chart(ROWS, "f", "forest", quantity="difference (points)")
    (first,) = (p for p in _paths(svg, "--series-1") if len(p) == 2)
    (second,) = (p for p in _paths(svg, "--series-2") if len(p) == 2)
    (zero,) = _paths(svg, "--muted")
    scale = np.ptp(first[:, 0]) / 3
    assert np.ptp(second[:, 0]) == pytest.approx(2 * scale, abs=0.01)
    assert first[0, 0] - zero[0, 0] == pytest.approx(3 * scale, abs=0.01)
    assert zero[0, 0] - second[1, 0] == pytest.approx(1 * scale, abs=0.01)
    assert first[0, 1] < second[0, 1]
    assert {"dashcam", "night", "difference (points)"} <= set(_words(svg))


def test_names_from_results_cannot_break_the_drawing():
    names = ('"><script>', '$x_1$ & font-family: a; id="b"', "a-name-of-more-than-twenty-letters")
    svg = forest_chart([ForestRow(n, Look(0, 0), 1.0, 0.0, 2.0) for n in names], "f", '"<>')
    words = _words(svg)
    assert names[0] in words
    assert any(word.startswith("$x_1$ & font-fam") for word in words if word)
    assert "a-name-of-more-than…" in words
    assert ElementTree.fromstring(svg).get("aria-label") == '"<>'


def test_without_rows_there_is_nothing_to_draw():
    with pytest.raises(UserError, match="no differences"):
        forest_chart([], "f", "forest")
