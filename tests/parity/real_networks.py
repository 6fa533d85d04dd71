"""Compare scores of other people's networks on photographs with figures of an independent script.

`python -m tests.parity.real_networks [FILE [PREDICTIONS]] [--data DIR]` scores every network that
has predictions in PREDICTIONS/NETWORK/DOMAIN/NAME.png through the product. It compares counts, IoU
and mIoU with FILE, which has the form of `real_networks.json`. The labels are those of CamVid and
IDD-Lite below DIR. Networks without predictions, and predictions without an entry, are named. The
exit code is 1 if anything disagrees.
"""

import argparse
import json
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ibn_seg.datasets.known_classes import SPACES, known_map, space_of
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
    golden = json.loads(given.file.read_text(encoding="utf-8"))
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
    if PUBLISHED in golden:
        yield from published_scores(golden[PUBLISHED])
    for name, entry in golden["networks"].items():
        if name not in folders:
            print(f"     {name}: no predictions")
            continue
        for domain in ROOTS:
            here, has = (folders[name] / domain).is_dir(), domain in entry
            if here and has:
                yield from compare_domain(folders[name], domain, data, entry[domain])
            elif here or has:
                print(f"     {name}, {domain}: no {'entry' if here else 'predictions'}")
    for name, folder in folders.items():
        if name == published:
            yield from compare_published(folder, data, golden[PUBLISHED])
        elif name not in golden["networks"]:
            print(f"     {name}: no entry")


def published_network(golden: Mapping[str, Any], folders: Mapping[str, Path]) -> str | None:
    """Return the folder with the predictions of the published check, or None."""
    about = golden.get(PUBLISHED, {}).get("what", "")
    return next((name for name in folders if f"{name}.pth" in about), None)


def compare_domain(
    folder: Path, domain: str, data: Path, entry: Mapping[str, Any]
) -> Iterator[tuple[bool, str]]:
    """Yield whether counts and scores of one network on one domain agree."""
    with tempfile.TemporaryDirectory() as work:
        result = evaluate_predictions(
            folder, [f"{domain}={data / ROOTS[domain]}"], method=folder.name, work_dir=work
        )
        stored = read_confusions(Path(work) / result["confusions"])
    scored = result["domains"][domain]
    counts = stored.domains[domain].counts.sum(axis=0)
    title = f"{folder.name}, {domain}"
    yield scored["images"] == entry["images"], f"{title}: {scored['images']} images"
    yield np.array_equal(counts, entry["counts"]), f"{title}: counts {counts.shape}"
    yield counts.tolist() == scored["confusion"], f"{title}: counts of the result file"
    for key in ("mIoU", "aAcc", "mAcc"):
        yield close(scored[key], entry[key]), f"{title}: {key} {scored[key]:.6f}"
    ious = entry["IoU"]
    same = list(scored["IoU"]) == list(ious) and all(
        close(value, ious[name]) for name, value in scored["IoU"].items()
    )
    yield same, f"{title}: IoU of {len(ious)} classes"


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


def close(ours: float, theirs: float) -> bool:
    """Tell whether two scores in percent agree."""
    return abs(ours - theirs) <= TOLERANCE


if __name__ == "__main__":
    sys.exit(main())
