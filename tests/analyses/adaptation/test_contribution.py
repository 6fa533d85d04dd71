"""What a leaderboard shows of results as `ibn-seg adaptation` writes them."""

import pytest

from ibn_seg.analyses.adaptation.contribution import contribution
from ibn_seg.errors import UserError
from ibn_seg.leaderboard.read import read_board
from ibn_seg.report.links import Links
from tests.leaderboard.made import Folder, skill_of

SCORES = {("BN", 0): (10.0, 14.0, 12.0), ("BN", 1): (12.0, 18.0, 16.0),
          ("IBN-a", 0): (20.0, 19.0, 18.0), ("IBN-a", 1): (22.0, 21.0, 20.0)}  # fmt: skip


def add(folder, training, plain, batch, adabn, **changes):
    ways = (("batch BN", 8, batch), ("AdaBN", None, adabn))
    return folder.analysis("adaptation", training, {
        "domains": {"dashcam": {"mIoU": plain}},
        "adapted": [
            {"method": method, "batch_size": size, "domains": {"dashcam": {"mIoU": score}},
             "gain": {"dashcam": score - plain}}
            for method, size, score in ways
        ], **changes,
    })  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    made = Folder(tmp_path_factory.mktemp("results"))
    for (method, seed), some in SCORES.items():
        add(made, made.train(method, seed, skill_of(method)), *some)
    return made.write()


def test_networks_stand_beside_their_adapted_selves(folder):
    board = read_board([folder])
    found = contribution(board, "BN", Links(folder / "page.html"))
    (table,) = found.section.tables
    assert table.header == ("Network", "as trained", "batch BN, 8", "AdaBN")
    assert [row[0].text for row in table.rows] == ["BN", "IBN-a"]
    values = [[cell.value for cell in row[1:]] for row in table.rows]
    assert values == [[11.0, 16.0, 14.0], [21.0, 20.0, 19.0]]
    # The best way of each network, not the best network.
    assert [[cell.best for cell in row[1:]] for row in table.rows] == [
        [False, True, False], [True, False, False]
    ]  # fmt: skip
    assert "see images of the target" in found.section.lines[0]
    assert {record.condition for record in found.records} == {"as trained", "batch BN, 8", "AdaBN"}


def test_a_damaged_result_is_one_line(tmp_path):
    made = Folder(tmp_path)
    add(made, made.train("BN", 0, skill_of("BN")), 1.0, 2.0, 3.0, adapted=[{"method": "TENT"}])
    board = read_board([made.write()])
    with pytest.raises(UserError, match="run `ibn-seg adaptation` again"):
        contribution(board, "BN", Links(tmp_path / "page.html"))
