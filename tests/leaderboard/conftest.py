"""One leaderboard of everything, computed once."""

from pathlib import Path

import pytest

from ibn_seg.leaderboard import write_leaderboard
from ibn_seg.leaderboard.compare import compare
from ibn_seg.leaderboard.comparison import Comparison
from ibn_seg.leaderboard.read import read_board
from ibn_seg.report.board import Board
from tests.leaderboard.made import evaluated, whole


@pytest.fixture(scope="session")
def results(tmp_path_factory) -> list[Path]:
    """A benchmark with all kinds of cells, and a network from elsewhere; not to be changed."""
    base = tmp_path_factory.mktemp("results")
    return [whole(base / "a bench").write(), evaluated(base / "theirs", "Their <Net> & 100 %_x")]


@pytest.fixture(scope="session")
def written(results, tmp_path_factory) -> dict[str, Path]:
    """The page and all exports by their ending."""
    out = tmp_path_factory.mktemp("out") / "board.html"
    files = write_leaderboard(
        results, out, exports=("csv", "latex", "markdown"), command="ibn-seg leaderboard X"
    )
    return {path.suffix: path for path in files}


@pytest.fixture(scope="session")
def board(results) -> Board:
    """What was read from these folders."""
    return read_board(results)


@pytest.fixture(scope="session")
def found(board) -> Comparison:
    """Their one comparison with BN."""
    (comparison,) = compare(board, "BN")
    return comparison
