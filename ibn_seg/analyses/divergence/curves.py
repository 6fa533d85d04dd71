"""Turns result files of several networks into curves of divergence over depth."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ibn_seg.errors import UserError, unknown
from ibn_seg.report.result_owner import reading

FORMATS = (".svg", ".png")
# Layers of one result, each with its divergence.
_Depth = tuple[tuple[str, ...], tuple[float, ...]]


@dataclass(frozen=True)
class DepthCurve:
    """The divergence of one method over the layers of its network.

    Attributes:
        name: The method.
        layers: Names of the layers, from the first to the last.
        values: For each layer, one divergence per seed, 0 or more.
    """

    name: str
    layers: tuple[str, ...]
    values: tuple[tuple[float, ...], ...]


def depth_curves(results: Sequence[Mapping[str, Any]]) -> dict[str, list[DepthCurve]]:
    """Return the curves of several results for each pair of domains, in the results' order.

    Results of one method and backbone are seeds of one curve. A second result of the same seed,
    such as one of an earlier checkpoint, begins another curve.

    Args:
        results: Contents of `divergence.json` files.

    Raises:
        UserError: A result is of another kind or damaged, or the networks have different layers.
    """
    found: dict[str, dict[str, list[_Depth]]] = {}
    names = _curve_names(results)
    for result, name in zip(results, names, strict=True):
        with reading(result, "divergence"):
            for label, pair in result["pairs"].items():
                layers = tuple(str(one["layer"]) for one in pair["layers"])
                values = tuple(float(one["divergence"]) for one in pair["layers"])
                depths = found.setdefault(label, {}).setdefault(name, [])
                depths.append((layers, values))
    return {label: _curves_of(label, named) for label, named in found.items()}


def _curve_names(results: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the name of each result's curve."""
    owners = []
    for result in results:
        with reading(result, "divergence") as owner:
            owners.append(owner)
    several = len({owner.backbone for owner in owners}) > 1
    seen: dict[tuple[str, int | None], int] = {}
    names = []
    for owner in owners:
        name = f"{owner.method}, {owner.backbone}" if several else owner.method
        count = seen[name, owner.seed] = seen.get((name, owner.seed), 0) + 1
        names.append(name if count == 1 else f"{name} ({count})")
    return names


def _curves_of(label: str, named: Mapping[str, Sequence[_Depth]]) -> list[DepthCurve]:
    """Return the curves of one pair.

    Raises:
        UserError: The networks have different layers.
    """
    first = next(iter(named))
    layers = named[first][0][0]
    for name, depths in named.items():
        if any(given != layers for given, _ in depths):
            raise UserError(
                f"pair {label}: {name} and {first} have different layers",
                "compare networks of one family and depth",
            )
    return [
        DepthCurve(name, layers, tuple(zip(*(values for _, values in depths), strict=True)))
        for name, depths in named.items()
    ]


def check_format(path: str | os.PathLike) -> str:
    """Return 'svg' or 'png' for a file name.

    Raises:
        UserError: The file has another ending.
    """
    suffix = Path(path).suffix.lower()
    if suffix not in FORMATS:
        raise unknown("picture format", suffix or str(path), FORMATS)
    return suffix[1:]
