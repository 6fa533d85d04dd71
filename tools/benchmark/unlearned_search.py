"""Rank-1 and mAP of a search by colour histograms, and of chance, as one line per data set.

    python tools/benchmark/unlearned_search.py NAME=ROOT ...

NAME is a data set of `ibn-seg data check`, such as market1501. A set is too easy if colours alone
find most people.
"""

import argparse

from ibn_seg.reid.measures import scores
from ibn_seg.reid.sets.all_sets import picture_set
from ibn_seg.retrieval.colour_histogram import chance, histogram_search


def main() -> None:
    """Search and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", nargs="+", metavar="NAME=ROOT")
    for pair in parser.parse_args().data:
        name, _, root = pair.partition("=")
        data = picture_set(name, root)
        found = scores(histogram_search(data))
        print(
            f"{name} {root}: colour histogram rank-1 {found.cmc[0]:.1f}, mAP "
            f"{found.mean_precision:.1f}; chance rank-1 {chance(data):.1f}"
        )


if __name__ == "__main__":
    main()
