"""Collects the settings that change a cell's numbers."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import ibn_seg
from ibn_seg.analyses.all_analyses import analysis as declared
from ibn_seg.analyses.all_analyses import part
from ibn_seg.benchmark.plan import Plan
from ibn_seg.benchmark.plan_parts import PlannedAnalysis
from ibn_seg.results.identity import counted

# Kinds of frames that old plans do not have. A count of 0 leaves the identity unchanged.
_OPTIONAL_FRAMES = ("adverse_train", "adverse_val", "varied", "varied_without")
# No training and no evaluation sees them.
_FRAMES_OF_ANALYSES = ("oddities",)


def identity_of(config: Mapping[str, Any], plan: Plan) -> dict[str, Any]:
    """Return a config's settings that change a training's numbers, without `LEFT_OUT`."""
    return {
        "ibn_seg": ibn_seg.__version__,
        "threads": plan.threads,
        "processes": plan.processes,
        "protocol": plan.protocol,
        "selection": plan.selection,
        "scenes": _frames(plan),
        "config": counted(config),
    }


def analysis_identity(analysis: PlannedAnalysis, plan: Plan, training: str) -> dict[str, Any]:
    """Return the settings that change the numbers of an analysis of a trained network.

    Args:
        analysis: The analysis.
        plan: The plan.
        training: Id of the cell that trains the network.
    """
    options = {one.name: one for one in part(analysis.task, "options").OPTIONS}
    frames = declared(analysis.task).frames
    scenes = {key: getattr(plan.scenes, key) for key in frames} if plan.scenes else {}
    return {
        "ibn_seg": ibn_seg.__version__,
        "threads": plan.threads,
        "task": analysis.task,
        "needs": [training],
        "options": {
            name: options[name].identity(value) for name, value in analysis.options.items()
        },
        **({"scenes": scenes} if scenes else {}),
    }


def _frames(plan: Plan) -> dict[str, Any] | None:
    """Return the identity of the scenes that trainings and evaluations see."""
    scenes = asdict(plan.scenes) if plan.scenes else None
    return scenes and {
        key: value
        for key, value in scenes.items()
        if key not in _FRAMES_OF_ANALYSES and (value or key not in _OPTIONAL_FRAMES)
    }
