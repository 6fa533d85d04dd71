"""Compare the methods of the field with figures of their authors' code.

`python -m tests.parity.methods [FILE]` computes every case of FILE in float64 through the layers,
losses and transforms of this package. FILE has the form of `golden_methods.json`. It prints a table
with the largest relative error of each case, and the exit code is 1 if one fails.

A tensor agrees if its values do to 1e-6 of its largest value, and sum, norm and scalar product to
1e-6 of its norm. Names in the file decide which layer runs; its numbers are never known here.
"""

import argparse
import json
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from tests.parity import method_images, method_layers, method_networks
from tests.parity.recipes import Case

FILE = Path(__file__).with_name("golden_methods.json")
TOLERANCE = 1e-6
RUNNERS: dict[str, Callable[[Case], Mapping[str, Any]]] = {
    **method_layers.RUNNERS,
    **method_images.RUNNERS,
    **method_networks.RUNNERS,
}
# Which values are at a border of two clusters may depend on rounding: so many entries of a mask of
# a whole network, and so many levels of truncated pictures.
_ENTRIES, _LEVELS = 2, 5


@dataclass(frozen=True)
class Outcome:
    """The comparison of a case.

    Attributes:
        name: The case.
        error: The largest relative error.
        at: Where it is.
        problem: Why nothing could be compared; empty if it was.
    """

    name: str
    error: float
    at: str
    problem: str = ""

    @property
    def right(self) -> bool:
        """Whether the case agrees."""
        return not self.problem and self.error <= TOLERANCE


def compare(case: Case) -> Outcome:
    """Compute a case and compare everything that the file expects."""
    method = case.given["method"]
    if method not in RUNNERS:
        return Outcome(case.name, np.inf, "", f"method {method!r} is not known")
    found = RUNNERS[method](case)
    missing = [name for name in case.given["expect"] if name not in found]
    if missing:
        return Outcome(case.name, np.inf, "", f"nothing for {', '.join(missing)}")
    errors = {
        name: error_of(case, name, found[name], expected)
        for name, expected in case.given["expect"].items()
    }
    at = max(errors, key=lambda name: (np.isnan(errors[name]), errors[name]))
    return Outcome(case.name, errors[at], at)


def error_of(case: Case, name: str, found: Any, expected: Any) -> float:
    """Return the largest relative error of a number, a list, a mapping or a tensor."""
    if isinstance(expected, Mapping) and "shape" in expected:
        return tensor_error(case, name, torch.as_tensor(found).detach().double(), expected)
    if isinstance(expected, Mapping):
        return max(error_of(case, key, found[key], value) for key, value in expected.items())
    if isinstance(expected, bool):
        return 0.0 if found is expected else np.inf
    if isinstance(expected, int | float):
        allowed = (
            _ENTRIES if name.startswith("num_sensitive") and case.name.startswith("net.") else 0
        )
        allowed = _LEVELS if name == "y_uint8_sum" else allowed
        difference = abs(torch.as_tensor(found).item() - expected)
        return 0.0 if difference <= allowed else difference / max(abs(expected), 1e-300)
    if len(found) != len(expected):
        return np.inf
    return max(error_of(case, name, *pair) for pair in zip(found, expected, strict=True))


def tensor_error(case: Case, name: str, found: torch.Tensor, expected: Mapping[str, Any]) -> float:
    """Return the largest error of a tensor; masks of networks may differ in an entry or two."""
    errors = tensor_errors(case, name, found, expected)
    if name.startswith("mask") and np.inf not in errors:
        return mask_error(errors, found, expected)
    return float(np.max(errors))


def tensor_errors(
    case: Case, name: str, found: torch.Tensor, expected: Mapping[str, Any]
) -> list[float]:
    """Return the errors of a tensor: of values by its largest, of the rest by its norm."""
    if list(found.shape) != list(expected["shape"]):
        return [np.inf]
    flat = found.flatten()
    largest, norm = flat.abs().max().item() or 1.0, flat.norm().item() or 1.0
    pairs = [
        (value, wanted, largest)
        for key, values in (
            ("values", flat),
            ("first", flat[: len(expected.get("first", ()))]),
            ("last", flat[-len(expected.get("last", (0,))) :]),
        )
        if key in expected
        for value, wanted in zip(values.tolist(), expected[key], strict=True)
    ]
    for key, value in (
        ("sum", flat.sum()),
        ("norm", flat.norm()),
        ("dot", flat @ case.probe(name, len(flat))),
    ):
        if key in expected:
            pairs.append((value.item(), expected[key], norm))
    return [abs(value - wanted) / scale for value, wanted, scale in pairs]


def mask_error(errors: list[float], found: torch.Tensor, expected: Mapping[str, Any]) -> float:
    """Return 0 for a mask of a network in which at most an entry or two differ."""
    near = abs(found.sum().item() - expected["sum"]) <= _ENTRIES
    # One entry moves the scalar product by the probe's entry there, some standard deviations.
    close = max(errors) <= _ENTRIES * 4 / expected["norm"]
    return 0.0 if near and close else float(max(errors))


def outcomes(file: Path) -> Iterator[Outcome]:
    """Yield the comparison of each case of a file."""
    cases = json.loads(file.read_text(encoding="utf-8"))["cases"]
    for name, given in cases.items():
        yield compare(Case(name, given))


def main(arguments: list[str] | None = None) -> int:
    """Print the table and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("file", nargs="?", type=Path, default=FILE, metavar="FILE")
    given = parser.parse_args(arguments)
    print(f"{'case':34}{'largest error':>14}  {'verdict':8}where")
    count = wrong = 0
    for outcome in outcomes(given.file):
        count, wrong = count + 1, wrong + (not outcome.right)
        verdict = "equal" if outcome.right else "DIFFERS"
        detail = outcome.problem or outcome.at
        print(f"{outcome.name:34}{outcome.error:>14.1e}  {verdict:8}{detail}", flush=True)
    print(f"{count} cases, {wrong} differ; allowed {TOLERANCE:g}")
    return 1 if wrong or not count else 0


if __name__ == "__main__":
    sys.exit(main())
