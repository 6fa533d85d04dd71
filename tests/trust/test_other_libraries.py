"""The measures beside those of scikit-learn and torchmetrics, where they are installed.

`pip install scikit-learn torchmetrics` brings both; nothing else here needs them.
"""

import numpy as np
import pytest
import torch

from ibn_seg.trust.calibration_error import count_pixels, ece, mce, reliability, rms
from ibn_seg.trust.detection import auroc, average_precision
from ibn_seg.trust.probabilities import from_logits
from ibn_seg.trust.trust_measures import unknown_measures
from tests.trust.made_pixels import scores


@pytest.fixture(scope="module", params=[0.7, 2.2])
def pixels(request):
    """Return confidence, rightness, probabilities and labels of made pixels."""
    logits, labels = scores(3000, classes=9, seed=5, sharpness=request.param, void=0)
    found = from_logits(logits)
    # Rounded, so that many pixels share a confidence.
    return found.confidence.round(3), found.prediction == labels, found, labels.astype(int)


def test_ranking_is_that_of_scikit_learn(pixels):
    metrics = pytest.importorskip("sklearn.metrics")
    confidence, right, *_ = pixels
    counts = count_pixels(confidence, right)
    assert auroc(counts.wrong, counts.right) == pytest.approx(
        metrics.roc_auc_score(right, confidence), abs=1e-12
    )
    assert average_precision(counts.wrong, counts.right) == pytest.approx(
        metrics.average_precision_score(right, confidence), abs=1e-12
    )
    assert average_precision(counts.right[::-1], counts.wrong[::-1]) == pytest.approx(
        metrics.average_precision_score(~right, -confidence), abs=1e-12
    )
    unknown = unknown_measures(counts.right, counts.wrong)
    assert unknown["unknown_auroc"] == pytest.approx(
        metrics.roc_auc_score(~right, -confidence), abs=1e-12
    )


def test_sums_are_those_of_scikit_learn(pixels):
    metrics = pytest.importorskip("sklearn.metrics")
    _, _, found, labels = pixels
    loss = metrics.log_loss(labels, np.exp(found.log_probability), labels=range(9))
    assert found.nll(labels).mean() == pytest.approx(loss, abs=1e-12)


def test_calibration_is_that_of_torchmetrics(pixels):
    torchmetrics = pytest.importorskip("torchmetrics.functional.classification")
    _, right, found, labels = pixels
    counts = count_pixels(found.confidence, right)
    diagram = reliability(counts)
    ours = {"l1": float(ece(diagram)), "l2": rms(diagram), "max": mce(diagram)}
    probabilities = torch.from_numpy(np.exp(found.log_probability))
    for norm, value in ours.items():
        theirs = torchmetrics.multiclass_calibration_error(
            probabilities, torch.from_numpy(labels), num_classes=9, n_bins=15, norm=norm
        )
        # It sums in float32.
        assert value == pytest.approx(float(theirs), abs=1e-5), norm
