"""The embedded re-identification in one command: draws people, trains, searches, reports."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ibn_seg.config import SCHEME

PLANS = {False: f"{SCHEME}benchmark/reid_demo", True: f"{SCHEME}benchmark/reid_demo_quick"}


def search_demo(
    work_dir: str | os.PathLike,
    quick: bool = False,
    *,
    jobs: int = 1,
    command: str = "ibn-seg reid demo",
    say: Callable[[str], None] = print,
) -> tuple[list[dict[str, Any]], Path]:
    """Run the plan of the demo, or the rest of it, and write its page.

    BN, IBN-a and IBN-b are trained on the source and searched with in both networks. BN trained on
    the target is the upper bound.

    Args:
        work_dir: The folder of pictures, checkpoints, results and the page.
        quick: Fewer people and epochs: a taste, no result.
        jobs: Networks that are trained at once.
        command: The command line, for the page.
        say: Receives one line per step.

    Returns:
        The rows of the index, and the path of the page.

    Raises:
        UserError: A training failed, or the folder holds people of the other plan.
        EnvError: The folder cannot be written, or the disk is full.
    """
    from ibn_seg.benchmark.run_plan import check_finished, run_plan
    from ibn_seg.leaderboard import write_leaderboard

    folder = Path(work_dir)
    say(f"Drawing people, training and searching in {folder}")
    rows = run_plan(PLANS[quick], folder, jobs=jobs, say=say)
    check_finished(rows, folder)
    _say_unlearned(folder / "cameras", say)
    title = "Searching people in cameras that training has never seen"
    page, *_ = write_leaderboard([folder], folder / "report.html", title=title, command=command)
    return rows, page


def _say_unlearned(cameras: Path, say: Callable[[str], None]) -> None:
    """Say what colours alone and chance find in the target."""
    from ibn_seg.reid.measures import scores
    from ibn_seg.reid.sets.all_sets import picture_set
    from ibn_seg.retrieval.colour_histogram import chance, histogram_search

    data = picture_set("cameras_target", cameras)
    found = scores(histogram_search(data))
    say(
        f"Without learning, on the target: colour histograms have rank-1 {found.cmc[0]:.1f} and "
        f"mAP {found.mean_precision:.1f}; chance has rank-1 {chance(data):.1f}"
    )
