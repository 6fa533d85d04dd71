"""Temperatures are fitted on one half of the images, and a file binds them to its weights."""

import json

import numpy as np
import pytest

from ibn_seg.errors import UserError
from ibn_seg.trust.stored_temperature import (
    KINDS,
    fit,
    halves,
    read_temperature,
    temperature_file,
    write_temperature,
)
from ibn_seg.trust.temperature import fit_temperature
from tests.trust.made_pixels import scores, softmax

CLASSES = [f"c{k}" for k in range(5)]


def made(images=4):
    """Images by name: (logits, labels); where class 0 is predicted, logits are thrice as sharp."""
    found = {}
    for at in range(images):
        logits, labels = scores(6000, classes=5, seed=at, void=0)
        logits[logits.argmax(axis=1) == 0] *= 3
        found[f"image{at}"] = logits.astype(np.float32), labels
    return found


def test_only_the_first_half_is_fitted_on():
    pixels = made()
    mine, others = halves(list(pixels))
    assert sorted(mine + others) == sorted(pixels)
    assert halves(list(pixels)[::-1]) == (mine, others)
    found = fit(pixels, CLASSES, "home")
    logits, labels = (np.concatenate([pixels[name][at] for name in mine]) for at in (0, 1))
    assert found["global"]["values"] == [fit_temperature(logits, labels).value] * 5
    for name in others:
        pixels[name] = pixels[name][0] * 7, pixels[name][1]
    assert fit(pixels, CLASSES, "home")["class"] == found["class"]
    assert found["fit"]["images"] == sorted(mine)
    assert found["check"]["images"] == sorted(others)


def test_a_temperature_for_each_class_lowers_the_nll_of_both_halves():
    pixels = made()
    found = fit(pixels, CLASSES, "home")
    values = found["class"]["values"]
    assert values[0] > 1.3 * max(values[1:])
    for half in ("fit", "check"):
        nll = [found[half][kind]["nll"] for kind in ("none", "global", "class")]
        assert nll == sorted(nll, reverse=True)
    # By hand: ECE and NLL of the second half with a temperature for each class.
    logits, labels = (
        np.concatenate([pixels[n][at] for n in halves(list(pixels))[1]]) for at in (0, 1)
    )
    predicted = logits.argmax(axis=1)
    p = softmax(logits / np.array(values)[predicted][:, None])
    nll = -np.log(p[np.arange(len(labels)), labels]).mean()
    assert found["check"]["class"]["nll"] == pytest.approx(nll, rel=1e-6)
    confidence, right = p.max(axis=1), predicted == labels
    bins = np.minimum((confidence * 15).astype(int), 14)
    ece = sum(abs((confidence - right)[bins == b].sum()) for b in range(15)) / len(labels)
    assert found["check"]["class"]["ece"] == pytest.approx(ece, rel=1e-6)


def test_classes_without_a_fit_of_their_own_get_that_of_all_pixels():
    pixels = made()
    for logits, _ in pixels.values():
        logits[:, 4] = -50
    found = fit(pixels, CLASSES, "home")
    assert found["class"]["values"][4] == found["global"]["values"][0]
    assert found["notes"] == [
        "c4: fewer than 1000 pixels; it gets the temperature of all pixels"
    ]  # fmt: skip


def test_a_fit_that_ran_away_is_one_line():
    pixels = {name: (logits, logits.argmax(axis=1)) for name, (logits, _) in made(2).items()}
    with pytest.raises(UserError, match=r"on 'home' ran to its bound 0\.02: allowed"):
        fit(pixels, CLASSES, "home")
    with pytest.raises(UserError, match="1 validation images: two or more"):
        fit(dict([next(iter(pixels.items()))]), CLASSES, "home")


def test_a_file_belongs_to_its_weights(tmp_path):
    weights = tmp_path / "iter_6.pth"
    weights.write_bytes(b"weights")
    with pytest.raises(UserError, match="does not exist: write it by ibn-seg temperature CONFIG"):
        read_temperature(weights, "global")
    found = fit(made(2), CLASSES, "home")
    path = write_temperature(weights, found)
    assert path == temperature_file(weights) == tmp_path / "iter_6.temperature.json"
    for kind in KINDS:
        stored = read_temperature(weights, kind)
        assert stored.values == tuple(found[kind]["values"])
        assert (stored.domain, list(stored.images)) == ("home", found["fit"]["images"])
    weights.write_bytes(b"other weights")
    with pytest.raises(UserError, match="of other weights than"):
        read_temperature(weights, "class")
    content = json.loads(path.read_text())
    for damaged in ({**content, "global": {"values": [0, 1]}}, {**content, "version": 2}, []):
        path.write_text(json.dumps(damaged))
        with pytest.raises(UserError, match="not a file of temperatures, or damaged"):
            read_temperature(weights, "global")
