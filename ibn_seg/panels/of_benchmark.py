"""Makes panels of the images on which a benchmark's methods disagree most."""

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ibn_seg.benchmark.index import INDEX
from ibn_seg.benchmark.store import SCHEMA
from ibn_seg.config import load_config
from ibn_seg.datasets.class_map import ClassMap
from ibn_seg.errors import UserError, unknown
from ibn_seg.evaluation.stored import StoredConfusions, read_confusions
from ibn_seg.io import read_json
from ibn_seg.panels.disagreement import Disagreement, most_disagreed
from ibn_seg.progress import progress_callback
from ibn_seg.provenance import source_domains
from ibn_seg.report.runs import METHOD_ORDER, order_methods
from ibn_seg.report.stored_panels import FOLDER, write_panels
from ibn_seg.results.kept_table import POINTER
from ibn_seg.run.setup import register

Row = Mapping[str, Any]
# More predictions side by side are hard to compare by eye.
_MOST_METHODS = 6
_TRAINED_ALIKE = ("segmentor", "backbone", "source", "iterations")


def panels(
    results: str | os.PathLike,
    *,
    count: int = 2,
    methods: Sequence[str] = (),
    backbone: str | None = None,
    seed: int | None = None,
    say: Callable[[str], None] = print,
) -> Path | None:
    """Predict the images on which methods disagree most; write `RESULTS/panels`.

    `ibn_seg.panels.disagreement` chooses the images of each target from the benchmark's stored
    matrices. Then the networks of one seed predict these images only. Their checkpoints must still
    exist.

    Args:
        results: A folder of `ibn-seg benchmark`.
        count: Number of images of each target.
        methods: The methods to compare. Default: BN, IBN-a and IBN-b if at least two exist,
            else the first ones.
        backbone: Only networks of this backbone. Default: among networks trained alike, the
            backbone with the most methods.
        seed: Only networks of this seed. Default: the first seed with the most methods.
        say: Receives a line if there is nothing to predict.

    Returns:
        The index of the panels; None if fewer than two methods have their checkpoint.

    Raises:
        UserError: The folder holds no benchmark, a name or a number is wrong, or data are missing.
        EnvError: The folder cannot be written.
    """
    from ibn_seg.panels.pictures import make_panels

    if count < 1:
        raise UserError(f"count = {count}", "give 1 or more")
    results = Path(results)
    trainings = _trainings(results, methods, backbone, seed)
    chosen = _comparable([row for row in trainings if _has_checkpoint(results, row)])
    if len(chosen) < 2:
        several = len(_comparable(trainings)) > 1
        reason = "their checkpoints are gone" if several else "they need two finished methods"
        say(f"{results}: no panels: {reason}")
        return None
    stored = {name: read_confusions(results / row["confusions"]) for name, row in chosen.items()}
    # Import it before the configs do, because its maintained fork prints failed imports.
    register()
    images = _choose(stored, source_domains(next(iter(chosen.values()))["source"]), count)
    with progress_callback("predict") as progress:
        made = make_panels(
            {name: _network(results, row) for name, row in chosen.items()},
            [(one.domain, one.image) for one in images],
            _captions(images),
            progress,
            maps_of(stored),
        )
    return write_panels(results / FOLDER, made, _facts(chosen, images))


def _trainings(
    results: Path, methods: Sequence[str], backbone: str | None, seed: int | None
) -> list[Row]:
    """Return the wanted finished trainings of an index, without transfers."""
    path = results / INDEX
    if not path.is_file() and (results / POINTER).is_file():
        raise UserError(
            f"{results}: kept results have no checkpoints, so no panels",
            "give a folder of `ibn-seg benchmark`",
        )
    content = read_json(path)
    known = content if isinstance(content, Mapping) and content.get("schema") == SCHEMA else {}
    cells = known.get("cells")
    if not isinstance(cells, list) or not all(isinstance(row, Mapping) for row in cells):
        raise UserError(
            f"{path}: not the index of a benchmark, or of another version",
            "run `ibn-seg benchmark` on this folder again, which writes its index again",
        )
    rows = [
        row for row in cells
        if row.get("task", "train") == "train" and row.get("start") is None
        and row.get("state") == "done" and row.get("confusions") and row.get("config")
    ]  # fmt: skip
    wanted = {"method": methods, "backbone": [backbone] if backbone is not None else (),
              "seed": [seed] if seed is not None else ()}  # fmt: skip
    for key, values in wanted.items():
        present = list(dict.fromkeys(row.get(key) for row in rows))
        for value in values:
            if value not in present:
                raise unknown(f"{key} of {path}", str(value), [str(one) for one in present])
        rows = [row for row in rows if not values or row.get(key) in values]
    return rows


def _has_checkpoint(results: Path, row: Row) -> bool:
    return bool(row.get("checkpoint")) and (results / row["checkpoint"]).is_file()


def _comparable(rows: Sequence[Row]) -> dict[str, Row]:
    """Return the largest group of methods trained alike with one seed, by method."""
    groups: dict[tuple, dict[str, Row]] = {}
    for row in rows:
        alike = tuple(row.get(key) for key in (*_TRAINED_ALIKE, "seed"))
        groups.setdefault(alike, {}).setdefault(row["method"], row)
    largest = max(groups.values(), key=len, default={})
    names = [name for name in METHOD_ORDER if name in largest]
    if len(names) < 2:
        names = list(order_methods(list(largest)))[:_MOST_METHODS]
    return {name: largest[name] for name in names}


def _choose(
    stored: Mapping[str, StoredConfusions], sources: Sequence[str], count: int
) -> list[Disagreement]:
    """Return the images of every target; without a target, the sources' images."""
    domains = list(next(iter(stored.values())).domains)
    targets = [domain for domain in domains if domain not in sources] or domains
    return [one for domain in targets for one in most_disagreed(stored, domain, count)]


def _captions(images: Sequence[Disagreement]) -> list[str]:
    """Return domain and name of each image, with its folders if two images have one name."""
    names = [(one.domain, Path(one.image).name) for one in images]
    return [
        f"{domain}, {name if names.count((domain, name)) == 1 else one.image}"
        for one, (domain, name) in zip(images, names, strict=True)
    ]


def maps_of(stored: Mapping[str, StoredConfusions]) -> dict[tuple[str, str], ClassMap]:
    """Return the maps that the matrices were scored by, by method and domain."""
    return {
        (method, domain): images.mapping
        for method, one in stored.items()
        for domain, images in one.domains.items()
        if images.mapping is not None
    }


def _network(results: Path, row: Row) -> tuple[Any, Path]:
    return load_config(str(results / row["config"])), results / row["checkpoint"]


def _facts(chosen: Mapping[str, Row], images: Sequence[Disagreement]) -> dict[str, Any]:
    """Return the index's entries on the choice."""
    first = next(iter(chosen.values()))
    return {
        "chosen_by": "the largest differences between the methods' pixel accuracies",
        **{key: first.get(key) for key in (*_TRAINED_ALIKE, "seed")},
        "cells": {name: row["id"] for name, row in chosen.items()},
        "images": [
            {"domain": one.domain, "image": one.image, "accuracies": dict(one.accuracies),
             "spread": one.spread}
            for one in images
        ],
    }  # fmt: skip
