"""Divergence over depth: result files of several networks to curves, and curves to a picture."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ibn_seg.errors import UserError, unknown
from ibn_seg.io import write_bytes

FORMATS = (".svg", ".png")


@dataclass(frozen=True)
class DepthCurve:
    """The divergence of one network over its layers.

    Attributes:
        name: The method.
        layers: Names of the layers, from the first to the last.
        values: The divergence of each, 0 or more.
    """

    name: str
    layers: tuple[str, ...]
    values: tuple[float, ...]


def depth_curves(results: Sequence[Mapping[str, Any]]) -> dict[str, list[DepthCurve]]:
    """Return the curves of several results for each pair of domains, in the results' order.

    Args:
        results: Contents of `divergence.json` files.

    Raises:
        UserError: A result is of another kind, or the networks have other layers.
    """
    found: dict[str, list[DepthCurve]] = {}
    for result in results:
        name = result.get("method") or result.get("name") or "network"
        if result.get("kind") != "divergence" or not isinstance(result.get("pairs"), Mapping):
            raise UserError(f"{name}: not a result of `ibn-seg divergence`", "give divergence.json")
        for label, pair in result["pairs"].items():
            layers = tuple(one["layer"] for one in pair["layers"])
            values = tuple(float(one["divergence"]) for one in pair["layers"])
            found.setdefault(label, []).append(DepthCurve(name, layers, values))
    for label, curves in found.items():
        for curve in curves[1:]:
            if curve.layers != curves[0].layers:
                raise UserError(
                    f"pair {label}: {curve.name} and {curves[0].name} have different layers",
                    "compare networks of one family and depth",
                )
    return found


def write_depth_plot(results: Sequence[Mapping[str, Any]], path: str | os.PathLike) -> Path:
    """Write the curves of several results as a picture, one panel per pair.

    Args:
        results: Contents of `divergence.json` files.
        path: A file ending in .svg or .png.

    Returns:
        The path.

    Raises:
        UserError: The ending is another, or the results cannot be compared.
        EnvError: The file cannot be written.
    """
    from ibn_seg.report.depth_plot import depth_figure

    path = Path(path)
    kind = check_format(path)
    write_bytes(path, depth_figure(depth_curves(results), kind))
    return path


def check_format(path: str | os.PathLike) -> str:
    """Return 'svg' or 'png' for a file name.

    Raises:
        UserError: The ending is another.
    """
    suffix = Path(path).suffix.lower()
    if suffix not in FORMATS:
        raise unknown("picture format", suffix or str(path), FORMATS)
    return suffix[1:]
