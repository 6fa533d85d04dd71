"""What confidence costs an evaluation of full-size images, in time and memory.

    python tools/benchmark/calibration_cost.py work_dirs/evaluation [--images 2] [--rounds 15]
        [--size 2048x1024] [--threads 2] [--cpu-time] [--config CONFIG --checkpoint FILE]

Two rows take turns: `ibn-seg test`, and the same with the histograms of `ibn-seg calibration`. Each
is a process of its own, as in `evaluation.py`, whose frames and random weights are used. It prints
the median and the quartiles of the ratios of times within the turns, and the ratio of the largest
resident sets. Where others use the machine, --cpu-time with --threads 1 counts the processor's
time.
"""

import argparse
import contextlib
from collections.abc import Iterator
from multiprocessing.connection import Connection
from pathlib import Path

import torch
from evaluation import network, own_peak, runner_of, synchronised, write_inputs
from mmengine.registry import init_default_scope
from mmengine.runner import Runner
from row_processes import take_turns
from timing import clock, ratio

from ibn_seg.engine.confidence_hook import ConfidenceHook
from ibn_seg.heap import keep_freed_memory
from ibn_seg.run.setup import register

ROWS = ("without", "with")
# The row of `evaluation.py` that is `ibn-seg test`.
_TEST = "ours"


@contextlib.contextmanager
def prepared(name: str, args: argparse.Namespace, checkpoint: Path) -> Iterator[Runner]:
    """Yield the runner of a row."""
    with runner_of(_TEST, network(args.config), checkpoint, args.work_dir / name) as runner:
        if name == "with":
            (metric,) = runner.test_evaluator.metrics
            hook = ConfidenceHook(metric.map_of, metric.ignore_index, metric.domain)
            runner.register_hook(hook)
        yield runner


def serve(pipe: Connection, args: argparse.Namespace, name: str, checkpoint: Path) -> None:
    """Take turns until the peak is asked for."""
    keep_freed_memory()
    register()
    init_default_scope("mmseg")
    now = synchronised(clock(args.cpu_time, args.threads))
    with prepared(name, args, checkpoint) as runner:
        # mmengine may set it while it builds a runner.
        torch.set_num_threads(args.threads)
        while pipe.recv() == "turn":
            start = now()
            runner.test()
            pipe.send((now() - start) / len(runner.test_dataloader.dataset))
        pipe.send(own_peak())


def main() -> None:
    """Render what is missing, measure, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("work_dir", type=Path)
    parser.add_argument("--images", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--size", default="2048x1024")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--cpu-time", action="store_true")
    parser.add_argument("--config")
    parser.add_argument("--checkpoint", type=Path)
    args = parser.parse_args()
    clock(args.cpu_time, args.threads)  # refuses what it cannot count
    args.work_dir = args.work_dir.resolve()
    register()
    init_default_scope("mmseg")
    checkpoint = args.checkpoint or args.work_dir / "random.pth"
    write_inputs(args, network(args.config), checkpoint)
    for name in ROWS:
        frames = args.work_dir / name / "cityscapes"
        frames.parent.mkdir(exist_ok=True)
        if not frames.exists():
            frames.symlink_to(args.work_dir / "cityscapes")
    turns, peaks = take_turns(ROWS, serve, lambda name: (args, name, checkpoint), args.rounds)
    print(f"PyTorch {torch.__version__}, {args.threads} threads, {args.images} images of")
    print(f"{args.size}, {args.rounds} turns\n")
    print(
        "| confidence | s per image | over without | quartiles | peak memory, MiB | over without |"
    )
    print("| --- | ---: | ---: | ---: | ---: | ---: |")
    base_times, base_peak = turns[ROWS[0]], peaks[ROWS[0]]
    for name, times in turns.items():
        middle = sorted(times)[len(times) // 2]
        share = ratio(times, base_times)
        peak = peaks[name]
        print(f"| {name} | {middle:.2f} | {share} | {peak:.0f} | {peak / base_peak:.3f} |")


if __name__ == "__main__":
    main()
