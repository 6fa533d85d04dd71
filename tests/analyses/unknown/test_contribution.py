"""What a leaderboard shows of results as `ibn-seg unknown` writes them."""

import pytest

from ibn_seg.analyses.unknown.contribution import contribution
from ibn_seg.errors import UserError
from ibn_seg.leaderboard.read import read_board
from ibn_seg.report.links import Links
from tests.leaderboard.made import Folder, skill_of


def content(auroc):
    """Return the measures of one data set."""
    pooled = {"unknown_auroc": auroc, "unknown_auprc": auroc / 4, "unknown_fpr95": None}
    return {"unknown_things": {"oddities": {"pooled": pooled, "unknown_share": 0.02}}}


def shown(folder):
    return contribution(read_board([folder.write()]), "BN", Links(folder.path / "page.html"))


def test_methods_stand_beside_their_measures_with_intervals_over_seeds(tmp_path):
    made = Folder(tmp_path)
    for method, auroc in (("BN", 0.7), ("IBN-a", 0.8)):
        for seed in (0, 1):
            training = made.train(method, seed, skill_of(method))
            made.analysis("unknown", training, content(auroc + 0.02 * seed))
    found = shown(made)
    (table,) = found.section.tables
    assert table.header == ("Network", "AUROC", "AUPRC", "FPR@95", "share of pixels")
    assert [row[0].text for row in table.rows] == ["BN", "IBN-a"]
    assert [cell.value for cell in table.rows[1][1:]] == pytest.approx([81, 20.25, None, 2])
    assert [cell.best for cell in table.rows[1][1:3]] == [True, True]
    # Two seeds: t of one degree of freedom is 12.706 at 97.5 %, and the standard error is 1.
    (mean,) = [
        r for r in found.records if r.method == "IBN-a" and r.condition == "AUROC" and r.n == 2
    ]
    assert (mean.low, mean.high) == pytest.approx((81 - 12.706, 81 + 12.706), abs=1e-3)
    assert table.rows[1][1].detail == "[68.3, 93.7]"
    (none,) = [r for r in found.records if r.method == "BN" and r.condition == "FPR@95"]
    assert (none.value, none.remark) == ("", "no value")


def test_a_damaged_result_is_one_line(tmp_path):
    made = Folder(tmp_path)
    training = made.train("BN", 0, skill_of("BN"))
    made.analysis("unknown", training, {"unknown_things": {"oddities": {}}})
    with pytest.raises(UserError, match="run `ibn-seg unknown` again"):
        shown(made)
