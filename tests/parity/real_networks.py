"""Compare scores of other people's networks on photographs with figures of an independent script.

`python -m tests.parity.real_networks [FILE [PREDICTIONS]] [--data DIR]` scores every network that
has predictions in PREDICTIONS/NETWORK/DOMAIN/NAME.png through the product. It compares counts, IoU
and mIoU with FILE, which has the form of `real_networks.json`. The labels are those of CamVid and
IDD-Lite below DIR. Networks without predictions, and predictions without an entry or of other data
sets, are named. The exit code is 1 if anything disagrees.
"""

import argparse
import json
import math
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ibn_seg.datasets.known_classes import SPACES, known_map, known_outputs, space_of
from ibn_seg.errors import EnvError, UserError
from ibn_seg.evaluation.confusion import scores
from ibn_seg.evaluation.stored import read_confusions
from ibn_seg.run.score_predictions import evaluate_predictions

SHARED = Path(__file__).resolve().parents[3] / "shared"
FILE = SHARED / "golden" / "real_networks.json"
PREDICTIONS = SHARED / "real" / "predictions"
DATA = SHARED / "real"
# The folder of each domain below DIR.
ROOTS = {"camvid": "CamVid", "idd_lite": "idd20k_lite"}
TOLERANCE = 1e-6
# Published figures have two digits.
PUBLISHED_TOLERANCE = 0.01
PUBLISHED = "published_check"


def main(arguments: list[str] | None = None) -> int:
    """Print one line per network and domain, and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("file", nargs="?", type=Path, default=FILE, metavar="FILE")
    parser.add_argument("predictions", nargs="?", type=Path, default=PREDICTIONS)
    parser.add_argument("--data", type=Path, default=DATA, metavar="DIR")
    given = parser.parse_args(arguments)
    try:
        golden = json.loads(given.file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        parser.error(f"{given.file}: cannot be read as JSON ({error})")
    if not given.predictions.is_dir():
        parser.error(f"{given.predictions}: no such folder of predictions")
    lines = [*compare_maps(golden), *compare_networks(golden, given.predictions, given.data)]
    for right, line in lines:
        print(f"{'ok  ' if right else 'NOT '} {line}")
    wrong = sum(not right for right, _ in lines)
    print(f"{len(lines)} comparisons, {wrong} disagree")
    return 1 if wrong or not lines else 0


def compare_maps(golden: Mapping[str, Any]) -> Iterator[tuple[bool, str]]:
    """Yield whether our map to each target is that of the file."""
    for domain, groups in golden.get("groups", {}).items():
        known = domain in SPACES and domain in ROOTS
        ours = known_map(space_of("cityscapes").classes, SPACES[domain]) if known else None
        same = ours is not None and (
            list(ours.groups) == groups["names"]
            and list(ours.group_of) == groups["group_of_trainId"]
        )
        yield same, f"map to {domain}: {len(groups['names'])} groups"


def compare_networks(
    golden: Mapping[str, Any], predictions: Path, data: Path
) -> Iterator[tuple[bool, str]]:
    """Yield whether the scores of each network on each domain are those of the file."""
    folders = {path.name: path for path in sorted(predictions.iterdir()) if path.is_dir()}
    published = published_network(golden, folders)
    networks = golden.get("networks", {})
    if PUBLISHED in golden:
        yield from published_scores(golden[PUBLISHED])
    for name, entry in networks.items():
        if name in folders:
            yield from compare_network(folders[name], data, entry)
        else:
            print(f"     {name}: no predictions")
    for name, folder in folders.items():
        if name == published:
            check = compare_published(folder, data, golden[PUBLISHED])
            yield from or_refused(f"{name}, camvid", check)
        elif name not in networks:
            print(f"     {name}: no entry")


def compare_network(
    folder: Path, data: Path, entry: Mapping[str, Any]
) -> Iterator[tuple[bool, str]]:
    """Yield whether the scores of one network agree, on each domain that has both."""
    here = {path.name for path in folder.iterdir() if path.is_dir()}
    known = {key for key, value in entry.items() if isinstance(value, dict) and "counts" in value}
    for domain in sorted(here | known | (ROOTS.keys() & entry.keys())):
        title = f"{folder.name}, {domain}"
        if domain not in ROOTS:
            print(f"     {title}: no data set of this comparison")
        elif domain in here and domain in entry:
            yield from or_refused(title, compare_domain(folder, domain, data, entry[domain]))
        else:
            print(f"     {title}: no {'entry' if domain in here else 'predictions'}")


def or_refused(title: str, comparisons: Iterator[tuple[bool, str]]) -> Iterator[tuple[bool, str]]:
    """Yield comparisons; what the product refuses is one that disagrees, and the rest goes on."""
    try:
        yield from comparisons
    except EnvError:
        raise
    except UserError as error:
        yield False, f"{title}: {error.line}"


def published_network(golden: Mapping[str, Any], folders: Mapping[str, Path]) -> str | None:
    """Return the folder with the predictions of the published check, or None."""
    about = golden.get(PUBLISHED, {}).get("what", "")
    return next((name for name in folders if f"{name}.pth" in about), None)


def compare_domain(
    folder: Path, domain: str, data: Path, entry: Mapping[str, Any]
) -> Iterator[tuple[bool, str]]:
    """Yield whether counts and scores of one network on one domain agree."""
    outputs = len(entry["counts"][0]) if "counts" in entry else None
    with tempfile.TemporaryDirectory() as work:
        result = evaluate_predictions(
            folder, [f"{domain}={data / ROOTS[domain]}"], method=folder.name, work_dir=work,
            classes=known_outputs(outputs),
        )  # fmt: skip
        stored = read_confusions(Path(work) / result["confusions"])
    scored = result["domains"][domain]
    counts = stored.domains[domain].counts.sum(axis=0)
    title = f"{folder.name}, {domain}"
    yield counts.tolist() == scored["confusion"], f"{title}: counts of the result file"
    for key, ours, words in (
        ("images", scored["images"], f"{scored['images']} images"),
        ("counts", counts, f"counts {counts.shape}"),
        *((key, scored[key], f"{key} {scored[key]:.6f}") for key in ("mIoU", "aAcc", "mAcc")),
        ("IoU", scored["IoU"], f"IoU of {len(scored['IoU'])} classes"),
    ):
        if key in entry:
            yield agree(ours, entry[key]), f"{title}: {words}"
        else:
            print(f"     {title}: no {key} in the file")


def published_scores(entry: Mapping[str, Any]) -> Iterator[tuple[bool, str]]:
    """Yield whether a matrix with void scores as published, by both rules of void."""
    confusion = np.array(entry["confusion"])
    groups = len(confusion) - 1
    classes = [str(at) for at in range(groups)]
    for void, key in (
        (None, "mIoU_void_ignored"),
        (confusion[groups], "mIoU_predictions_on_void_are_false_positives"),
    ):
        found = scores(confusion[:groups], classes, void=void)
        near = abs(found.mIoU - entry[key]) < PUBLISHED_TOLERANCE
        yield near, f"published check: mIoU {found.mIoU:.4f}, {key} {entry[key]}"
    near = abs(found.mAcc - entry["class_average"]) < PUBLISHED_TOLERANCE
    yield near, f"published check: mAcc {found.mAcc:.4f}, class_average {entry['class_average']}"


def compare_published(
    folder: Path, data: Path, entry: Mapping[str, Any]
) -> Iterator[tuple[bool, str]]:
    """Yield whether ESPNet's predictions on CamVid give the matrix of the published scores.

    Predictions may lack the class void: where the network's largest output is void, they hold the
    next class. Then no count may be below the published one, and the labels' pixels are the same.
    """
    space = space_of("camvid")
    classes = {"name": "camvid and void", "classes": [*space.classes, "void"]}
    mapping = {"groups": {name: [name] for name in space.classes}, "none": ["void"]}
    expected = np.array(entry["confusion"])
    for protocol in ("native", "void_is_wrong"):
        with tempfile.TemporaryDirectory() as work:
            result = evaluate_predictions(
                folder, [f"camvid={data / ROOTS['camvid']}"], method=folder.name, work_dir=work,
                classes=classes, maps={"camvid": mapping}, protocol=protocol,
            )  # fmt: skip
        scored = result["domains"]["camvid"]
        counts = np.array(scored["confusion"])
        title = f"{folder.name}, {protocol}"
        if counts[:, -1].any():
            yield np.array_equal(counts, expected), f"{title}: counts"
        else:
            moved = (counts - expected)[:, :-1]
            same = (moved >= 0).all() and np.array_equal(moved.sum(axis=1), expected[:, -1])
            yield same, f"{title}: counts, void predictions given to the next class"
        void = counts[-1] if protocol == "void_is_wrong" else None
        ours = scores(counts[:-1], space.classes, void=void).mIoU
        yield close(scored["mIoU"], ours), f"{title}: mIoU {scored['mIoU']:.4f}"


def agree(ours: Any, theirs: Any) -> bool:
    """Tell whether a number, counts, or the IoU of every class agree.

    Classes that are absent may be null, NaN or left out.
    """
    if isinstance(ours, np.ndarray):
        return np.array_equal(ours, theirs)
    if not isinstance(ours, Mapping):
        return close(ours, theirs)
    there = {name: one for name, one in theirs.items() if one is not None and not math.isnan(one)}
    return ours.keys() == there.keys() and all(close(ours[name], there[name]) for name in ours)


def close(ours: float, theirs: float) -> bool:
    """Tell whether two scores in percent agree."""
    return abs(ours - theirs) <= TOLERANCE


if __name__ == "__main__":
    sys.exit(main())
