"""Compare re-identification with figures of the authors' code.

`python -m tests.parity.reid [FILE]` computes every case of FILE through the measures, losses,
networks and readers of this package. FILE has the form of `golden_reid.json`. It prints a table,
and the exit code is 1 if a case disagrees.

Inputs are made from the seeds that FILE names, by `reid_inputs.py`; tolerances are those of FILE.
Draws are compared by four standard errors. A case whose inputs are not in FILE is listed as such.
"""

import argparse
import json
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from tests.parity import reid_networks, reid_search, reid_training
from tests.parity.reid_outcome import Figure, unknown

FILE = Path(__file__).with_name("golden_reid.json")
Runner = Callable[[Any, Mapping[str, Any]], Iterator[Figure]]
RUNNERS: dict[str, Runner] = {
    "worked_examples": reid_search.worked_examples,
    "file_names": reid_networks.file_names,
    "retrieval": reid_search.retrieval,
    "distances": reid_search.distances,
    "reranking": reid_search.reranking,
    "multi_query": reid_search.multi_query,
    "losses": reid_training.loss_figures,
    "sampler": reid_training.sampler,
    "learning_rate": reid_training.learning_rates,
    "random_erasing": reid_training.random_erasing,
    "networks": reid_networks.networks,
}


def figures(content: Mapping[str, Any]) -> Iterator[Figure]:
    """Yield the comparison of every figure of a file's content."""
    for section, cases in content.items():
        if section == "about":
            continue
        if section not in RUNNERS:
            yield unknown(section, f"section {section!r}")
            continue
        yield from RUNNERS[section](cases, content["about"])


def main(arguments: list[str] | None = None) -> int:
    """Print the table and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("file", nargs="?", type=Path, default=FILE, metavar="FILE")
    given = parser.parse_args(arguments)
    content = json.loads(given.file.read_text(encoding="utf-8"))
    print(f"{'case':66}{'error':>10}{'allowed':>10}  verdict")
    count = wrong = 0
    for figure in figures(content):
        count, wrong = count + 1, wrong + (not figure.right)
        verdict = "agrees" if figure.right else "DIFFERS"
        verdict = "no inputs" if figure.without_inputs else verdict
        error = "-" if np.isinf(figure.error) else f"{figure.error:.1e}"
        line = f"{figure.name:66}{error:>10}{figure.allowed:>10.0e}  {verdict}"
        print(f"{line} {figure.problem}".rstrip(), flush=True)
    print(f"{count} figures, {wrong} differ")
    return 1 if wrong or not count else 0


if __name__ == "__main__":
    sys.exit(main())
