"""A plan whose cells only say which GPUs they have, run by the real launcher.

    python -m tests.benchmark.gpu_cells PLAN RESULTS JOBS SECONDS

A cell is a process that writes down its CUDA_VISIBLE_DEVICES and locks a file for each of them.
"""

import fcntl
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

# A cell runs this file alone, where no package `tests` is known.
ROOT = Path(__file__).resolve().parents[2]


def run_cells(plan: Path, results: Path, jobs: int, seconds: float) -> list[dict]:
    """Run a plan here; each cell takes some seconds."""
    from ibn_seg.benchmark import cell_run
    from ibn_seg.benchmark.run_plan import run_plan

    def pretended(step):
        me = [sys.executable, __file__, "cell", str(step.output), str(step.processes)]
        return [sys.executable, "-m", "ibn_seg.benchmark.child", str(os.getpid()), *me,
                str(results / "said"), str(seconds)]  # fmt: skip

    before = cell_run._command, cell_run._keep_network
    cell_run._command, cell_run._keep_network = pretended, lambda work_dir: None
    try:
        return run_plan(plan, results, jobs=jobs, say=lambda line: None)
    finally:
        cell_run._command, cell_run._keep_network = before


def start(plan: Path, results: Path, jobs: int, seconds: float) -> subprocess.Popen:
    """Run a plan in a process of its own, as `run_cells`."""
    me = [sys.executable, "-m", "tests.benchmark.gpu_cells"]
    return subprocess.Popen(
        [*me, plan, results, str(jobs), str(seconds)], env={**os.environ, "PYTHONPATH": str(ROOT)}
    )


def said(results: Path) -> list[dict]:
    """Return what the cells said, in the order of their begin."""
    lines = (results / "said").read_text().splitlines() if (results / "said").exists() else []
    return [json.loads(line) for line in lines]


def _be_a_cell(output: str, processes: str, said: str, seconds: str) -> None:
    devices = os.environ["CUDA_VISIBLE_DEVICES"].split(",")
    locks = [
        os.open(f"{tempfile.gettempdir()}/device-{n}", os.O_CREAT | os.O_RDWR) for n in devices
    ]
    try:
        for lock in locks:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        alone = True
    except BlockingIOError:
        alone = False
    line = {"cell": Path(output).parent.name, "pid": os.getpid(), "devices": devices,
            "alone": alone}  # fmt: skip
    with Path(said).open("a") as file:
        file.write(json.dumps(line) + "\n")
    time.sleep(float(seconds))
    result = {"threads": 1, "processes": int(processes), "domains": {}, "wall_time_s": 1.0,
              "iterations": 6, "curves": {"val": []}, "command": "",
              "confusions": None}  # fmt: skip
    Path(output).write_text(json.dumps(result))


if __name__ == "__main__":
    if sys.argv[1] == "cell":
        _be_a_cell(*sys.argv[2:])
    else:
        run_cells(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4]))
