"""Confusion matrices and the scores of Cityscapes' official evaluation.

Arrays may be numpy's or PyTorch's; PyTorch itself is only imported for its own tensors.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from ibn_seg.errors import UserError

# Labels and predictions are 8-bit values, so a pair of them is one number below 2 ** 16.
_VALUES = 256
# Predictions below this and any label fit 16 bits together.
_NARROW = 128
_PIECE = 2**18


@dataclass(frozen=True)
class DomainResult:
    """The scores of one domain in percent (0..100), unrounded.

    Args:
        mIoU: Mean of `IoU`.
        mAcc: Mean of `Acc`.
        aAcc: Share of right predictions among the pixels that are not ignored.
        IoU: Intersection over union per class; classes in `absent` are left out.
        Acc: Recall per class; classes in `absent` and `unlabelled` are left out.
        absent: Classes that occur in no label and in no prediction. They have no score and are not
            in any mean.
        unlabelled: Classes that are predicted somewhere but occur in no label. Their IoU is 0 and
            counts in the mean, as in the official evaluation.
        images: Number of images.
        confusion: (C, C) pixel counts, rows are labels and columns predictions. With `mapping` it
            is (G + 1, C): the last row is of void labels, which are not scored.
        classes: The network's C classes, if the labels have others; else None.
        mapping: The groups of these classes, as `ClassMap.to_dict` gives them; else None.
        no_group: Share of the labelled pixels that are predicted as a class without group, percent;
            None without `mapping`.
    """

    mIoU: float  # noqa: N815
    mAcc: float  # noqa: N815
    aAcc: float  # noqa: N815
    IoU: dict[str, float]
    Acc: dict[str, float]
    absent: list[str]
    unlabelled: list[str]
    images: int
    confusion: list[list[int]]
    classes: list[str] | None = None
    mapping: dict[str, Any] | None = None
    no_group: float | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as plain values, ready for JSON; without those that do not apply."""
        found = asdict(self)
        if self.mapping is None:
            for name in ("classes", "mapping", "no_group"):
                del found[name]
        return found


def confusion_matrix(
    pred: Any, label: Any, num_classes: int, ignore_index: int = 255
) -> np.ndarray:
    """Count the pairs of label and prediction, by one bincount on the device of `pred`.

    A pair of 2048x1024 takes 8 ms on one core.

    Args:
        pred: Integers 0..num_classes-1 of any shape, a numpy array or a tensor. Where `label` is
            `ignore_index`, any value of 0..255 is allowed.
        label: Integers of the same shape, 0..num_classes-1 or `ignore_index`.
        num_classes: The number of classes C, at most 255.
        ignore_index: The label of pixels that do not count, 0..255.

    Returns:
        (C, C) int64, rows are labels and columns predictions.

    Raises:
        UserError: The shapes differ, or a value is neither a class nor ignored.
    """
    counts = _checked_counts(pred, label)
    counts[ignore_index] = 0
    confusion = counts[:num_classes, :num_classes].copy()
    if confusion.sum() != counts.sum():
        raise _out_of_range(counts, num_classes, num_classes, ignore_index)
    return confusion


def group_matrix(
    pred: Any, label: Any, num_groups: int, num_classes: int, ignore_index: int = 255
) -> np.ndarray:
    """Count the pairs of a label's group and a predicted class; void labels have a row, too.

    Args:
        pred: Integers 0..num_classes-1 of any shape, a numpy array or a tensor. Where `label` is
            `ignore_index`, larger values up to 255 are allowed and not counted.
        label: Integers of the same shape, 0..num_groups-1 or `ignore_index`.
        num_groups: The number of groups G of the labels, at most 255.
        num_classes: The number of predicted classes C, at most 255.
        ignore_index: The label of void pixels, 0..255.

    Returns:
        (G + 1, C) int64, rows are labels, the last is void.

    Raises:
        UserError: The shapes differ, or a value is neither a class nor void.
    """
    counts = _checked_counts(pred, label)
    void = counts[ignore_index, :num_classes].copy()
    counts[ignore_index] = 0
    groups = counts[:num_groups, :num_classes]
    if groups.sum() != counts.sum():
        raise _out_of_range(counts, num_groups, num_classes, ignore_index)
    return np.concatenate([groups, void[None]])


def scores(
    confusion: np.ndarray,
    classes: Sequence[str],
    images: int = 0,
    scored: Sequence[str] | None = None,
    void: np.ndarray | None = None,
) -> DomainResult:
    """Return the scores of a confusion matrix by Cityscapes' official rule.

    IoU is TP / (TP + FP + FN) over the pixels whose label is not ignored. The official code
    (`cityscapesScripts`, `evalPixelLevelSemanticLabeling.py`, `getIouScoreForLabel` and
    `getScoreAverage`) leaves a class out of the mean only when TP + FP + FN is 0. Such a class
    occurs neither in a label nor in a prediction. A class that is predicted but never labelled
    scores 0 and lowers the mean. The result names both kinds.

    Args:
        confusion: (C, C) pixel counts, rows are labels and columns predictions. More columns are
            predictions that are right for no label; they miss their label and are no other class.
        classes: The C class names.
        images: Number of images that were counted.
        scored: The classes in the means mIoU and mAcc. Default: all. The other classes are
            predicted and counted as before, so the IoU of the scored ones does not change.
        void: (C or more,) predictions on void pixels that count as false positives, as some
            published scores of CamVid do. Default: none do.

    Raises:
        UserError: No pixel counts, so there is nothing to score.
    """
    if not confusion.any():
        raise UserError(
            f"no pixel of the {images} labels belongs to a class, all are ignored",
            "check that the label files are the semantic ones and hold the expected ids",
        )
    hits, union = hits_and_union(confusion)
    if void is not None:
        union = union + void[: len(union)]
    labelled = confusion.sum(axis=1).astype(np.float64)
    wanted = np.isin(classes, classes if scored is None else scored)
    if not (labelled * wanted).any():
        raise UserError("no pixel belongs to a class that is scored", "check the label files")
    ious = np.where(wanted, percent(hits, union), np.nan)
    recalls = np.where(wanted, percent(hits, labelled), np.nan)
    iou = {classes[i]: float(ious[i]) for i in np.flatnonzero(~np.isnan(ious))}
    recall = {classes[i]: float(recalls[i]) for i in np.flatnonzero(~np.isnan(recalls))}
    return DomainResult(
        mIoU=float(mean_present(ious)),
        mAcc=float(mean_present(recalls)),
        aAcc=float(100 * hits.sum() / confusion.sum()),
        IoU=iou,
        Acc=recall,
        absent=[name for i, name in enumerate(classes) if wanted[i] and name not in iou],
        unlabelled=[name for name in iou if name not in recall],
        images=images,
        confusion=confusion.astype(np.int64).tolist(),
    )


def hits_and_union(confusion: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return TP and TP + FP + FN of every class, exact up to 2**53 pixels.

    Both add up over images, so their sums give the IoU of any set of images.

    Args:
        confusion: (..., C, C) pixel counts, rows are labels and columns predictions. More columns
            are predictions that are right for no label.

    Returns:
        Two (..., C) float64 arrays.
    """
    hits = np.diagonal(confusion, axis1=-2, axis2=-1)
    predicted = confusion[..., : confusion.shape[-2]].sum(axis=-2)
    union = confusion.sum(axis=-1) + predicted - hits
    return hits.astype(np.float64), union.astype(np.float64)


def percent(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    """Return 100 * part / whole; NaN if the whole is 0: an absent class has no score."""
    with np.errstate(invalid="ignore"):
        return 100 * part / whole


def mean_present(values: np.ndarray) -> np.ndarray:
    """Return the mean over the last axis without the absent classes (NaN); NaN if all are."""
    present = ~np.isnan(values)
    total = np.where(present, values, 0.0).sum(axis=-1)
    with np.errstate(invalid="ignore"):
        return total / present.sum(axis=-1)


def _checked_counts(pred: Any, label: Any) -> np.ndarray:
    """Return the (256, 256) int64 counts of pairs of label and prediction."""
    if tuple(pred.shape) != tuple(label.shape):
        raise UserError(
            f"prediction of shape {tuple(pred.shape)} for a label of shape {tuple(label.shape)}",
            "both must have the label's native size",
        )
    return _pair_counts(pred, label).reshape(_VALUES, _VALUES)


def _pair_counts(pred: Any, label: Any) -> np.ndarray:
    """Return the count of each pair, at index 256 * label + prediction; (65536,) int64."""
    if isinstance(pred, np.ndarray):
        return _array_counts(pred, label)
    import torch

    values = []
    for name, tensor in (("prediction", pred), ("label", label)):
        if tensor.dtype.itemsize > 1 and tensor.numel():
            _check_range(name, *map(int, torch.aminmax(tensor)))
            tensor = tensor.to(torch.uint8)
        values.append(tensor.flatten())
    predictions, labels = values[0], values[1].to(pred.device)
    narrow = not predictions.numel() or int(predictions.max()) < _NARROW
    # 16 bits take half the bytes if they suffice; the speed of bincount is limited by memory.
    columns, kind = (_NARROW, torch.int16) if narrow else (_VALUES, torch.int32)
    pairs = labels.to(kind) * columns
    pairs += predictions
    counts = torch.bincount(pairs, minlength=_VALUES * columns).cpu().numpy()
    if not narrow:
        return counts
    return np.pad(counts.reshape(_VALUES, _NARROW), ((0, 0), (0, _VALUES - _NARROW))).ravel()


def _array_counts(pred: np.ndarray, label: np.ndarray) -> np.ndarray:
    """Return the same as `_pair_counts`, without PyTorch."""
    for name, values in (("prediction", pred), ("label", label)):
        if values.dtype.itemsize > 1 and values.size:
            _check_range(name, int(values.min()), int(values.max()))
    predictions, labels = pred.ravel(), label.ravel()
    counts = np.zeros(_VALUES**2, np.int64)
    # In pieces that fit into a processor's cache.
    for start in range(0, labels.size, _PIECE):
        pairs = labels[start : start + _PIECE].astype(np.int64)
        pairs <<= 8
        pairs |= predictions[start : start + _PIECE]
        counts += np.bincount(pairs, minlength=_VALUES**2)
    return counts


def _check_range(name: str, low: int, high: int) -> None:
    """Raise for values beyond 8 bits, which would count as another pair."""
    if low < 0 or high >= _VALUES:
        raise UserError(f"{name} value {low if low < 0 else high}", "allowed: 0..255")


def _out_of_range(
    counts: np.ndarray, num_labels: int, num_classes: int, ignore_index: int
) -> UserError:
    """Return the error that names the first value that is neither a class nor ignored."""
    labels, predictions = np.nonzero(counts)
    bad_labels = labels[labels >= num_labels]
    if bad_labels.size:
        problem = f"label value {bad_labels[0]} is neither a class nor ignored"
        fix = f"allowed: 0..{num_labels - 1} and {ignore_index}; load labels by LoadUrbanLabels"
        return UserError(problem, fix)
    return UserError(
        f"prediction {predictions[predictions >= num_classes][0]} is not a class",
        f"allowed: 0..{num_classes - 1}; check num_classes of the decode head",
    )
