"""Every row of the documents that needs a GPU, as one page of Markdown, in 15 minutes.

    python tools/benchmark/gpu_rows.py work_dirs/gpu_rows [--minutes 14] [--small] > gpu_rows.md

runs the other tools of this folder, and short trainings with each switch of `ibn-seg train`. What
counts most comes first: a part that the time does not suffice for is named and left out. The page
says what each part fills in. The exit code is 1 if a part failed. With --small everything is tiny
and runs on the CPU, without compiling; its numbers mean nothing.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ibn_seg.provenance import cpu, git_commit, versions

HERE = Path(__file__).parent
CONFIG = "ibn_seg::demo/mlp_r18-ibn-a_1xb8-600_scenes-128x128"
SCENES = "IBN_SEG_SCENES"
# Switches of `ibn-seg train`, by the name of the row.
SWITCHES: Mapping[str, tuple[str, ...]] = {
    "float32": (),
    "--amp bf16": ("--amp", "bf16"),
    "--amp fp16": ("--amp", "fp16"),
    "--compile": ("--compile",),
    "--amp bf16 --compile": ("--amp", "bf16", "--compile"),
}
# The end of a failed part's output that the page shows.
_LINES = 15


@dataclass(frozen=True)
class Part:
    """A part of the page: one command.

    Attributes:
        title: Its heading.
        fills: What its rows fill in.
        command: The command after the interpreter's name.
        small: Its options in place of `full` with --small.
        full: Its options on a GPU.
        minutes: The most that it may take.
    """

    title: str
    fills: str
    command: tuple[str, ...]
    full: tuple[str, ...]
    small: tuple[str, ...]
    minutes: float = 3.0


def parts(work: Path) -> list[Part]:
    """Return the parts of the page, the most important first."""
    tool = {path.stem: str(path) for path in HERE.glob("*.py")}
    cuda, tiny = ("--device", "cuda"), ("--repeats", "2", "--threads", "1")
    step, layer = tool["ibn_network"], tool["ibn_layer"]
    speed, network = "docs/performance.md, faster layers", ("--batch", "1", "--size", "64", *tiny)
    return [
        Part("Triton kernels and gradients against the plain layers", f"{speed}: may be turned on",
             (tool["gpu_kernels"],), cuda, ("--device", "cpu", "--shapes", "1"), 2),
        Part("Layers: Triton kernels over plain layers and batch norm", speed,
             (layer,), (*cuda, "--repeats", "31"), (*tiny, "--shapes", "1"), 2),
        Part("Training step in bf16", speed,
             (step, "train"), (*cuda, "--batch", "16", "--size", "768"), network),
        Part("Trainings with each switch", "docs/train-and-evaluate.md, docs/performance.md: ran",
             (__file__, str(work), "--trainings"), (), ("--small",), 4),
        Part("Inference in bf16", speed,
             (step, "infer"), (*cuda, "--batch", "16", "--size", "768"), network),
        Part("Evaluation", "docs/performance.md, evaluation",
             (tool["evaluation"], str(work / "evaluation")), ("--threads", "8"),
             ("--images", "1", "--rounds", "1", "--size", "256x128", "--threads", "1")),
        Part("Input on the device", "docs/performance.md and docs/prepare-data.md, input",
             (tool["input_speed"], str(work / "input")), ("--frames", "4", "--rounds", "2"),
             ("--frames", "1", "--rounds", "1")),
        Part("Layers inside torch.compile", "docs/performance.md, faster layers: compiled",
             (layer, "--compiled"), cuda, (*tiny, "--shapes", "1")),
        Part("Training step in bf16 inside torch.compile", "docs/performance.md, on a GPU",
             (step, "train", "--compiled"), (*cuda, "--batch", "16", "--size", "768"), network, 6),
    ]  # fmt: skip


def environment(small: bool) -> dict[str, str]:
    """Return the variables of the commands; in small nothing is compiled."""
    found = {**os.environ, "PYTHONPATH": f"{HERE.parents[1]}:{os.environ.get('PYTHONPATH', '')}"}
    return {**found, "TORCHDYNAMO_DISABLE": "1", "CUDA_VISIBLE_DEVICES": ""} if small else found


def run(command: Sequence[str], small: bool, seconds: float) -> tuple[bool, str]:
    """Run a command; return whether it succeeded, and its table or the end of its output."""
    try:
        done = subprocess.run(
            [sys.executable, *command], env=environment(small), timeout=seconds,
            capture_output=True, text=True, check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired as error:
        so_far = (error.stdout or b"").decode(errors="replace")
        return False, f"{so_far}\nStopped after {seconds:.0f} s."
    if done.returncode == 0:
        return True, _without_logs(done.stdout)
    last = "\n".join((done.stdout + done.stderr).splitlines()[-_LINES:])
    return False, f"Failed with exit code {done.returncode}:\n\n```\n{last}\n```"


def _without_logs(text: str) -> str:
    """Return a tool's output without what libraries print before it."""
    lines = text.splitlines()
    starts = [number for number, line in enumerate(lines) if line.startswith("PyTorch ")]
    return "\n".join(lines[starts[0] :] if starts else lines)


def print_page(work: Path, small: bool, minutes: float) -> bool:
    """Run the parts and print the page; return whether all succeeded."""
    end = time.monotonic() + minutes * 60
    print("# Rows for a GPU\n")
    print(f"{_device(small)}; {cpu()}; commit {git_commit()}; {json.dumps(versions())}")
    ended = []
    for part in parts(work):
        left = end - time.monotonic()
        print(f"\n## {part.title}\n\nFills in {part.fills}.\n", flush=True)
        if left < min(60, part.minutes * 60) and not small:
            print("Not run: no time was left.")
            ended.append(False)
            continue
        begin = time.monotonic()
        command = (*part.command, *(part.small if small else part.full))
        succeeded, text = run(command, small, left if small else min(left, part.minutes * 60))
        print(f"{text.strip()}\n\n{time.monotonic() - begin:.0f} s.", flush=True)
        ended.append(succeeded)
    print(f"\n{sum(ended)} of {len(ended)} parts succeeded.")
    return all(ended)


def _device(small: bool) -> str:
    import torch

    if small:
        return "Small form on the CPU, which means nothing"
    if not torch.cuda.is_available():
        raise SystemExit("PyTorch sees no GPU: use --small to try this tool out")
    return f"{torch.cuda.get_device_name()}, {torch.cuda.device_count()} of them"


def print_trainings(work: Path, small: bool) -> bool:
    """Train a small network with each switch; print time, loss and score of each."""
    from ibn_seg.scenes import write_pair

    # Its last two frames are what the source holds out.
    source = 202
    write_pair(work / "scenes", size=(256, 128), source_frames=source, target_train=0,
               target_val=2)  # fmt: skip
    os.environ[SCENES] = str(work / "scenes")
    iterations = 2 if small else 100
    print(f"`ibn-seg train {CONFIG}`, {iterations} iterations\n")
    print("| switches | s | last loss | mIoU of the source |\n| --- | ---: | ---: | ---: |")
    ended = []
    for number, (name, switches) in enumerate(SWITCHES.items()):
        if small and "--amp" in name:
            continue
        folder = work / "trainings" / str(number)
        options = (f"train_cfg.max_iters={iterations}", f"train_cfg.val_interval={iterations}")
        command = ("-m", "ibn_seg", "train", CONFIG, "--work-dir", str(folder), *switches)
        succeeded, text = run((*command, "--cfg-options", *options), small, 150)
        ended.append(succeeded)
        if not succeeded:
            print(f"| {name} | {' '.join(text.split())} | | |", flush=True)
            continue
        result = json.loads((folder / "result.json").read_text())
        score, loss = result["domains"][result["source"]]["mIoU"], result["curves"]["loss"][-1]
        print(f"| {name} | {result['wall_time_s']:.1f} | {loss:.4f} | {score:.2f} |", flush=True)
    return all(ended)


def main() -> None:
    """Print the page, or the rows of the trainings alone."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("work_dir", type=Path)
    parser.add_argument("--minutes", type=float, default=14)
    parser.add_argument("--small", action="store_true")
    parser.add_argument("--trainings", action="store_true", help="print that part alone")
    args = parser.parse_args()
    args.work_dir.mkdir(parents=True, exist_ok=True)
    if args.trainings:
        succeeded = print_trainings(args.work_dir, args.small)
    else:
        succeeded = print_page(args.work_dir, args.small, args.minutes)
    sys.exit(0 if succeeded else 1)


if __name__ == "__main__":
    main()
