"""Rendered frames: determinism, equal geometry in all domains, any size, class statistics."""

import dataclasses
import itertools

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ibn_seg.datasets.labels import CITYSCAPES_RAW_IDS, CLASSES, LABELS
from ibn_seg.errors import UserError
from ibn_seg.scenes import render
from ibn_seg.scenes.frames import TARGET_VAL_START
from ibn_seg.scenes.ids import BUILDING, SKY
from ibn_seg.scenes.styles import STYLES
from tests.scenes import golden

RAW_IDS = {label.raw_id for label in LABELS}
WINDOWS = [
    ("source", 1, 0), ("target", TARGET_VAL_START, 0), ("source", 201, 1),
    ("target", TARGET_VAL_START, 1),
]  # fmt: skip


@pytest.fixture(scope="module", params=WINDOWS)
def areas(request):
    """Pixels of each class in 100 frames of a domain, (100, 19)."""
    domain, start, seed = request.param
    counts = []
    for index in range(start, start + 100):
        label = CITYSCAPES_RAW_IDS.train_ids[render(domain, index, seed=seed)[1]]
        counts.append(np.bincount(label.ravel(), minlength=256)[: len(CLASSES)])
    return np.array(counts)


def test_every_class_occurs_often_enough(areas):
    occurrences = dict(zip(CLASSES, (areas > 0).sum(axis=0), strict=True))
    for name, count in occurrences.items():
        assert count >= (8 if name in ("train", "bus", "truck") else 15), (name, count)


def test_every_class_is_large_enough_where_it_occurs(areas):
    for name, column in zip(CLASSES, areas.T, strict=True):
        assert np.median(column[column > 0]) >= 20, name


def test_the_large_classes_share_the_frame_evenly(areas):
    shares = dict(zip(CLASSES, areas.sum(axis=0) / (100 * 256 * 128), strict=True))
    for name in ("road", "building", "sky", "vegetation"):
        assert 0.05 <= shares[name] <= 0.45, (name, shares[name])


def test_frames_hold_few_ignored_pixels(areas):
    assert areas.sum() >= 0.95 * 100 * 256 * 128


@pytest.mark.parametrize("index", [1, 2, 33, 1_000_004])
def test_all_domains_show_the_same_scene(index):
    frames = {domain: render(domain, index) for domain in ("source", "target", "night", "fog")}
    images = {domain: image.astype(int) for domain, (image, _) in frames.items()}
    for first, second in itertools.combinations(frames, 2):
        np.testing.assert_array_equal(frames[first][1], frames[second][1])
        # Fog is an overcast day seen through it.
        least = 8 if {first, second} == {"target", "fog"} else 15
        assert np.abs(images[first] - images[second]).mean() > least, (first, second)


def test_night_is_dark_and_lit_by_the_own_car_and_fog_hides_what_is_far():
    night, day = (render(domain, 33)[0].astype(float) for domain in ("night", "source"))
    assert night.mean() < 0.6 * day.mean()
    sky = slice(0, 10)
    assert night[sky].mean() < 0.4 * day[sky].mean()
    lit, plain = (_night(33, headlights) for headlights in ((1.0, 1.0), (0.0, 0.0)))
    gain = (lit + 1) / (plain + 1)
    assert gain[-20:].mean() > 1.5 > 1.3 > gain[:40].mean()
    label = render("night", 33)[1]
    np.testing.assert_allclose(gain[label == SKY].mean(), 1.0, atol=0.05)
    far = label == BUILDING
    fog, mist = (render(domain, 33)[0][far].astype(float) for domain in ("fog", "target"))
    assert fog.std() < 0.85 * mist.std()


def _night(index, headlights):
    """Return a frame of night with other headlights, and no noise."""
    style = dataclasses.replace(STYLES["night"], headlights=headlights, noise=(0, 0))
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(STYLES, "night", style)
        return render("night", index)[0].astype(float)


def test_frames_do_not_depend_on_what_was_rendered_before():
    first = render("target", 7, seed=3)
    render("source", 8, seed=1, size=(100, 90))
    again = render("target", 7, seed=3)
    np.testing.assert_array_equal(first[0], again[0])
    np.testing.assert_array_equal(first[1], again[1])


def test_seeds_and_indices_give_different_scenes():
    labels = [render("source", index, seed=seed)[1] for seed in (0, 1) for index in (4, 5)]
    for number, label in enumerate(labels):
        for other in labels[:number]:
            assert (label != other).mean() > 0.05


def test_a_larger_frame_shows_the_same_scene():
    for index in range(4):
        small = render("source", index, size=(256, 128))[1]
        large = render("source", index, size=(1024, 512))[1][2::4, 2::4]
        assert (small == large).mean() > 0.9


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    width=st.integers(32, 420),
    height=st.integers(32, 300),
    index=st.integers(0, 3_000_000),
    seed=st.integers(0, 2**40),
)
def test_any_size(width, height, index, seed):
    image, label = render("source", index, seed=seed, size=(width, height))
    assert image.shape == (height, width, 3)
    assert image.dtype == np.uint8
    assert label.shape == (height, width)
    assert label.dtype == np.uint8
    assert set(np.unique(label).tolist()) <= RAW_IDS
    other, other_label = render("target", index, seed=seed, size=(width, height))
    assert other.shape == image.shape
    np.testing.assert_array_equal(label, other_label)


def test_a_full_size_frame():
    image, label = render("target", 11, size=(1914, 1052))
    assert image.shape == (1052, 1914, 3)
    small = render("target", 11, size=(256, 141))[1]
    for raw_id in (7, 11, 23):
        assert abs((label == raw_id).mean() - (small == raw_id).mean()) < 0.03


def test_the_domains_differ_as_they_are_meant_to():
    frames = {
        d: np.stack([render(d, i)[0] for i in range(8)]) / 255.0 for d in ("source", "target")
    }
    colourfulness = {d: (f.max(axis=-1) - f.min(axis=-1)).mean() for d, f in frames.items()}
    contrast = {d: f.std(axis=(1, 2)).mean() for d, f in frames.items()}
    assert colourfulness["source"] > 2 * colourfulness["target"]
    assert contrast["source"] > 1.15 * contrast["target"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"domain": "sorce", "index": 0}, ["sorce", "'source'"]),
        ({"domain": "source", "index": -1}, ["-1", "0 or more"]),
        ({"domain": "source", "index": 0, "size": (16, 128)}, ["16x128", "32"]),
        ({"domain": "target", "index": 0, "size": (128, 9000)}, ["128x9000", "8192"]),
    ],
)
def test_bad_arguments(arguments, words):
    with pytest.raises(UserError) as error:
        render(arguments.pop("domain"), arguments.pop("index"), **arguments)
    for word in words:
        assert word in str(error.value)


def test_frames_are_the_frozen_ones():
    assert golden.current() == golden.stored()
