"""What a leaderboard shows of results as `ibn-seg scales` writes them."""

import numpy as np
import pytest

from ibn_seg.analyses.scales.contribution import contribution
from ibn_seg.analyses.scales.drawing import scale_chart
from ibn_seg.errors import UserError
from ibn_seg.leaderboard.read import read_board
from ibn_seg.report.links import Links
from ibn_seg.report.method_looks import method_looks
from tests.leaderboard.made import Folder, skill_of
from tests.report.test_plots import _paths, _words


def content(better):
    """Return the scores of two scales and their ensemble on one domain."""
    return {
        "scales": [
            {
                "name": name,
                "scales": scales,
                "milliseconds": 10.0 * sum(scales),
                "domains": {"dashcam": {"mIoU": miou + better, "ECE": 5.0, "AUROC": 80.0}},
            }
            for name, scales, miou in (
                ("0.5", [0.5], 20),
                ("1", [1.0], 30),
                ("ensemble", [0.5, 1.0], 33),
            )
        ]
    }


def test_each_measure_has_a_table_of_networks_and_scales(tmp_path):
    made = Folder(tmp_path)
    for method, better in (("BN", 0), ("IBN-a", 2)):
        for seed in (0, 1):
            training = made.train(method, seed, skill_of(method))
            made.analysis("scales", training, content(better + seed))
    found = contribution(read_board([made.write()]), "BN", Links(tmp_path / "page.html"))
    miou, _, _, time = found.section.tables
    assert [cell.value for cell in time.rows[0][1:]] == [5, 10, 15]
    assert not any(cell.best for cell in time.rows[0][1:])
    assert miou.header == ("Network", "0.5", "1", "ensemble")
    values = [[cell.value for cell in row[1:]] for row in miou.rows]
    assert values == [[20.5, 30.5, 33.5], [22.5, 32.5, 35.5]]
    assert [cell.best for cell in miou.rows[1][1:]] == [True, True, True]
    (chart,) = found.section.charts
    assert chart["title"].startswith("mIoU over scale, on dashcam")
    assert {record.quantity for record in found.records} == {
        "mIoU by scale", "ECE by scale", "AUROC by scale", "time by scale"
    }  # fmt: skip


def test_methods_at_test_time_have_their_own_part(tmp_path):
    """They see images of the target, so their best is not the best of the others."""
    made = Folder(tmp_path)
    for method, better in (("BN", 0), ("IBN-a", 2), ("TENT", 9), ("Mine", 5)):
        # A method of one's own is known by the result of its training.
        more = {"sees_target": True} if method == "Mine" else {}
        training = made.train(method, 0, skill_of("BN"), record=more)
        made.analysis("scales", training, content(better))
    found = contribution(read_board([made.write()]), "BN", Links(tmp_path / "page.html"))
    plain, adapted = found.section.tables[0].parts
    assert (plain.title, adapted.title) == (None, "adapted to images of the target")
    assert [(row[0].text, row[1].best) for row in plain.rows] == [("BN", False), ("IBN-a", True)]
    assert {row[0].text: row[1].best for row in adapted.rows} == {"TENT": True, "Mine": False}
    roles = {record.method: record.role for record in found.records}
    assert roles == {"BN": "method", "IBN-a": "method", "TENT": "test time", "Mine": "test time"}
    names = {name for name, _ in found.section.legend}
    assert names == {"BN", "IBN-a", "TENT (sees target)", "Mine (sees target)"}


def test_lines_are_as_high_as_the_values():
    results = [
        {"kind": "scales", "method": method, "seed": 0, **content(better)}
        for method, better in (("BN", 0), ("IBN-a", 2))
    ]
    looks = method_looks(["BN", "IBN-a"])
    drawn = scale_chart(results, "dashcam", "s")
    assert {"0.5", "1", "ensemble", "mIoU (%)"} <= set(_words(drawn))
    # Heights fall in an SVG. 10 points lie between the scales of BN, and 2 between the methods.
    low, high = (
        next(
            line
            for line in _paths(drawn, f"--series-{looks[name].colour}")
            if len(line) == 2 and np.ptp(line[:, 0])
        )
        for name in ("BN", "IBN-a")
    )
    ten = low[0, 1] - low[1, 1]
    assert ten > 0
    assert low[:, 1] - high[:, 1] == pytest.approx([0.2 * ten] * 2, abs=0.1)


def test_a_damaged_result_is_one_line(tmp_path):
    made = Folder(tmp_path)
    training = made.train("BN", 0, skill_of("BN"))
    made.analysis("scales", training, {"scales": [{"name": "1", "domains": {"dashcam": {}}}]})
    with pytest.raises(UserError, match="run `ibn-seg scales` again"):
        contribution(read_board([made.write()]), "BN", Links(tmp_path / "page.html"))
