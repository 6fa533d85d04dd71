"""Divergence as a cell of a benchmark."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from ibn_seg.errors import unknown


def check(options: Mapping[str, Any]) -> None:
    """See `ibn_seg.analyses.all_analyses.Cell`."""
    from ibn_seg.analyses.divergence.domain_pairs import read_pairs

    read_pairs(options["pairs"])


def lacking(
    options: Mapping[str, Any],
    domains: Mapping[str, Any],
    length: Callable[[Any], tuple[int, tuple[str, ...]]],
) -> Iterator[str]:
    """See `ibn_seg.analyses.all_analyses.Cell`; yields the pairs that cannot be compared."""
    from ibn_seg.analyses.divergence.domain_pairs import RENDERED, read_pairs
    from ibn_seg.analyses.divergence.measure import MIN_IMAGES

    for pair in read_pairs(options["pairs"]):
        for name in pair.names:
            wanted = options["images"] or (MIN_IMAGES if name.startswith(RENDERED) else None)
            found, missing = wanted, ()
            if not name.startswith(RENDERED):
                if name not in domains:
                    yield str(unknown("domain", name, domains))
                    continue
                total, missing = length(domains[name])
                one_side = total // 2 if pair.halves else total
                found = min(wanted or one_side, one_side)
            yield from missing
            if not missing and found < options["min_images"]:
                yield (
                    f"pair {pair.label}: {found} images of {name} on a side, and"
                    f" {options['min_images']} are needed: use more, or lower min_images"
                )


def summary(result: Mapping[str, Any]) -> str:
    """See `ibn_seg.analyses.all_analyses.Cell`."""
    return f"{len(result['pairs'])} pairs of domains"
