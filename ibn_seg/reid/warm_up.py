"""The learning rate of the strong baseline: a linear warm-up, then steps."""

from collections.abc import Sequence
from typing import Any

from ibn_seg.errors import UserError, unknown

WARM_UPS = ("linear", "constant")


def warm_up_and_steps(
    milestones: Sequence[int] = (40, 70),
    gamma: float = 0.1,
    warm_up_epochs: int = 10,
    warm_up_factor: float = 0.01,
    warm_up: str = "linear",
) -> list[dict[str, Any]]:
    """Return `param_scheduler` of a config: mmengine's schedulers by epoch.

    Epoch e, from 1, trains with base rate * f(e) * gamma ^ (number of milestones <= e). While
    e < warm_up_epochs, f(e) = factor * (1 - e / warm_up_epochs) + e / warm_up_epochs, later 1.
    The first epoch thus has e = 1 and not 0, as in BoT's code, which steps before each epoch.

    Args:
        milestones: Epochs from which the rate is multiplied by `gamma`.
        gamma: The factor.
        warm_up_epochs: First epoch with the whole rate; 0 or 1 for no warm-up.
        warm_up_factor: f of epoch 0.
        warm_up: 'linear', or 'constant' for f = factor.

    Raises:
        UserError: `warm_up` is unknown, or a milestone is below 1.
    """
    if warm_up not in WARM_UPS:
        raise unknown("warm-up", warm_up, WARM_UPS)
    if min(milestones, default=1) < 1:
        raise UserError(f"milestones={tuple(milestones)}", "epochs count from 1")
    # mmengine counts epochs from 0.
    steps = {
        "type": "MultiStepLR",
        "milestones": [epoch - 1 for epoch in milestones],
        "gamma": gamma,
        "by_epoch": True,
    }
    if warm_up_epochs <= 1:
        return [steps]
    first = {"begin": 0, "end": warm_up_epochs, "by_epoch": True}
    if warm_up == "constant":
        return [{"type": "ConstantLR", "factor": warm_up_factor, **first}, steps]
    start = warm_up_factor * (1 - 1 / warm_up_epochs) + 1 / warm_up_epochs
    return [{"type": "LinearLR", "start_factor": start, "end_factor": 1.0, **first}, steps]


def by_iteration(schedule: Sequence[dict[str, Any]], epoch_length: int) -> list[dict[str, Any]]:
    """Return a schedule that counts iterations, for loops that have no epochs.

    The steps come at the same places. A linear warm-up rises in each iteration instead of each
    epoch, to the same rate at the same place.

    Args:
        schedule: What `warm_up_and_steps` returned.
        epoch_length: Iterations of an epoch.
    """
    found = []
    for step in schedule:
        step = {**step, "by_epoch": False}
        if "milestones" in step:
            step["milestones"] = [epoch * epoch_length for epoch in step["milestones"]]
        if "end" in step:
            # mmengine reaches the end's value one step before it.
            step["end"] = (step["end"] - 1) * epoch_length + 1
        found.append(step)
    return found
