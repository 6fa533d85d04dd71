"""Methods that adapt to images of the target never rank among methods that do not."""

import csv
import re

import pytest

from ibn_seg.leaderboard import write_leaderboard
from ibn_seg.leaderboard.board_page import claims
from ibn_seg.leaderboard.compare import compare
from ibn_seg.leaderboard.comparison import TARGETS
from ibn_seg.leaderboard.rank_tables import rank_table
from ibn_seg.leaderboard.ranked_table import difference_axis, ranked_table
from ibn_seg.leaderboard.read import read_board
from ibn_seg.report.links import Links
from tests.leaderboard.made import Folder, evaluated, skill_of

# The share of right pixels on the targets: those that see the target are the best, and the worst.
SHARES = {"BN": 0.5, "IBN-b": 0.6, "TENT": 0.8, "IBN-b + AdaBN": 0.7, "Mine": 0.3}
SEEN = {"TENT", "IBN-b + AdaBN", "Mine"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A benchmark whose plan lists methods at test time beside others."""
    made = Folder(tmp_path_factory.mktemp("target rows"))
    for seed in (0, 1):
        for entropy, (method, share) in enumerate(SHARES.items()):
            # A method of one's own is known by what its result says, others by their names.
            more = {"sees_target": True} if method == "Mine" else {}
            skill = {"game": 0.85, "dashcam": share, "night": share}
            made.train(method, seed, skill, entropy=entropy, record=more)
        made.train("BN", seed, {"game": 0.5, "dashcam": 0.9, "night": 0.5}, source="dashcam")
    return made.write()


@pytest.fixture(scope="module")
def found(folder):
    (comparison,) = compare(read_board([folder]), "BN")
    return comparison


def test_they_have_a_group_of_their_own_with_differences_to_the_baseline(found):
    plain, adapted = found.groups
    assert {row.method for row in plain.ranked} == {"BN", "IBN-b"}
    assert {row.method for row in adapted.rows} == SEEN
    assert adapted.title == "ResNet-18, FCN, adapted to images of the target"
    assert [row.oracle_of for row in plain.rows if row.oracle_of] == ["dashcam"]
    for row in adapted.rows:
        base = next(one for one in plain.ranked if one.method == "BN")
        gain = row.scores[TARGETS].mean - base.scores[TARGETS].mean
        assert row.differences[TARGETS].per_seed.mean == pytest.approx(gain)
        assert row.gaps["dashcam"].percent is not None


def test_ranks_and_the_best_are_of_the_group_alone(folder, found, tmp_path):
    board, links = read_board([folder]), Links(tmp_path / "p.html")
    table = ranked_table(board, found, links, difference_axis([found]))
    ranks = [[(row[0].text, row[0].rank) for row in part.rows] for part in table.parts]
    assert ranks == [
        [("IBN-b", 1), ("BN", 2), ("BN, oracle", None)],
        [("TENT", 1), ("IBN-b + AdaBN", 2), ("Mine", 3)],
    ]
    best = [[row[0].text for row in part.rows if row[1].best] for part in table.parts]
    assert best == [["IBN-b"], ["TENT"]]
    assert any("group of their own" in note for note in table.notes)


def test_the_page_says_first_what_wins_without_images_of_the_target(found):
    first, second = claims(found)
    assert first.text.startswith("IBN-b gains ")
    assert second.text.startswith("With images of the target, TENT gains ")


def test_orders_of_methods_are_compared_within_a_group(found):
    ranks = rank_table([found, found])
    assert [row[3].text for row in ranks.rows] == ["TENT, IBN-b + AdaBN, Mine"]


def test_every_export_says_it_in_a_column(folder, tmp_path):
    files = write_leaderboard([folder], tmp_path / "b.html", exports=("csv", "latex", "markdown"))
    page, table, latex, markdown = (path.read_text() for path in files)
    assert page.count("FCN, adapted to images of the target</th>") >= 2
    roles = {row["method"]: row["role"] for row in csv.DictReader(table.splitlines())
             if row["quantity"] == "miou" and row["source"] == "game"}  # fmt: skip
    assert roles == {name: "test time" if name in SEEN else "method" for name in SHARES}
    for text, pattern in (
        (latex, r"^(?P<name>[^&%\n]+?) & .* & (?P<seen>yes|no) \\\\$"),
        (markdown, r"^\| [^|]*FCN[^|:]*: (?P<name>[^|]+?) \|.*\| (?P<seen>yes|no) \|$"),
    ):
        rows = {m["name"]: m["seen"] for m in re.finditer(pattern, text, re.MULTILINE)}
        oracles = {name for name in rows if "oracle" in name}
        assert {rows.pop(name) for name in oracles} == {"yes"}
        assert rows == {name: "yes" if name in SEEN else "no" for name in SHARES}


def test_an_evaluation_of_a_method_at_test_time_is_known_by_its_name(folder, tmp_path):
    (tmp_path / "theirs").mkdir()
    board = read_board([folder, evaluated(tmp_path / "theirs", "batch BN")])
    assert [one.method for one in board.networks if one.sees_target and not one.selected] == [
        "batch BN"
    ]


def test_a_board_without_them_has_no_such_column(results, tmp_path):
    page, *others = write_leaderboard(results, tmp_path / "b.html", exports=("csv", "markdown"))
    for path in (page, *others):
        assert not re.search(r"sees target|images of the target|test time", path.read_text())


def test_one_seed_claims_no_gain(tmp_path):
    folder = Folder(tmp_path / "one seed")
    for method in ("BN", "IBN-b", "TENT"):
        folder.train(method, 0, skill_of("BN" if method == "BN" else "IBN-b"))
    (found,) = compare(read_board([folder.write()]), "BN")
    texts = [claim.text for claim in claims(found)]
    assert texts[0].startswith("With one seed, IBN-b reads ")
    assert texts[1].startswith("With one seed and images of the target, TENT reads ")
    assert all(" above BN." in text and "gain" not in text for text in texts)
