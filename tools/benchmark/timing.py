"""What the benchmarks of layers and networks share: clocks, turns, options, the switch."""

import argparse
import contextlib
import os
import statistics
import time
from collections.abc import Callable, Iterator, Mapping

import torch

from ibn_seg.layers import native

FORMATS = {"NCHW": torch.contiguous_format, "channels_last": torch.channels_last}
WARM_UP = 3


@contextlib.contextmanager
def kernel(value: str) -> Iterator[None]:
    """Set the switch of the single passes; 'plain' forces split, both norms and concatenation."""
    before = os.environ.get(native.SWITCH)
    os.environ[native.SWITCH] = value
    try:
        yield
    finally:
        if before is None:
            del os.environ[native.SWITCH]
        else:
            os.environ[native.SWITCH] = before


def single_passes(device: str) -> str:
    """Return the value of the switch by which a device has single passes."""
    return "triton" if device == "cuda" else "auto"


def options(title: str) -> argparse.ArgumentParser:
    """Return a parser of the options that all have."""
    parser = argparse.ArgumentParser(description=title)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--repeats", type=int, default=15)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument(
        "--cpu-time",
        action="store_true",
        help="the processor's time in place of the clock's, where others use the machine; needs"
        " --threads 1 on the CPU",
    )
    return parser


def start(args: argparse.Namespace) -> Callable[[Callable[[], object]], float]:
    """Set the threads, say what is measured with, and return the stopwatch.

    It returns the seconds that an action takes: on a GPU between two of its events, else by a clock
    of the CPU.
    """
    now = clock(args.cpu_time, args.threads)
    if args.device == "cuda" and not torch.cuda.is_available():
        raise SystemExit("--device cuda: PyTorch sees no GPU, so its rows are not measured")
    torch.manual_seed(0)
    torch.set_num_threads(args.threads)
    if args.device == "cuda":
        where, stopwatch = torch.cuda.get_device_name(), _by_events
    else:
        where, stopwatch = f"CPU, {args.threads} threads", _by(now)
    passes = "Triton" if args.device == "cuda" else "C" if native.library() else "none"
    print(f"PyTorch {torch.__version__}, {where}; {args.repeats} turns; passes: {passes}\n")
    return stopwatch


def clock(cpu_time: bool, threads: int) -> Callable[[], float]:
    """Return the clock that was asked for: the processor's time, or the clock's."""
    if cpu_time and threads > 1:
        raise SystemExit("--cpu-time counts waiting threads as busy: use --threads 1")
    return time.process_time if cpu_time else time.perf_counter


def _by(now: Callable[[], float]) -> Callable[[Callable[[], object]], float]:
    def stopwatch(action: Callable[[], object]) -> float:
        begin = now()
        action()
        return now() - begin

    return stopwatch


def _by_events(action: Callable[[], object]) -> float:
    begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    begin.record()
    action()
    end.record()
    end.synchronize()
    return begin.elapsed_time(end) / 1000


def turns(rows: Mapping[str, Callable[[], float]], repeats: int) -> dict[str, list[float]]:
    """Return what each row returns, `repeats` times; they take turns, so that all meet the same.

    The first turns warm up and do not count.
    """
    found: dict[str, list[float]] = {name: [] for name in rows}
    for turn in range(WARM_UP + repeats):
        for name, run in rows.items():
            value = run()
            if turn >= WARM_UP:
                found[name].append(value)
    return found


def ratio(values: list[float], base: list[float]) -> str:
    """Return median and quartiles of the ratios within the turns, as two cells of a table."""
    ratios = [a / b for a, b in zip(values, base, strict=True)]
    low, middle, high = statistics.quantiles(ratios, n=4)
    return f"{middle:.3f} | {low:.3f}-{high:.3f}"
