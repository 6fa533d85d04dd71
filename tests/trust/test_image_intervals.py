"""Intervals over images are those of measures that are computed for each draw of images."""

import numpy as np
import pytest

from ibn_seg.trust.confidence_bins import LOG_ODDS
from ibn_seg.trust.image_confidences import count_image, some_images, stack_images
from ibn_seg.trust.image_intervals import image_intervals, interval
from ibn_seg.trust.trust_measures import trust_measures
from tests.trust.made_pixels import images

REPLICATES = 30


def made(number=5):
    counted = [
        count_image(LOG_ODDS, prediction, (level + 0.5) / 65536, label, num_classes=19)
        for prediction, level, label in images(number, 400)
    ]
    return stack_images([f"i{at}" for at in range(number)], LOG_ODDS, counted)


def test_they_are_percentiles_of_the_measures_of_drawn_images():
    domain = made()
    drawn = np.random.default_rng(0).multinomial(5, np.full(5, 0.2), REPLICATES)
    each = [
        trust_measures(some_images(domain, np.repeat(np.arange(5), one)))["pooled"] for one in drawn
    ]
    for name, found in image_intervals(domain, REPLICATES).items():
        ends = np.percentile([one[name] for one in each], [2.5, 97.5])
        assert found["interval"] == pytest.approx(ends.tolist())
        assert found["replicates"] == REPLICATES


def test_replicates_without_a_wrong_pixel_are_left_out_and_counted():
    prediction = np.zeros(50, int)
    confidence = np.linspace(0.5, 1, 50)
    right, wrong = np.zeros(50, int), np.ones(50, int)
    counted = [
        count_image(LOG_ODDS, prediction, confidence, label, num_classes=2)
        for label in (right, right, np.where(np.arange(50) < 5, wrong, right))
    ]
    found = image_intervals(stack_images("abc", LOG_ODDS, counted), REPLICATES)
    drawn = np.random.default_rng(0).multinomial(3, np.full(3, 1 / 3), REPLICATES)
    assert found["auroc"]["replicates"] == (drawn[:, 2] > 0).sum() < REPLICATES
    assert found["ece"]["replicates"] == REPLICATES
    assert interval(np.full(3, np.nan)) == {"interval": None, "replicates": 0}
