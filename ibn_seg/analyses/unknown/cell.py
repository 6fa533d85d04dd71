"""Unknown things as a cell of a benchmark."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from ibn_seg.errors import UserError


def check(options: Mapping[str, Any]) -> None:
    """See `ibn_seg.analyses.all_analyses.Cell`."""
    from ibn_seg.analyses.unknown.data_sets import read_data

    read_data(options["data"])


def lacking(
    options: Mapping[str, Any],
    domains: Mapping[str, Any],
    length: Callable[[Any], tuple[int, tuple[str, ...]]],
) -> Iterator[str]:
    """See `ibn_seg.analyses.all_analyses.Cell`; yields the missing data sets."""
    from ibn_seg.analyses.unknown.data_sets import dataset_configs

    try:
        configs = dataset_configs(options["data"])
    except UserError as error:
        yield error.line
        return
    for config in configs:
        yield from length(config)[1]


def summary(result: Mapping[str, Any]) -> str:
    """See `ibn_seg.analyses.all_analyses.Cell`."""
    found = ((n, one["pooled"]["unknown_auroc"]) for n, one in result["unknown_things"].items())
    return "AUROC " + "  ".join(f"{n} {'-' if v is None else f'{100 * v:.1f} %'}" for n, v in found)
