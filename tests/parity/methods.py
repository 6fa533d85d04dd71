"""Compare the methods of the field with figures of their authors' code.

`python -m tests.parity.methods [FILE]` computes every case of FILE in float64 through the layers,
losses and transforms of this package. FILE has the form of `golden_methods.json`. It prints a table
with the largest relative error of each case, and the exit code is 1 if one fails.

A tensor agrees if its values do to 1e-6 of its largest value, and sum, norm and scalar product to
1e-6 of its norm. A whole number and an index agree if they are equal. In the masks of a whole
network with ISW an entry or two may differ. Names in the file decide which layer runs; its numbers
are never known here.
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
# Which values are at a border of two clusters may depend on rounding behind many layers: so many
# entries of a mask may differ, in cases of this method alone.
_ENTRIES, _MASKED_NETWORK = 2, "ISW network"
# Truncation of pictures depends on rounding too. So many levels of their sum may differ; the values
# before are compared to the tolerance.
_LEVELS = 5


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
        return number_error(case, name, torch.as_tensor(found).item(), expected)
    if len(found) != len(expected):
        return np.inf
    return max(error_of(case, name, *pair) for pair in zip(found, expected, strict=True))


def number_error(case: Case, name: str, found: float, expected: float) -> float:
    """Return the relative error of a number; a wrong count has one of at least 1."""
    difference = abs(found - expected)
    if name == "y_uint8_sum":
        allowed = _LEVELS
    elif name.startswith("num_sensitive") and case.given["method"] == _MASKED_NETWORK:
        allowed = _ENTRIES
    else:
        allowed = 0
    if difference <= allowed:
        return 0.0
    relative = difference / max(abs(expected), 1e-300)
    return max(relative, 1.0) if isinstance(expected, int) else relative


def tensor_error(case: Case, name: str, found: torch.Tensor, expected: Mapping[str, Any]) -> float:
    """Return the largest error of a tensor; masks of a network may differ in an entry or two."""
    errors = tensor_errors(case, name, found, expected)
    masked = case.given["method"] == _MASKED_NETWORK and name.startswith("mask")
    if masked and max(errors) > TOLERANCE and np.inf not in errors:
        return mask_error(case, name, found, expected)
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


def mask_error(case: Case, name: str, found: torch.Tensor, expected: Mapping[str, Any]) -> float:
    """Return 0 for a mask in which an entry or two differ from the file's, else 1.

    The file has sums of the mask. An entry that differs moves the number of ones by one, and the
    scalar product by the probe there.
    """
    flat, probe = found.flatten(), case.probe(name, found.numel())
    more = expected["sum"] - flat.sum().item()
    shift = expected["dot"] - (flat @ probe).item()
    if abs(more) == 1:
        # One entry has to explain the shift.
        moves = probe[flat == 0] if more > 0 else -probe[flat == 1]
        unexplained = (moves - shift).abs().min().item()
    else:
        unexplained = max(abs(shift) - probe.abs().topk(_ENTRIES).values.sum().item(), 0.0)
    count = len(expected["first"])
    ends = torch.tensor([*expected["first"], *expected["last"]], dtype=flat.dtype)
    differing = (torch.cat((flat[:count], flat[-count:])) != ends).sum().item()
    is_mask = abs(expected["norm"] ** 2 - expected["sum"]) <= TOLERANCE * expected["sum"]
    few = abs(more) in (0, 1, _ENTRIES) and differing <= _ENTRIES
    return 0.0 if is_mask and few and unexplained <= TOLERANCE * expected["norm"] else 1.0


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
