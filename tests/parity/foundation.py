"""Compare networks of timm and their tuning with figures of the authors' code.

`python -m tests.parity.foundation [FILE]` computes every case of FILE through this package. FILE
has the form of `golden_foundation.json`. It prints a table with the largest error of each case, and
the exit code is 1 if one fails. It is 1 too if timm has another version than FILE's.

Values of a tensor are compared by its largest value, and sum, norm and scalar product by its norm.
Names in the file decide what runs; its numbers are never known here.
"""

import argparse
import json
import math
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from ibn_seg.foundation.timm_models import timm_package
from tests.parity import (
    foundation_counts,
    foundation_groups,
    foundation_layers,
    foundation_masks,
    foundation_networks,
)
from tests.parity.methods import tensor_errors
from tests.parity.recipes import Case

FILE = Path(__file__).with_name("golden_foundation.json")
RUNNERS: dict[str, Callable[[Case], Mapping[str, Any]]] = {
    **foundation_layers.RUNNERS,
    **foundation_networks.RUNNERS,
    **foundation_groups.RUNNERS,
    **foundation_masks.RUNNERS,
}
# Largest errors by the begin of what a case is; positions are resampled in float32.
TOLERANCE, _RESAMPLED = 1e-6, 3e-6
_TOLERANCES = {
    "dinov2 interpolate_pos_encoding": 1e-5,
    "Rein convert script": 2e-5,
    "rein/peft/sora.py": 1e-4,
}
# Numbers that the file gives to three digits, and differences that are rounding alone.
_ROUNDED = ("difference", "differences", "timm_difference", "sum_over_kernel")
_DIGITS, _ROUNDING = 6e-3, 2e-7
_CHANGE, _LARGEST_CHANGE = "output_change_at_init", 1e-5
# The randomised SVD of this start finds values near the largest.
_SKETCH, _NEAR = "sora_niter", 0.1


@dataclass(frozen=True)
class Outcome:
    """The comparison of a case.

    Attributes:
        name: The case.
        error: The largest error, as a share of what is allowed where that differs.
        allowed: The largest error that may be.
        at: Where it is.
        problem: Why nothing could be compared; empty if it was.
    """

    name: str
    error: float
    allowed: float
    at: str
    problem: str = ""

    @property
    def right(self) -> bool:
        """Whether the case agrees."""
        return not self.problem and self.error <= self.allowed


def compare(case: Case) -> Outcome:
    """Compute a case and compare everything that the file expects."""
    what = case.given["what"]
    runner = next((run for start, run in RUNNERS.items() if what.startswith(start)), None)
    if runner is None:
        return Outcome(case.name, math.inf, 0.0, "", f"{what!r} is not known")
    found = runner(case)
    expected = case.given["expect"]
    missing = [name for name in expected if name not in found]
    if missing:
        return Outcome(case.name, math.inf, 0.0, "", f"nothing for {', '.join(missing)}")
    allowed = tolerance(case)
    errors = {
        name: error_of(case, name, found[name], value, allowed) for name, value in expected.items()
    }
    at = max(errors, key=lambda name: (math.isnan(errors[name]), errors[name]))
    return Outcome(case.name, errors[at], allowed, at)


def tolerance(case: Case) -> float:
    """Return the largest relative error that a case may have."""
    if case.given.get("params", {}).get("lora_weight_init", "").startswith(_SKETCH):
        return _NEAR
    what = case.given["what"]
    special = [value for start, value in _TOLERANCES.items() if what.startswith(start)]
    if special:
        return special[0]
    size = case.given.get("timm_args", case.given.get("params", {})).get("img_size")
    resampled = size is not None and case.given.get("input", [size])[2:] != [size, size]
    return _RESAMPLED if resampled else TOLERANCE


def error_of(case: Case, name: str, found: Any, expected: Any, allowed: float) -> float:
    """Return the largest relative error of a number, a list, a mapping or a tensor."""
    if isinstance(expected, Mapping) and "shape" in expected:
        value = torch.as_tensor(found).detach().double()
        return max(tensor_errors(case, name, value, expected))
    if isinstance(expected, Mapping):
        if set(found) != set(expected):
            return math.inf
        return max(error_of(case, name, found[key], expected[key], allowed) for key in expected)
    if isinstance(expected, str) or expected is None or isinstance(expected, bool):
        return 0.0 if found == expected else math.inf
    if isinstance(expected, int | float):
        return number_error(name, torch.as_tensor(found).item(), expected, allowed)
    if len(found) != len(expected):
        return math.inf
    pairs = zip(found, expected, strict=True)
    return max((error_of(case, name, *pair, allowed) for pair in pairs), default=0.0)


def number_error(name: str, found: float, expected: float, allowed: float) -> float:
    """Return the error of a number; 0 where it is within what the file's digits tell."""
    difference = abs(found - expected)
    if name == _CHANGE:
        return 0.0 if found <= _LARGEST_CHANGE else found
    if name in _ROUNDED:
        fine = difference <= _DIGITS * abs(expected) + _ROUNDING
        return 0.0 if fine else difference
    if isinstance(expected, int):
        return 0.0 if difference == 0 else math.inf
    return difference / max(abs(expected), 1e-300)


def outcomes(content: Mapping[str, Any]) -> Iterator[Outcome]:
    """Yield the comparison of each case of a file, and of its counts of parameters."""
    for name, given in content["cases"].items():
        yield compare(Case(name, given))
    for name, problem in foundation_counts.differences(content.get("counts", {})):
        yield Outcome(f"counts: {name}", 0.0, 0.0, "", problem)


def main(arguments: list[str] | None = None) -> int:
    """Print the table and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("file", nargs="?", type=Path, default=FILE, metavar="FILE")
    given = parser.parse_args(arguments)
    content = json.loads(given.file.read_text(encoding="utf-8"))
    installed, meant = timm_package().__version__, content.get("timm")
    other = meant is not None and meant != installed
    if other:
        print(f"timm {installed} is installed, {given.file} is of timm {meant}", file=sys.stderr)
    print(f"{'case':48}{'largest error':>14}  {'verdict':8}where")
    count = wrong = 0
    for outcome in outcomes(content):
        count, wrong = count + 1, wrong + (not outcome.right)
        verdict = "equal" if outcome.right else "DIFFERS"
        detail = outcome.problem or outcome.at
        print(f"{outcome.name:48}{outcome.error:>14.1e}  {verdict:8}{detail}", flush=True)
    print(f"{count} cases, {wrong} differ")
    return 1 if wrong or other or not count else 0


if __name__ == "__main__":
    sys.exit(main())
