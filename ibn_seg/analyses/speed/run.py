"""Compares a trained network with its BN twin: time, memory, parameters, multiply-adds."""

import os
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from ibn_seg.analyses.speed.timing import ENOUGH, LEAST, Times, quartiles, time_in_turn
from ibn_seg.analyses.speed.twin import bn_twin
from ibn_seg.errors import UserError
from ibn_seg.run.result_file import finish
from ibn_seg.run.segmentation import network_of, trained_runner

if TYPE_CHECKING:
    from mmengine.config import Config
    from torch import nn

Progress = Callable[[int, int], None]


def speed(
    config: "str | os.PathLike | Config",
    checkpoint: str | os.PathLike,
    *,
    repeats: int = ENOUGH,
    size: tuple[int, int] = (512, 256),
    seed: int = 0,
    work_dir: str | os.PathLike | None = None,
    cfg_options: Mapping[str, Any] | None = None,
    quiet: bool = False,
    command: str | None = None,
    progress: Progress | None = None,
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
        work_dir: The folder for log and result. Default: `speed` in the config's `work_dir`,
            else in `work_dirs/CONFIG_NAME`.
        cfg_options: Values that override the config's, by dotted key.
        quiet: Keep mmengine's log lines off the console.
        command: The command line, for the record.
        progress: Called with (repeats done, repeats in all).

    Returns:
        The content of the result file.

    Raises:
        UserError: The config, the checkpoint or an option is wrong.
        EnvError: Something cannot be written.
    """
    if repeats < LEAST:
        raise UserError(f"repeats = {repeats}", f"give {LEAST} or more, which quartiles need")
    with trained_runner(
        config,
        checkpoint,
        default_folder="speed",
        work_dir=work_dir,
        cfg_options=cfg_options,
        quiet=quiet,
    ) as runner:
        # No mmengine loop runs here to call the hooks for a run's beginning and end.
        runner.call_hook("before_run")
        found = _compared(
            runner.cfg, network_of(runner.model), repeats, tuple(size), seed, progress
        )
        runner.call_hook("after_run")
        return finish(
            runner,
            "speed",
            lambda: {**_owner(runner.cfg), **found},
            command=command,
            checkpoint=str(checkpoint),
        )


def _compared(
    cfg: "Config",
    network: "nn.Module",
    repeats: int,
    size: tuple[int, int],
    seed: int,
    progress: Progress | None,
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
