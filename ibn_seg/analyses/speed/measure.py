"""What one forward pass of a network needs: parameters, multiply-adds, memory."""

import itertools
import json
import os
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.profiler import ProfilerActivity, profile
from torch.utils.flop_counter import FlopCounterMode

_MIB = 2**20


def noise(size: tuple[int, int], seed: int, device: torch.device) -> torch.Tensor:
    """Return a picture of normal noise, as a preprocessor would hand one to a network.

    Args:
        size: Width and height.
        seed: Seed of the noise.
        device: Where it shall be.
    """
    width, height = size
    values = np.random.default_rng(seed).standard_normal((1, 3, height, width), np.float32)
    return torch.from_numpy(values).to(device)


def predictor(network: nn.Module, image: torch.Tensor) -> Callable[[], Any]:
    """Return what segments a picture as in a test, without reading and preparing it."""
    return lambda: network(image, None, mode="predict")


def clock_of(device: torch.device) -> Callable[[], float]:
    """Return a clock that waits for what a device has begun."""

    def clock() -> float:
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        return time.perf_counter()

    return clock


def needs(network: nn.Module, image: torch.Tensor) -> dict[str, float]:
    """Return what one pass of a network needs, without its time."""
    run = predictor(network, image)
    return {
        "parameters": sum(one.numel() for one in network.parameters()),
        "multiply_adds": multiply_adds(run),
        "peak_memory_mib": peak_memory_mib(run, image.device),
    }


@torch.no_grad()
def multiply_adds(run: Callable[[], Any]) -> int:
    """Return the multiply-adds of the convolutions and matrix products of a pass.

    Norms, activations and resizing are not counted.
    """
    # An empty list, for old versions of PyTorch want modules and new ones warn of them.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        counter = FlopCounterMode([], display=False)
    with counter:
        run()
    return counter.get_total_flops() // 2


@torch.inference_mode()
def peak_memory_mib(run: Callable[[], Any], device: torch.device) -> float:
    """Return the largest memory that a pass takes at once, in addition to what was there.

    It is what PyTorch's allocator of the device hands out.
    """
    if device.type != "cuda":
        return _peak_on_cpu(run) / _MIB
    torch.cuda.synchronize(device)
    torch.cuda.reset_peak_memory_stats(device)
    before = torch.cuda.memory_allocated(device)
    run()
    torch.cuda.synchronize(device)
    return (torch.cuda.max_memory_allocated(device) - before) / _MIB


def _peak_on_cpu(run: Callable[[], Any]) -> int:
    """Return the most bytes that a pass holds at once.

    The profiler leaves the network as it is. A mode that follows each operator would not: our
    layers compute in another way under one.
    """
    # Else the profiler says on stderr when it begins and ends.
    os.environ.setdefault("KINETO_LOG_LEVEL", "99")
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiler:
        run()
    with tempfile.TemporaryDirectory() as folder:
        trace = Path(folder, "trace.json")
        profiler.export_chrome_trace(str(trace))
        events = json.loads(trace.read_text(encoding="utf-8"))["traceEvents"]
    taken = sorted((one for one in events if one["name"] == "[memory]"), key=lambda one: one["ts"])
    # Bytes are negative where memory is given back.
    return max(itertools.accumulate(one["args"]["Bytes"] for one in taken), default=0)
