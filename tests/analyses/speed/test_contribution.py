"""What a leaderboard shows of results as `ibn-seg speed` writes them."""

import csv
import io
import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest

from ibn_seg.analyses.speed.contribution import contribution
from ibn_seg.analyses.speed.drawing import trade_off_chart
from ibn_seg.analyses.speed.numbers import TradeOff, speed_tables, trade_offs
from ibn_seg.errors import UserError
from ibn_seg.leaderboard import write_leaderboard
from ibn_seg.leaderboard.read import read_board
from ibn_seg.report.links import Links
from ibn_seg.report.method_looks import Look
from tests.analyses.speed.made import add_speed
from tests.leaderboard.made import Folder, skill_of
from tests.report.test_plots import SVG, _paths

TIMES = {("BN", 0): 1.0, ("BN", 1): 1.02, ("IBN-a", 0): 1.1, ("IBN-a", 1): 1.3}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Two methods with two seeds each on one source, two targets."""
    made = Folder(tmp_path_factory.mktemp("results"))
    for (method, seed), time in TIMES.items():
        add_speed(made, made.train(method, seed, skill_of(method), entropy=len(method)), time)
    return made.write()


@pytest.fixture(scope="module")
def board(folder):
    return read_board([folder])


@pytest.fixture(scope="module")
def made(board, folder):
    return contribution(board, "BN", Links(folder / "page.html"))


def test_the_table_has_what_each_method_needs(made):
    (table,) = made.section.tables
    assert table.key == "speed-512x256-on-cpu-resnet-18-fcn-game"
    assert table.header == (
        "Method", "Time over BN", "Parameters (M)", "Multiply-adds (G)", "Peak memory over BN",
    )  # fmt: skip
    assert [[cell.text for cell in row] for row in table.rows] == [
        ["BN", "1.01 ± 0.01", "11.2", "4.56", "1.25"],
        ["IBN-a", "1.20 ± 0.14", "11.2", "4.56", "1.25"],
    ]
    assert [row[1].detail for row in table.rows] == ["1.00 to 1.02", "1.10 to 1.30"]
    assert table.rows[1][1].value == pytest.approx(1.2)
    assert not any(cell.best for row in table.rows for cell in row)
    assert "Measured on Processor 1 (AVX2), threads: 1." in table.notes


def test_one_table_for_each_size_shape_and_device(tmp_path):
    made = Folder(tmp_path)
    training = made.train("BN", 0, skill_of("BN"))
    add_speed(made, training, 1.0)
    add_speed(made, training, 1.0, size=[1024, 512])
    add_speed(made, training, 1.0, device="cuda", few_repeats=True)
    add_speed(made, made.train("BN", 0, skill_of("BN"), backbone="ResNet-50"), 1.0)
    board = read_board([made.write()])
    assert [(table.of, table.shape[0]) for table in speed_tables(board)] == [
        ("512x256 on cpu", "ResNet-18"), ("1024x512 on cpu", "ResNet-18"),
        ("512x256 on cuda", "ResNet-18"), ("512x256 on cpu", "ResNet-50"),
    ]  # fmt: skip
    found = contribution(board, "BN", Links(tmp_path / "page.html")).section.tables
    few = ["Fewer repeats than `ibn-seg speed` makes by default." in one.notes for one in found]
    assert few == [False, False, True, False]
    assert [cell.detail for cell in found[0].rows[0][1:]] == ["n = 1"] * 4


def test_csv_has_each_seed_and_the_mean(folder, tmp_path):
    _, path = write_leaderboard([folder], tmp_path / "board.html", exports=["csv"])
    lines = list(csv.DictReader(io.StringIO(path.read_text(encoding="utf-8"))))
    times = [one for one in lines if one["quantity"] == "time_over_bn"]
    by_seed = {(one["method"], one["seed"]): float(one["value"]) for one in times}
    assert by_seed == {
        **{(method, str(seed)): time for (method, seed), time in TIMES.items()},
        ("BN", ""): pytest.approx(1.01), ("IBN-a", ""): pytest.approx(1.2),
    }  # fmt: skip
    assert {(one["unit"], one["source"], one["condition"]) for one in times} == {
        ("", "game", "512x256 on cpu")
    }
    values = {
        name: {float(one["value"]) for one in lines if one["quantity"] == name}
        for name in ("parameters", "multiply_adds", "peak_memory_over_bn")
    }
    assert values == {
        "parameters": {11_177_536}, "multiply_adds": {4_560_000_000}, "peak_memory_over_bn": {1.25},
    }  # fmt: skip
    assert all(one["result"].endswith("speed.json") for one in times if one["seed"])


def test_scores_are_those_of_the_same_networks(board):
    (table,) = speed_tables(board)
    scored, (baseline, other) = trade_offs(board, table)
    assert scored == "mean of 2 targets"
    assert (baseline.method, other.method) == ("BN", "IBN-a")
    assert other.times == (1.1, 1.3)
    networks = [one for one in board.networks if one.method == "IBN-a"]
    assert other.scores == tuple((n.scores["dashcam"] + n.scores["night"]) / 2 for n in networks)


@pytest.mark.parametrize(
    ("domains", "scored"), [(("game", "night"), "night"), (("game",), "game")]
)  # fmt: skip
def test_one_target_or_the_source_is_scored(tmp_path, domains, scored):
    made = Folder(tmp_path)
    training = made.train("BN", 0, skill_of("BN", domains))
    add_speed(made, training, 1.0)
    board = read_board([made.write()])
    (table,) = speed_tables(board)
    name, (mark,) = trade_offs(board, table)
    assert name == scored
    assert mark.scores == pytest.approx((training["mIoU"][scored],))


def marks_of(svg, variable):
    """Return the positions of the marks in a colour."""
    uses = ElementTree.fromstring(svg).iter(f"{SVG}use")
    return [
        (float(use.get("x")), float(use.get("y")))
        for use in uses
        if f"var({variable})" in use.get("style", "")
    ]


def test_marks_stand_at_the_means_and_lines_over_the_ranges():
    given = [
        TradeOff("IBN-a", (1.1, 1.3), (40.0, 60.0)),
        TradeOff("BN", (1.0,), (30.0,)),
    ]
    svg = trade_off_chart(given, "s", "score over time", methods=("BN", "other", "IBN-a"))
    ((x, y),) = marks_of(svg, "--series-1")
    ((x0, y0),) = marks_of(svg, "--series-0")
    # The mark's own outline is a path too, of more points.
    across, upright = (path for path in _paths(svg, "--series-1") if len(path) == 2)
    np.testing.assert_allclose(across.mean(axis=0), (x, y), atol=0.01)
    np.testing.assert_allclose(upright.mean(axis=0), (x, y), atol=0.01)
    # BN is 0.2 to the left and 20 points below; the ranges are 0.2 wide and 20 points high.
    assert np.ptp(across[:, 0]) == pytest.approx(x - x0, abs=0.01)
    assert np.ptp(across[:, 1]) == np.ptp(upright[:, 0]) == 0
    assert np.ptp(upright[:, 1]) == pytest.approx(y0 - y, abs=0.01)
    # The line of BN's time goes through its mark.
    verticals = [p for p in _paths(svg, "--muted") if len(p) == 2 and np.ptp(p[:, 0]) == 0]
    assert [p[0, 0] for p in verticals] == [pytest.approx(x0, abs=0.01)]


def test_the_drawing_has_the_page_s_colours(made):
    (drawn,) = made.section.charts
    # The page names network and source once, as all its tables have the same.
    assert drawn["title"] == "mIoU (mean of 2 targets) over time, 512x256 on cpu"
    assert len(marks_of(str(drawn["svg"]), "--series-1")) == 1
    assert made.section.legend == (("BN", Look(0, 0)), ("IBN-a", Look(1, 1)))


def test_without_speed_there_is_no_section(tmp_path):
    made = Folder(tmp_path)
    add_speed(made, made.train("BN", 0, skill_of("BN")), 1.0)
    page = write_leaderboard([made.write()], tmp_path / "board.html")[0]
    assert 'id="speed"' in page.read_text(encoding="utf-8")
    made.rows = [row for row in made.rows if row["task"] == "train"]
    write_leaderboard([made.write()], page)
    assert 'id="speed"' not in page.read_text(encoding="utf-8")


@pytest.mark.parametrize("key", ["size", "network", "time_over_bn"])
def test_a_damaged_result_is_named(tmp_path, key):
    made = Folder(tmp_path)
    add_speed(made, made.train("BN", 0, skill_of("BN")), 1.0, **{key: None})
    board = read_board([made.write()])
    with pytest.raises(UserError, match=r"speed\.json: .* is damaged.*run `ibn-seg speed` again"):
        speed_tables(board)
