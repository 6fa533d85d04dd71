"""Our scores against Cityscapes' own evaluation, run from its real package on real PNG files.

What the official code does with classes that are missing (`evalPixelLevelSemanticLabeling.py`):
`getIouScoreForLabel` returns NaN where TP + FP + FN is 0, and `getScoreAverage` leaves NaN out of
the mean. So a class that occurs neither in a label nor in a prediction does not count, while one
that no label holds but that is predicted somewhere counts with an IoU of 0.
"""

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from ibn_seg.datasets.labels import CLASSES, LABELS, train_to_raw_ids
from ibn_seg.evaluation.metric import MultiDomainIoU
from tests.helpers import IGNORE, RAW_IDS, random_train_ids, raw_from_train_ids, write_image

pytest.importorskip("cityscapesscripts")
# Where the package is there, an import that fails is a failure.
from cityscapesscripts.evaluation import evalPixelLevelSemanticLabeling as official  # noqa: N813
from cityscapesscripts.helpers.labels import labels as official_labels

SIZE = (96, 64)


def make_pairs(missing: tuple[int, ...], predicted: tuple[int, ...], seed: int) -> list[tuple]:
    """Return (label, prediction) trainId maps; `missing` classes are in no label.

    Of the missing classes only those in `predicted` occur in predictions.
    """
    rng = np.random.default_rng(seed)
    never = [c for c in missing if c not in predicted]
    pairs = []
    for _ in range(3):
        label = random_train_ids(rng, SIZE, block=4)
        label[np.isin(label, missing)] = 0
        prediction = np.where(label == IGNORE, 0, label).astype(np.uint8)
        # Predictions are right for half of the pixels, and arbitrary also where labels are ignored.
        noise = rng.random(label.shape) < 0.5
        noise |= label == IGNORE
        allowed = [c for c in range(19) if c not in never]
        prediction[noise] = rng.choice(np.array(allowed, np.uint8), size=int(noise.sum()))
        pairs.append((label, prediction))
    return pairs


def official_scores(pairs: list[tuple], folder: Path) -> tuple[dict[str, float], float]:
    """Return the official per-class IoU and their average for pairs written as raw-id PNGs."""
    labels, predictions = [], []
    for index, (label, prediction) in enumerate(pairs):
        rng = np.random.default_rng(index)
        stem = f"frankfurt_{index:06}_000019"
        labels.append(
            str(write_image(folder / f"{stem}_gtFine_labelIds.png", raw_from_train_ids(label, rng)))
        )
        raw = np.array(RAW_IDS, np.uint8)[prediction]
        predictions.append(str(write_image(folder / f"{stem}_pred.png", raw)))
    args = official.CArgs()
    vars(args).update(vars(official.args))
    args.quiet, args.JSONOutput = True, False
    # Instance scores need instance files and are not part of mIoU.
    args.evalInstLevelScore = args.evalPixelAccuracy = False
    result = official.evaluateImgLists(predictions, labels, args)
    return result["classScores"], result["averageScoreClasses"]


def our_scores(pairs: list[tuple]) -> tuple[dict[str, float], dict]:
    """Return the metric's flat dictionary and its result for the domain."""
    metric = MultiDomainIoU()
    metric.dataset_meta = {"classes": CLASSES}
    for label, prediction in pairs:
        sample = {
            "pred_sem_seg": {"data": torch.from_numpy(prediction.astype(np.int64))[None]},
            "gt_sem_seg": {"data": torch.from_numpy(label.astype(np.int64))[None]},
            "target": "cityscapes",
        }
        metric.process(None, [sample])
    return metric.evaluate(len(pairs)), metric.domain_results["cityscapes"]


@pytest.mark.parametrize(
    ("missing", "predicted"),
    [((), ()), ((4, 16), ()), ((4, 16), (4, 16)), ((4, 15, 16), (15,))],
    ids=["all", "absent", "absent but predicted", "both kinds"],
)
def test_scores_equal_the_official_ones(missing, predicted, tmp_path):
    pairs = make_pairs(missing, predicted, seed=len(missing))
    classes, average = official_scores(pairs, tmp_path)
    flat, result = our_scores(pairs)

    assert abs(flat["cityscapes/mIoU"] - 100 * average) < 1e-6
    assert result["absent"] == [CLASSES[c] for c in missing if c not in predicted]
    assert result["unlabelled"] == [CLASSES[c] for c in predicted]
    for name in CLASSES:
        if math.isnan(classes[name]):
            assert f"cityscapes/IoU.{name}" not in flat
        else:
            assert abs(flat[f"cityscapes/IoU.{name}"] - 100 * classes[name]) < 1e-6


def test_label_table_is_the_official_one():
    ours = {(x.name, x.raw_id, x.train_id, x.color) for x in LABELS}
    theirs = {(x.name, x.id, x.trainId, tuple(x.color)) for x in official_labels if x.id >= 0}
    assert ours == theirs


def test_predictions_for_the_server_hold_raw_ids(tmp_path):
    path = write_image(tmp_path / "p.png", train_to_raw_ids(np.arange(19, dtype=np.uint8)[None]))
    assert tuple(np.asarray(Image.open(path))[0]) == RAW_IDS
