"""The option that several analyses share: which of the evaluated domains they measure."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from ibn_seg.analyses.option_kinds import Names

DOMAINS = Names(
    name="domains",
    flag="--domain",
    metavar="NAME",
    help="A domain of the config; repeat for several. Default: all.",
    default=[],
    example="[cityscapes]",
)


def lacking(
    options: Mapping[str, Any],
    domains: Mapping[str, Any],
    length: Callable[[Any], tuple[int, tuple[str, ...]]],
) -> Iterator[str]:
    """See `ibn_seg.analyses.all_analyses.Cell`; yields the missing data sets."""
    for name in options[DOMAINS.name] or domains:
        yield from length(domains[name])[1]
