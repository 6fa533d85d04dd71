"""What a leaderboard shows of results as `ibn-seg calibration` writes them."""

import numpy as np
import pytest

from ibn_seg.analyses.calibration.contribution import contribution
from ibn_seg.analyses.calibration.drawing import trust_charts
from ibn_seg.errors import UserError
from ibn_seg.leaderboard.read import read_board
from ibn_seg.report.links import Links
from ibn_seg.trust.confidence_bins import LEVELS
from ibn_seg.trust.image_confidences import count_image, stack_images
from ibn_seg.trust.trust_measures import trust_measures
from tests.leaderboard.made import Folder, skill_of
from tests.report.test_plots import _paths, _words


def trust(seed, errors):
    """Return measures of 400 pixels of confidence 0.5 to 1, of which a share is wrong."""
    rng = np.random.default_rng(seed)
    confidence, wrong = rng.uniform(0.5, 1, 400), rng.random(400) < errors
    image = count_image(LEVELS, wrong.astype(int), confidence, np.zeros(400), num_classes=2)
    return trust_measures(stack_images(["a"], LEVELS, [image]))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    made = Folder(tmp_path_factory.mktemp("results"))
    for method, errors in (("BN", 0.4), ("IBN-a", 0.2)):
        for seed in (0, 1):
            training = made.train(method, seed, skill_of(method))
            made.analysis("calibration", training, {"trust": {"dashcam": trust(seed, errors)}})
    return made.write()


def test_methods_stand_beside_their_measures(folder):
    board = read_board([folder])
    found = contribution(board, "BN", Links(folder / "page.html"))
    (table,) = found.section.tables
    assert table.header[:4] == ("Network", "error rate", "ECE", "AUROC")
    assert [row[0].text for row in table.rows] == ["BN", "IBN-a"]
    of = {name: [row[k].value for row in table.rows] for k, name in enumerate(table.header) if k}
    expected = [np.mean([100 * trust(s, e)["pooled"]["ece"] for s in (0, 1)]) for e in (0.4, 0.2)]
    assert of["ECE"] == pytest.approx(expected)
    best = dict(zip(table.header[1:], (cell.best for cell in table.rows[1][1:]), strict=True))
    assert best["AUPR-Success"]
    assert not best["ECE"]
    assert of["NLL"] == [None, None]
    units = {record.condition: record.unit for record in found.records}
    assert (units["ECE"], units["NLL"]) == ("percent", "")
    titles = [one["title"] for one in found.section.charts]
    assert [title.partition(",")[0] for title in titles] == ["reliability", "risk over coverage"]


def test_lines_are_as_high_as_the_values():
    result = {"kind": "calibration", "name": "x", "method": "BN", "seed": 0,
              "backbone": "ResNet-18", "trust": {"dashcam": trust(0, 0.4)}}  # fmt: skip
    drawn = trust_charts([result], "dashcam", "t")
    assert "right pixels (%)" in _words(drawn["reliability"])
    (line,) = (p for p in _paths(drawn["risk over coverage"], "--series-0") if len(p) == 20)
    risks = np.array([risk for _, risk in result["trust"]["dashcam"]["risk_coverage"]])
    heights = line[:, 1]
    scale = (heights[-1] - heights[0]) / (risks[-1] - risks[0])
    np.testing.assert_allclose(heights - heights[0], scale * (risks - risks[0]), atol=0.02)


def test_a_damaged_result_is_one_line(tmp_path):
    made = Folder(tmp_path)
    training = made.train("BN", 0, skill_of("BN"))
    made.analysis("calibration", training, {"trust": {"dashcam": {"pooled": {}}}})
    board = read_board([made.write()])
    with pytest.raises(UserError, match="run `ibn-seg calibration` again"):
        contribution(board, "BN", Links(tmp_path / "page.html"))
