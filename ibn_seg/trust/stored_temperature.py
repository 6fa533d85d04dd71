"""Fit temperatures on a part of a domain's images, and keep them in a file beside the checkpoint.

The images are cut in two by the hashes of their names. Temperatures are fitted on the first half
alone. NLL and ECE are given for both halves, before and after.
"""

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ibn_seg.errors import UserError
from ibn_seg.io import read_json, sha256, write_json
from ibn_seg.trust.calibration_error import count_pixels, ece, reliability
from ibn_seg.trust.probabilities import from_logits
from ibn_seg.trust.temperature import COLDEST, FEWEST, HOTTEST, fit_by_class, fit_temperature

FORMAT = "ibn_seg.temperature"
VERSION = 1
# One temperature for all pixels, or one for each predicted class.
KINDS = ("global", "class")
# Pixels that are measured together: 40 MB of float64 for 19 classes.
_PIECE = 2**18


@dataclass(frozen=True)
class StoredTemperature:
    """The temperatures of a checkpoint.

    Attributes:
        kind: One of `KINDS`.
        values: One temperature for each of the network's classes; equal ones if 'global'.
        domain: The domain whose images they were fitted on.
        images: The names of these images.
    """

    kind: str
    values: tuple[float, ...]
    domain: str
    images: tuple[str, ...]


def halves(names: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return the images for the fit, and the others, by the hashes of their names.

    Raises:
        UserError: There are fewer than two.
    """
    if len(names) < 2:
        raise UserError(
            f"temperature: {len(names)} validation images", "two or more are needed: one to check"
        )
    ordered = sorted(names, key=lambda name: hashlib.sha256(os.fsencode(name)).digest())
    middle = (len(ordered) + 1) // 2
    return ordered[:middle], ordered[middle:]


def fit(
    pixels: Mapping[str, tuple[np.ndarray, np.ndarray]], classes: Sequence[str], domain: str
) -> dict[str, Any]:
    """Return temperatures and what they do, ready for JSON.

    Args:
        pixels: For each image by name (P, K) logits and (P,) labels, all of them classes.
        classes: The K names of the network's classes.
        domain: The name of the domain.

    Returns:
        `global` and `class`: the `values`, one for each class. `fit` and `check`: of each half its
        `images`, the number of `pixels`, and by kind, `none` included, `nll` and `ece`. `notes`:
        lines on classes that have no temperature of their own.

    Raises:
        UserError: There are too few images or no labelled pixel, or the fit ran to its bound.
    """
    mine, others = halves(list(pixels))
    logits, labels = (np.concatenate([pixels[name][at] for name in mine]) for at in (0, 1))
    overall = fit_temperature(logits, labels)
    if overall.at_bound:
        raise UserError(
            f"temperature: the fit on {domain!r} ran to its bound {overall.value:g}",
            f"allowed: above {COLDEST:g}, below {HOTTEST:g}; every pixel there is right, or the "
            "labels are wrong",
        )
    values, notes = [], []
    for name, one in zip(classes, fit_by_class(logits, labels), strict=True):
        reason = None if one is not None else f"fewer than {FEWEST} pixels"
        reason = f"the fit ran to its bound {one.value:g}" if one and one.at_bound else reason
        values.append(overall.value if reason else one.value)
        if reason:
            notes.append(f"{name}: {reason}; it gets the temperature of all pixels")
    by_kind = {"none": [1.0] * len(values), "global": [overall.value] * len(values)}
    by_kind["class"] = values
    return {
        "domain": domain,
        "classes": list(classes),
        **{kind: {"values": by_kind[kind]} for kind in KINDS},
        "fit": _effects(pixels, mine, by_kind),
        "check": _effects(pixels, others, by_kind),
        "notes": notes,
    }


def _effects(
    pixels: Mapping[str, tuple[np.ndarray, np.ndarray]],
    names: Sequence[str],
    by_kind: Mapping[str, Sequence[float]],
) -> dict[str, Any]:
    """Return NLL and ECE of some images by kind of temperature."""
    logits, labels = (np.concatenate([pixels[name][at] for name in names]) for at in (0, 1))
    found: dict[str, Any] = {"images": sorted(names), "pixels": len(labels)}
    for kind, values in by_kind.items():
        found[kind] = _nll_and_ece(logits, labels, np.asarray(values))
    return found


def _nll_and_ece(
    logits: np.ndarray, labels: np.ndarray, values: np.ndarray
) -> dict[str, float | None]:
    nll, diagram = 0.0, np.zeros(())
    for start in range(0, len(labels), _PIECE):
        part, truth = logits[start : start + _PIECE], labels[start : start + _PIECE]
        found = from_logits(part, values[part.argmax(axis=1)][:, None])
        nll += float(found.nll(truth).sum())
        counts = count_pixels(found.confidence, found.prediction == truth)
        diagram = diagram + reliability(counts)
    if not len(labels):
        return {"nll": None, "ece": None}
    return {"nll": nll / len(labels), "ece": float(ece(diagram))}


def temperature_file(checkpoint: str | os.PathLike) -> Path:
    """Return the file beside a checkpoint: iter_600.temperature.json for iter_600.pth."""
    return Path(checkpoint).with_suffix(".temperature.json")


def write_temperature(checkpoint: str | os.PathLike, found: Mapping[str, Any]) -> Path:
    """Write what `fit` returned beside a checkpoint, and return the file.

    Raises:
        EnvError: It cannot be written.
    """
    path = temperature_file(checkpoint)
    about = {"format": FORMAT, "version": VERSION, "checkpoint": sha256(checkpoint)}
    write_json(path, {**about, **found})
    return path


def read_temperature(checkpoint: str | os.PathLike, kind: str) -> StoredTemperature:
    """Return the temperatures that lie beside a checkpoint.

    Args:
        checkpoint: The checkpoint.
        kind: One of `KINDS`.

    Raises:
        UserError: There are none, they are of other weights, or the file is damaged.
    """
    path = temperature_file(checkpoint)
    again = f"ibn-seg temperature CONFIG {checkpoint}"
    if not path.is_file():
        raise UserError(f"--temperature: {path} does not exist", f"write it by {again}")
    try:
        found = read_json(path)
        if (found["format"], found["version"]) != (FORMAT, VERSION):
            raise ValueError(found["version"])
        values = tuple(float(value) for value in found[kind]["values"])
        if not all(COLDEST < value < HOTTEST for value in values):
            raise ValueError(values)
        stored = StoredTemperature(
            kind, values, str(found["domain"]), tuple(found["fit"]["images"])
        )
        of_weights = found["checkpoint"]
    except (KeyError, TypeError, ValueError, json.JSONDecodeError) as error:
        raise UserError(f"{path}: not a file of temperatures, or damaged", again) from error
    if of_weights != sha256(checkpoint):
        raise UserError(f"{path}: of other weights than {checkpoint}", f"write it by {again}")
    return stored
