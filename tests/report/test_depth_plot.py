import pytest

from ibn_seg.errors import UserError
from ibn_seg.report.depth_plot import depth_svg
from ibn_seg.report.divergence import depth_curves, write_depth_plot
from tests.report.test_plots import _paths, _words


def result(method, values, layers=("stem", "layer1.0", "layer1.1")):
    rows = [{"layer": n, "divergence": v} for n, v in zip(layers, values, strict=True)]
    return {"kind": "divergence", "method": method, "pairs": {"null:x": {"layers": rows}}}


BOTH = [result("BN <$x_1$>", (1.0, 10.0, 100.0)), result("IBN-b", (0.0, 1.0, 2.0))]


def test_lines_rise_by_the_logarithm_and_a_zero_is_left_out():
    (curves,) = depth_curves(BOTH).values()
    svg = depth_svg(curves, "d", "divergence")
    line = next(p for p in _paths(svg, "--series-0") if len(p) == 3)
    rise = -line[:, 1]
    assert rise[1] - rise[0] == pytest.approx(rise[2] - rise[1], abs=0.01)
    assert any(len(p) == 2 for p in _paths(svg, "--series-1"))
    assert {"stem", "layer1.0", "layer1.1"} <= set(_words(svg))
    assert 'aria-label="divergence"' in svg


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
    with pytest.raises(UserError, match="unknown picture format"):
        write_depth_plot(BOTH, tmp_path / "a.pdf")
