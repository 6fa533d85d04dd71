"""Measures the cost of one forward pass: parameters, multiply-adds, memory."""

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
    """Return a picture of normal noise, as a preprocessor would give it to a network.

    Args:
        size: Width and height.
        seed: Seed of the noise.
        device: The device to put it on.
    """
    width, height = size
    values = np.random.default_rng(seed).standard_normal((1, 3, height, width), np.float32)
    return torch.from_numpy(values).to(device)


def predictor(network: nn.Module, image: torch.Tensor) -> Callable[[], Any]:
    """Return a function that segments a picture as in a test, without reading and preparing it."""
    return lambda: network(image, None, mode="predict")


def clock_of(device: torch.device) -> Callable[[], float]:
    """Return a clock that waits for a device to finish its work."""

    def clock() -> float:
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        return time.perf_counter()

    return clock


def needs(network: nn.Module, image: torch.Tensor) -> dict[str, float]:
    """Return the cost of one pass of a network, except its time."""
    run = predictor(network, image)
    return {
        "parameters": sum(one.numel() for one in network.parameters()),
        "multiply_adds": multiply_adds(run),
        "peak_memory_mib": peak_memory_mib(run, image.device),
    }


@torch.no_grad()
def multiply_adds(run: Callable[[], Any]) -> int:
    """Return the multiply-adds of convolutions and matrix products in a pass.

    Norms, activations and resizing are not counted.
    """
    # An empty list, because old versions of PyTorch need modules and new ones warn of them.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        counter = FlopCounterMode([], display=False)
    with counter:
        run()
    return counter.get_total_flops() // 2


@torch.inference_mode()
def peak_memory_mib(run: Callable[[], Any], device: torch.device) -> float:
    """Return the peak memory of a pass, in addition to the memory in use before.

    It counts memory from PyTorch's allocator of the device.
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
    """Return the peak number of bytes that a pass holds.

    The profiler does not change the network's computation. A mode that intercepts each operator
    would, because our layers compute differently under one.
    """
    # Otherwise the profiler reports on stderr when it begins and ends.
    os.environ.setdefault("KINETO_LOG_LEVEL", "99")
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiler:
        run()
    with tempfile.TemporaryDirectory() as folder:
        trace = Path(folder, "trace.json")
        profiler.export_chrome_trace(str(trace))
        events = json.loads(trace.read_text(encoding="utf-8"))["traceEvents"]
    taken = sorted((one for one in events if one["name"] == "[memory]"), key=lambda one: one["ts"])
    # Freed memory has negative bytes.
    return max(itertools.accumulate(one["args"]["Bytes"] for one in taken), default=0)
