"""The source `varied`: classes, determinism, how widely frames differ, and the files it gets."""

import numpy as np
import pytest
from PIL import Image

from ibn_seg.datasets.gta5 import GTA5Dataset
from ibn_seg.datasets.labels import CITYSCAPES_RAW_IDS, CLASSES, LABELS
from ibn_seg.errors import UserError
from ibn_seg.scenes import gta5_frames, render, varied_frames, write_pair
from ibn_seg.scenes.frames import COMPARED_START, VARIED_START
from ibn_seg.scenes.ids import ROAD, SKY, VEGETATION
from ibn_seg.scenes.layout import lay_out
from ibn_seg.scenes.variation import KINDS, kinds_of, varied_scene

RAW_IDS = {label.raw_id for label in LABELS}


@pytest.fixture(scope="module")
def frames():
    """Images (100, 128, 256, 3) float and labels (100, 128, 256) of raw ids."""
    rendered = [render("varied", VARIED_START + index) for index in range(100)]
    return np.array([f[0] for f in rendered], float), np.array([f[1] for f in rendered])


def test_every_class_occurs_often_enough(frames):
    train_ids = CITYSCAPES_RAW_IDS.train_ids[frames[1]]
    for number, name in enumerate(CLASSES):
        assert (train_ids == number).any(axis=(1, 2)).sum() >= 5, name


def test_the_large_classes_share_the_frame_evenly(frames):
    train_ids = CITYSCAPES_RAW_IDS.train_ids[frames[1]]
    for name in ("road", "building", "sky", "vegetation"):
        share = (train_ids == CLASSES.index(name)).mean()
        assert 0.05 <= share <= 0.45, (name, share)
    assert (train_ids < len(CLASSES)).mean() >= 0.9


def test_light_and_sky_vary_widely_from_frame_to_frame(frames):
    images, labels = frames
    levels = images.mean(axis=(1, 2, 3))
    assert np.percentile(levels, 95) > 2.0 * np.percentile(levels, 5)
    skies = [
        image[label == SKY].mean(axis=0)
        for image, label in zip(images, labels, strict=True)
        if (label == SKY).any()
    ]
    brightness = np.array([sky.mean() for sky in skies])
    # Many skies are white as in photographs, some are dark, and not all are blue.
    assert (brightness > 235).mean() > 0.2
    assert (brightness < 170).mean() > 0.05
    blueness = np.array([sky[2] - sky[0] for sky in skies])
    assert (blueness > 30).any()
    assert (blueness < 10).mean() > 0.2


@pytest.mark.parametrize("raw_id", [ROAD, VEGETATION])
def test_surfaces_vary_more_than_those_of_the_game(frames, raw_id):
    images, labels = frames
    game = [render("source", index) for index in range(1, 61)]

    def spread(pairs):
        """Standard deviation over frames of the class's mean level, relative to the mean."""
        means = [image[label == raw_id].mean() for image, label in pairs if (label == raw_id).any()]
        return np.std(means) / np.mean(means)

    assert spread(zip(images, labels, strict=True)) > 1.5 * spread(game)


def test_cameras_vary(frames):
    # The highest row of the road follows pitch and height of the camera.
    rows = [np.flatnonzero((label == ROAD).any(axis=1))[0] for label in frames[1]]
    assert np.ptp(rows) > 25


def test_roads_are_left_and_right_of_the_traffic(frames):
    right = [
        (label == ROAD)[:, 128:].mean() > (label == ROAD)[:, :128].mean() for label in frames[1]
    ]
    assert 0.25 < np.mean(right) < 0.75


def test_frames_do_not_depend_on_what_was_rendered_before():
    first = render("varied", 7, seed=3)
    render("varied", 8, seed=1, size=(100, 90))
    again = render("varied", 7, seed=3)
    np.testing.assert_array_equal(first[0], again[0])
    np.testing.assert_array_equal(first[1], again[1])
    assert (render("varied", 7, seed=4)[1] != first[1]).mean() > 0.05


@pytest.mark.parametrize("size", [(32, 32), (97, 211), (640, 360), (1280, 640)])
def test_any_size(size):
    for index in range(3):
        image, label = render("varied", index, size=size)
        assert image.shape == (*size[::-1], 3)
        assert label.shape == size[::-1]
        assert image.dtype == label.dtype == np.uint8
        assert set(np.unique(label).tolist()) <= RAW_IDS


def test_a_larger_frame_shows_the_same_scene():
    for index in range(4):
        small = render("varied", index, size=(256, 128))[1]
        large = render("varied", index, size=(1024, 512))[1][2::4, 2::4]
        assert (small == large).mean() > 0.88


def test_it_is_written_beside_the_other_domains_and_read_as_gta5(tmp_path):
    counts = {"source_frames": 1, "target_train": 0, "target_val": 0, "varied": 6}
    numbers = write_pair(tmp_path, **counts)
    assert numbers == {"source": 1, "target_train": 0, "target_val": 0, "varied": 6, "written": 7}
    frames = varied_frames(tmp_path / "varied", 6)
    dataset = GTA5Dataset(tmp_path / "varied", "all", pipeline=[])
    assert len(dataset) == 6
    image, label = render("varied", frames[2].index)
    np.testing.assert_array_equal(np.array(Image.open(frames[2].image)), image)
    np.testing.assert_array_equal(np.array(Image.open(frames[2].labels["palette"])), label)
    with pytest.raises(UserError, match="varied 6 instead of 0"):
        write_pair(tmp_path, **counts | {"varied": 0})


def test_its_scenes_are_in_no_other_set(tmp_path):
    indices = {frame.index for frame in varied_frames(tmp_path, 400)}
    assert min(indices) == VARIED_START > COMPARED_START + 400
    assert not indices & {frame.index for frame in gta5_frames(tmp_path, 400)}


def test_a_negative_number_of_frames(tmp_path):
    with pytest.raises(UserError, match="varied = -1"):
        write_pair(tmp_path / "out", varied=-1)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("kind", KINDS)
def test_one_kind_of_variation_may_be_left_out(kind):
    """What is left out is all that changes: appearance moves no label."""
    for index in range(6):
        image, label = render("varied", VARIED_START + index)
        other, labels = render(f"varied_without_{kind}", VARIED_START + index)
        if kind in ("weather", "materials", "optics"):
            np.testing.assert_array_equal(labels, label)
        else:
            assert (labels != label).any()
        assert (other != image).any() or kind == "optics"


def test_without_variation_of_cameras_the_horizon_is_that_of_the_game():
    def horizon(scene):
        return scene.horizon, scene.focal, scene.eye

    scenes = [lay_out(0, index) for index in range(20)]
    kept = [varied_scene(scene, kinds_of("varied_without_cameras")) for scene in scenes]
    assert list(map(horizon, kept)) == list(map(horizon, scenes))
    assert any(a.items != b.items for a, b in zip(kept, scenes, strict=True))


def test_sources_without_a_kind_are_written_beside_the_whole(tmp_path):
    counts = {"source_frames": 1, "target_train": 0, "target_val": 0, "varied": 2}
    numbers = write_pair(tmp_path, **counts, varied_without=("weather", "optics"))
    assert numbers["varied_without_optics"] == 2
    (first, _) = varied_frames(tmp_path / "varied_without_weather", 2, "varied_without_weather")
    image, _ = render("varied_without_weather", first.index)
    np.testing.assert_array_equal(np.array(Image.open(first.image)), image)
    assert len(GTA5Dataset(tmp_path / "varied_without_optics", "all", pipeline=[])) == 2


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"varied": 2, "varied_without": ("wether",)}, "'wether': did you mean 'weather'"),
        ({"varied_without": ("weather",)}, "varied_without is given, and varied is 0"),
    ],
)
def test_wrong_kinds_are_one_line_and_nothing_is_written(tmp_path, options, message):
    with pytest.raises(UserError, match=message):
        write_pair(tmp_path / "out", **options)
    assert not (tmp_path / "out").exists()
