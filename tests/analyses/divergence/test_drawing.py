import math

import numpy as np
import pytest

from ibn_seg.analyses.divergence.curves import depth_curves
from ibn_seg.analyses.divergence.drawing import depth_charts, write_depth_plot
from ibn_seg.errors import UserError
from ibn_seg.report.method_looks import method_looks
from tests.report.test_plots import _areas, _paths, _words


def result(method, values, layers=("stem", "layer1.0", "layer1.1"), **changes):
    rows = [{"layer": n, "divergence": v} for n, v in zip(layers, values, strict=True)]
    pairs = {"null:x": {"layers": rows}}
    return {"kind": "divergence", "method": method, "seed": 0, "pairs": pairs} | changes


BOTH = [result("BN <$x_1$>", (1.0, 10.0, 100.0)), result("IBN-b", (0.0, 1.0, 2.0))]


def test_lines_rise_by_the_logarithm_and_a_zero_is_left_out():
    svg = depth_charts(depth_curves(BOTH), "d")["null:x"]
    look = method_looks(["BN <$x_1$>", "IBN-b"])["BN <$x_1$>"]
    line = next(p for p in _paths(svg, f"--series-{look.colour}") if len(p) == 3)
    rise = -line[:, 1]
    assert rise[1] - rise[0] == pytest.approx(rise[2] - rise[1], abs=0.01)
    assert any(len(p) == 2 for p in _paths(svg, "--series-2"))
    assert {"stem", "layer1.0", "layer1.1"} <= set(_words(svg))
    assert "null:x, for BN &lt;$x_1$&gt;, IBN-b" in svg


def test_seeds_of_a_method_are_one_curve_with_its_range():
    seeds = [result("BN", (1.0, 10.0, 2.0), seed=0), result("BN", (3.0, 30.0, 2.0), seed=1)]
    ((curve,),) = depth_curves(seeds).values()
    assert curve.values == ((1.0, 3.0), (10.0, 30.0), (2.0, 2.0))
    (svg,) = depth_charts({"null:x": [curve]}, "d", methods=("other", "BN")).values()
    # BN has its colour wherever it stands on the page.
    (area,) = _areas(svg, "--series-0")
    line = next(p for p in _paths(svg, "--series-0") if len(p) == 3)
    at_stem = np.sort(area[np.isclose(area[:, 0], line[0, 0]), 1])
    assert at_stem[0] < line[0, 1] < at_stem[-1]
    # The line is at the mean, 2, of 1 and 3 on a logarithmic axis.
    place = (at_stem[-1] - line[0, 1]) / (at_stem[-1] - at_stem[0])
    assert place == pytest.approx(math.log(2) / math.log(3), abs=0.01)


def test_a_second_result_of_a_seed_and_another_backbone_are_curves_of_their_own():
    names = lambda results: [c.name for c in depth_curves(results)["null:x"]]  # noqa: E731
    first = result("BN", (1.0, 2.0, 3.0))
    assert names([first, first, result("BN", (1.0, 2.0, 3.0), seed=1)]) == ["BN", "BN (2)"]
    both = [result("BN", (1.0, 2.0, 3.0), backbone=name) for name in ("ResNet-50", "ResNeXt-50")]
    assert names(both) == ["BN, ResNet-50", "BN, ResNeXt-50"]


def test_all_pairs_share_whole_powers_of_ten():
    rows = lambda v: {"layers": [{"layer": "stem", "divergence": v}]}  # noqa: E731
    pairs = {"content:x": rows(0.02), "null:x": rows(30.0), "appearance:x": rows(0.0)}
    charts = depth_charts(depth_curves([result("BN", (), ()) | {"pairs": pairs}]), "d")
    heights = [
        [p[0, 1] for p in _paths(svg, "--series-0") if len(p) == 1] for svg in charts.values()
    ]
    ((low,), (high,), nothing) = heights
    # From 0.01 to 100 are four decades; 30 lies log10(1500) of them above 0.02.
    span = 270 - 86 - 8
    assert low - high == pytest.approx(span * math.log10(1500) / 4, abs=0.1)
    assert nothing == []


def test_pictures_of_their_own_are_repeatable_and_name_the_methods(tmp_path):
    first = write_depth_plot(BOTH, tmp_path / "a.svg").read_bytes()
    assert write_depth_plot(BOTH, tmp_path / "b.svg").read_bytes() == first
    assert "BN &lt;$x_1$&gt;" in first.decode()
    assert write_depth_plot(BOTH, tmp_path / "c.png").read_bytes().startswith(b"\x89PNG")


def test_what_cannot_be_compared_is_refused(tmp_path):
    with pytest.raises(UserError, match="different layers"):
        depth_curves([BOTH[0], result("BN", (1.0,), ("stem",))])
    with pytest.raises(UserError, match="not a result of"):
        depth_curves([{"kind": "train", "name": "run"}])
    for damaged in ({"pairs": None}, {"pairs": {"null:x": {}}}, {"pairs": {"null:x": 3}}):
        with pytest.raises(UserError, match="BN: incomplete or damaged"):
            depth_curves([BOTH[1], result("BN", (1.0, 2.0, 3.0)) | damaged])
    with pytest.raises(UserError, match="unknown picture format"):
        write_depth_plot(BOTH, tmp_path / "a.pdf")
