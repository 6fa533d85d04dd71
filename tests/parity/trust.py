"""Compare confidence, corruptions and temperatures with figures of the field's own code.

`python -m tests.parity.trust [FILE] [--frost DIR]` computes every figure of FILE through this
package and prints a table; the exit code is 1 if one differs. FILE has the form of
`golden_trust.json`. Files with a `confidence_example`, such as `real_networks.json`, are compared
by that part. Tolerances are those of the file.

Recipes in the file are parsed, never evaluated. The pictures of frost are those of the package
imagecorruptions; without them its figures are named as not compared.
"""

import argparse
import json
import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ibn_seg.errors import UserError
from ibn_seg.transforms.imagenet_c.weathers import frost_folder
from tests.parity import trust_cases
from tests.parity.trust_cases import Figure
from tests.parity.trust_pictures import picture_figures

FILE = Path(__file__).with_name("golden_trust.json")
TOLERANCE = 1e-8
# Of sums in float32, where the file says nothing else.
LOOSE = {"relis", "lts", "netcal", "ece15", "relis_grid_T_ece"}


def figures(golden: Mapping[str, Any], frost: str | None) -> Iterator[Figure | str]:
    """Yield every figure of a file; a text where one cannot be compared."""
    metrics = golden.get("metrics", {})
    for part, name, read in (
        (metrics, "main", trust_cases.main_figures),
        (metrics, "edges", trust_cases.edge_figures),
        (metrics, "bravo_index", trust_cases.index_figures),
        (metrics, "float", trust_cases.float_figures),
        (golden, "temperature", trust_cases.temperature_figures),
        (golden, "confidence_example", trust_cases.example_figures),
    ):
        if name in part:
            yield from read(part[name])
    for given in golden.get("corruptions", ()):
        yield from picture_figures(given, frost)


def tolerances(golden: Mapping[str, Any]) -> dict[str, float]:
    """Return the allowed difference by kind of figure."""
    found = dict.fromkeys(LOOSE, 1e-6)
    found |= {"picture values": 1, "picture blocks": 0.05, "picture mean": 0.02}
    for names, value in golden.get("tolerances", {}).items():
        if names == "corruptions":
            for words, number in re.findall(r"([a-z, ]+): ([\d.]+\d)", value):
                for name in words.split(","):
                    found[f"picture {name.strip()}"] = float(number)
            continue
        number = float(re.match(r"[\d.e-]+", str(value))[0])
        for name in names.split(","):
            found[re.sub(r"\s*\(.*", "", name.strip())] = number
    found.setdefault("picture std", found["picture mean"])
    return found


def main(arguments: list[str] | None = None) -> int:
    """Print the table and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("file", nargs="?", type=Path, default=FILE, metavar="FILE")
    parser.add_argument("--frost", metavar="DIR", help="folder of the pictures of frost")
    given = parser.parse_args(arguments)
    golden = json.loads(given.file.read_text(encoding="utf-8"))
    try:
        frost = frost_folder(given.frost)
    except UserError as error:
        if given.frost:
            parser.error(error.line)
        frost = None
    allowed = tolerances(golden)
    print(f"{'figure':58}{'difference':>11}{'allowed':>9}  verdict")
    count = wrong = skipped = 0
    for one in figures(golden, frost):
        if isinstance(one, str):
            skipped += 1
            print(f"{one:58}{'':>20}  not compared")
            continue
        most = allowed.get(one.kind, TOLERANCE)
        right = one.error <= most
        count, wrong = count + 1, wrong + (not right)
        verdict = "equal" if right else "DIFFERS"
        print(f"{one.name:58}{one.error:>11.1e}{most:>9.0e}  {verdict}", flush=True)
    print(f"{count} figures, {wrong} differ, {skipped} not compared")
    return 1 if wrong or not count else 0


if __name__ == "__main__":
    sys.exit(main())
