"""Write the tables of data sets into data/README.md, from the cards of the data sets.

    python tools/write_data_page.py              # data/README.md
    python tools/write_data_page.py --check      # writes nothing; exit code 2 if one is old

A page holds `<!-- table: NAME -->` and `<!-- end -->`, see `ibn_seg.report.marked_tables`. The
names are those of `TABLES`.
"""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

from ibn_seg.datasets.all_datasets import DATA_SETS, dataset_class
from ibn_seg.report.marked_tables import markdown, rewrite

PAGE = Path(__file__).resolve().parents[1] / "data" / "README.md"


def readers() -> list[str]:
    """Return the table of what is read: names, classes, labels."""
    lines = [["data set", "`NAME`", "class", "root variable", "labels in the download",
              "quirks that are handled"]]  # fmt: skip
    for name in DATA_SETS:
        kind = dataset_class(name)
        # A class without a variable has the argument that names its root there.
        variable = f"`{kind.ROOT_VARIABLE}`" if kind.ROOT_VARIABLE.isupper() else ""
        card = kind.CARD
        lines.append([card.title, f"`{name}`", f"`{kind.__name__}`", variable, card.labels,
                      card.quirks])  # fmt: skip
    return markdown(lines, numbers=())


def evaluations() -> list[str]:
    """Return the table of classes, tested layouts and protocols."""
    cards = [dataset_class(name).CARD for name in DATA_SETS]
    header = ["data set", "classes", "layouts tested", "protocols"]
    rows = ([card.title, card.classes, card.layouts, card.protocols] for card in cards)
    return markdown([header, *rows], numbers=(1,))


TABLES: dict[str, Callable[[], list[str]]] = {
    "data-sets": readers,
    "data-sets-tested": evaluations,
}


def main() -> int:
    """Run the command and return its exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("pages", nargs="*", type=Path, help="default: data/README.md")
    parser.add_argument("--check", action="store_true", help="write nothing")
    given = parser.parse_args()
    return rewrite(given.pages or [PAGE], TABLES, check=given.check)


if __name__ == "__main__":
    sys.exit(main())
