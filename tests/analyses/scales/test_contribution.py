"""What a leaderboard shows of results as `ibn-seg scales` writes them."""

import pytest

from ibn_seg.analyses.scales.contribution import contribution
from ibn_seg.errors import UserError
from ibn_seg.leaderboard.read import read_board
from ibn_seg.report.links import Links
from tests.leaderboard.made import Folder, skill_of


def content(better):
    """Return the scores of two scales and their ensemble on one domain."""
    return {
        "scales": [
            {
                "name": name,
                "domains": {"dashcam": {"mIoU": miou + better, "ECE": 5.0, "AUROC": 80.0}},
            }
            for name, miou in (("0.5", 20), ("1", 30), ("ensemble", 33))
        ]
    }


def test_each_measure_has_a_table_of_networks_and_scales(tmp_path):
    made = Folder(tmp_path)
    for method, better in (("BN", 0), ("IBN-a", 2)):
        for seed in (0, 1):
            training = made.train(method, seed, skill_of(method))
            made.analysis("scales", training, content(better + seed))
    found = contribution(read_board([made.write()]), "BN", Links(tmp_path / "page.html"))
    miou, _, _ = found.section.tables
    assert miou.header == ("Network", "0.5", "1", "ensemble")
    values = [[cell.value for cell in row[1:]] for row in miou.rows]
    assert values == [[20.5, 30.5, 33.5], [22.5, 32.5, 35.5]]
    assert [cell.best for cell in miou.rows[1][1:]] == [True, True, True]
    assert {record.quantity for record in found.records} == {
        "mIoU by scale", "ECE by scale", "AUROC by scale"
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


def test_a_damaged_result_is_one_line(tmp_path):
    made = Folder(tmp_path)
    training = made.train("BN", 0, skill_of("BN"))
    made.analysis("scales", training, {"scales": [{"name": "1", "domains": {"dashcam": {}}}]})
    with pytest.raises(UserError, match="run `ibn-seg scales` again"):
        contribution(read_board([made.write()]), "BN", Links(tmp_path / "page.html"))
