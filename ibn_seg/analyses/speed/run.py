"""Compares a trained network with its BN twin: time, memory, parameters, multiply-adds."""

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Unpack

from ibn_seg.analyses.speed.timing import ENOUGH, LEAST, Times, quartiles, time_in_turn
from ibn_seg.analyses.speed.twin import bn_twin
from ibn_seg.errors import UserError
from ibn_seg.run.measurement import RunOptions, measurement

if TYPE_CHECKING:
    from mmengine.config import Config
    from torch import nn


def speed(
    config: "str | os.PathLike | Config",
    checkpoint: str | os.PathLike,
    *,
    repeats: int = ENOUGH,
    size: tuple[int, int] = (512, 256),
    seed: int = 0,
    **run: Unpack[RunOptions],
) -> dict:
    """Compare the costs of a trained network and its BN twin; write `WORK_DIR/speed.json`.

    The twin is the network of the same config with the method BN. A network that is its own twin is
    compared with a second build of itself. Both segment one noise picture in turn.

    Args:
        config: A path, an `ibn_seg::` name, or a config, which is not changed.
        checkpoint: A .pth file; every weight must fit.
        repeats: Number of times that each network is timed.
        size: Width and height of the picture.
        seed: Seed of the picture's noise.
        run: See `ibn_seg.run.measurement.RunOptions`.

    Returns:
        The content of the result file.

    Raises:
        UserError: The config, the checkpoint or an option is wrong.
        EnvError: Something cannot be written.
    """
    if repeats < LEAST:
        raise UserError(f"repeats = {repeats}", f"give {LEAST} or more, which quartiles need")
    with measurement("speed", config, checkpoint, **run) as opened:
        cfg = opened.runner.cfg
        with opened.run_without_loop():
            found = _compared(
                cfg,
                opened.network,
                repeats,
                tuple(size),
                seed,
                lambda done, total: opened.progress("speed", done, total),
            )
        return opened.write(lambda: {**_owner(cfg), **found})


def _compared(
    cfg: "Config",
    network: "nn.Module",
    repeats: int,
    size: tuple[int, int],
    seed: int,
    progress: Callable[[int, int], None],
) -> dict[str, Any]:
    """Return the costs of both networks, and their ratios."""
    import torch

    from ibn_seg.analyses.speed import measure

    device = next(network.parameters()).device
    twin, own = bn_twin(cfg, network.eval())
    image = measure.noise(size, seed, device)
    both = [measure.predictor(one, image) for one in (network, twin)]
    with torch.inference_mode():
        times = time_in_turn(*both, repeats, measure.clock_of(device), progress)
    needs = {
        name: {"time_ms": 1000 * quartiles(seconds)["median"], **measure.needs(one, image)}
        for name, one, seconds in (("network", network, times.network), ("twin", twin, times.twin))
    }
    return {
        "size": list(size),
        "noise_seed": seed,
        "repeats": repeats,
        "few_repeats": repeats < ENOUGH,
        "own_twin": own,
        **needs,
        "time_over_bn": quartiles(times.ratios),
        "peak_memory_over_bn": (
            needs["network"]["peak_memory_mib"] / needs["twin"]["peak_memory_mib"]
        ),
        "times_ms": _in_ms(times),
    }


def _in_ms(times: Times) -> dict[str, list[float]]:
    """Return the times of each repeat."""
    named = {"network": times.network, "twin": times.twin}
    return {name: [1000 * one for one in some] for name, some in named.items()}


def _owner(cfg: "Config") -> dict[str, Any]:
    """Return the identity of the network."""
    experiment = dict(cfg.get("experiment") or {})
    return {name: experiment.get(name) for name in ("method", "backbone", "segmentor", "source")}
