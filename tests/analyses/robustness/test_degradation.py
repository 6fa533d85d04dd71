"""mPC, rPC and degradation by hand."""

import pytest

from ibn_seg.analyses.robustness.degradation import (
    corruption_degradation,
    performance,
    scores_of,
)


def test_means_are_over_severities_first():
    corrupted = [
        {"corruption": name, "severity": severity, "domains": {"x": {"mIoU": value}}}
        for name, severity, value in (("fog", 1, 30), ("fog", 5, 10), ("snow", 5, 40))
    ]
    found = performance(50.0, scores_of(corrupted, "x"))
    assert found == {
        "clean": 50.0, "mPC": 30.0, "rPC": 60.0, "degradation": 70.0,
        "corruptions": {"fog": 20.0, "snow": 40.0},
    }  # fmt: skip
    assert performance(0.0, {"fog": [0.0]})["rPC"] is None


def test_degradation_is_beside_a_reference():
    found = corruption_degradation(60.0, {"fog": [50, 40]}, 50.0, {"fog": [40, 10]})
    assert found["mCD"] == pytest.approx(100 * (50 + 60) / (60 + 90))
    assert found["relative mCD"] == pytest.approx(100 * (10 + 20) / (10 + 40))
    same = corruption_degradation(50.0, {"fog": [50]}, 50.0, {"fog": [50]})
    assert same == {"mCD": 100.0, "relative mCD": None}
