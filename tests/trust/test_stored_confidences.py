"""The file of histograms: equal content, small, damage is one line."""

import dataclasses

import numpy as np
import pytest

from ibn_seg.errors import UserError
from ibn_seg.trust.confidence_bins import LOG_ODDS
from ibn_seg.trust.image_confidences import count_image, stack_images
from ibn_seg.trust.probabilities import from_logits
from ibn_seg.trust.stored_confidences import (
    StoredConfidences,
    read_confidences,
    write_confidences,
)
from ibn_seg.trust.trust_measures import trust_measures
from tests.trust.made_pixels import scores

CLASSES = tuple(f"class {k}" for k in range(19))


@pytest.fixture(scope="module")
def domain():
    made = []
    for seed in range(3):
        logits, labels = scores(5000, seed=seed)
        found = from_logits(logits)
        known = labels != 255
        image = count_image(
            LOG_ODDS, found.prediction, found.confidence, labels, num_classes=19,
            log_odds=found.log_odds, unknown=np.arange(5000) < 40,
        )  # fmt: skip
        kept = from_logits(logits[known])
        sums = {"nll": kept.nll(labels[known]).sum(), "brier": kept.brier(labels[known]).sum()}
        made.append(dataclasses.replace(image, **sums))
    return stack_images(["a.png", "b/ü.png", "c.png"], LOG_ODDS, made)


def test_a_file_gives_back_what_was_written(domain, tmp_path):
    bare = dataclasses.replace(domain, nll=None, brier=None)
    stored = StoredConfidences(CLASSES, {"gta5": domain, "acdc": bare}, 7)
    for name in ("a", "b"):
        write_confidences(tmp_path / f"{name}.npz", stored)
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()
    found = read_confidences(tmp_path / "a.npz")
    assert (found.classes, list(found.domains), found.step) == (CLASSES, ["gta5", "acdc"], 7)
    assert found.domains["gta5"].images == domain.images
    assert trust_measures(found.domains["gta5"]) == trust_measures(domain)
    assert trust_measures(found.domains["acdc"])["pooled"]["nll"] is None
    assert (tmp_path / "a.npz").stat().st_size < 3 * 2 * 8192


def test_damage_is_one_line(domain, tmp_path):
    path = tmp_path / "x.npz"
    with pytest.raises(UserError, match="no such file"):
        read_confidences(path)
    write_confidences(path, StoredConfidences(CLASSES, {"gta5": domain}))
    whole = path.read_bytes()
    for broken in (whole[:900], whole[:2000] + b"\0" * 200 + whole[2200:], b""):
        path.write_bytes(broken)
        with pytest.raises(UserError, match="not a file of confidences"):
            read_confidences(path)
    np.savez(path, header=np.frombuffer(b'{"format": "other"}', np.uint8))
    with pytest.raises(UserError, match="not a file of confidences"):
        read_confidences(path)
    with pytest.raises(ValueError, match="expected"):
        write_confidences(path, StoredConfidences(CLASSES[:5], {"gta5": domain}))
