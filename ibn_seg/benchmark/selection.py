"""Selects the checkpoint of a training by a rule that never looks at a target."""

import statistics
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ibn_seg.provenance import source_domains

LAST = "last"


def selected(result: Mapping[str, Any], rule: str) -> tuple[int, dict[str, float]]:
    """Return the iteration that a rule selects, and each domain's mIoU there, percent.

    Targets that were only evaluated after the training have no mIoU at another iteration.

    Args:
        result: The content of a training's `result.json`.
        rule: 'last' or 'best-on-source-validation'. The latter is the validation with the highest
            mIoU on the source, the first of equals. Neither uses a target.
    """
    last = {name: scores["mIoU"] for name, scores in result["domains"].items()}
    if rule == LAST:
        return result["iterations"], last
    sources = [f"{name}/mIoU" for name in source_domains(result["source"])]
    best = max(result["curves"]["val"], key=lambda v: statistics.fmean(v[key] for key in sources))
    return best["iter"], {name: best[f"{name}/mIoU"] for name in last if f"{name}/mIoU" in best}


def selected_checkpoint(work_dir: Path, result: Mapping[str, Any], rule: str) -> Path | None:
    """Return the file of the network that a rule selects; None if it does not exist.

    Args:
        work_dir: The folder of the training.
        result: The content of its `result.json`.
        rule: As for `selected`.
    """
    iteration, _ = selected(result, rule)
    names = f"iter_{iteration}.pth" if rule == LAST else f"best_*_iter_{iteration}.pth"
    return next(iter(sorted(work_dir.glob(names))), None)
