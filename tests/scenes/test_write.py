"""Data sets of scenes on disk: layouts, image modes, resuming, failures."""

import json
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

import ibn_seg.plugins.mmseg  # noqa: F401 - registers the transforms
from ibn_seg.datasets.acdc import RawACDCDataset
from ibn_seg.datasets.labels import CITYSCAPES_RAW_IDS, raw_id_palette
from ibn_seg.errors import EnvError, UserError
from ibn_seg.scenes import (
    acdc_frames,
    cityscapes_frames,
    gta5_frames,
    render,
    varied_frames,
    write_frames,
    write_pair,
)

PIPELINE = [{"type": "LoadImageFromFile"}, {"type": "LoadUrbanLabels"}]
COUNTS = {"source_frames": 3, "target_train": 2, "target_val": 2}


def files(root: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(root)): path.read_bytes()
        for path in sorted(root.rglob("*"))
        if path.is_file()
    }


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    root = tmp_path_factory.mktemp("pair")
    numbers = write_pair(root, **COUNTS)
    assert numbers == {"source": 3, "target_train": 2, "target_val": 2, "written": 7}
    return root


def test_layout(pair):
    names = set(files(pair))
    assert {f"gta5/{kind}/{n:05}.png" for kind in ("images", "labels") for n in (1, 2, 3)} <= names
    for split in ("train", "val"):
        images = sorted((pair / "cityscapes/leftImg8bit" / split).glob("*/*_leftImg8bit.png"))
        assert len(images) == 2
        for image in images:
            city, sequence, frame, _ = image.stem.split("_")
            assert city == image.parent.name
            assert len(sequence) == len(frame) == 6
            truth = pair / "cityscapes/gtFine" / split / city / f"{city}_{sequence}_{frame}_gtFine"
            assert Path(f"{truth}_labelIds.png").is_file()
            assert Path(f"{truth}_labelTrainIds.png").is_file()
    assert len(names) == 3 * 2 + 4 * 3 + 1


def test_source_files_hold_what_was_rendered(pair):
    image, label = render("source", 2)
    with Image.open(pair / "gta5/images/00002.png") as stored:
        assert stored.mode == "RGB"
        np.testing.assert_array_equal(np.array(stored), image)
    with Image.open(pair / "gta5/labels/00002.png") as stored:
        assert stored.mode == "P"
        assert stored.size == (256, 128)
        np.testing.assert_array_equal(np.array(stored), label)
        colours = np.array(stored.convert("RGB"))
    np.testing.assert_array_equal(colours, raw_id_palette()[label])


def test_target_files_hold_what_was_rendered(pair):
    for frame in cityscapes_frames(pair / "cityscapes", "val", 2):
        image, label = render("target", frame.index)
        with Image.open(frame.image) as stored:
            assert stored.mode == "RGB"
            np.testing.assert_array_equal(np.array(stored), image)
        with Image.open(frame.labels["labelIds"]) as stored:
            assert stored.mode == "L"
            np.testing.assert_array_equal(np.array(stored), label)
        with Image.open(frame.labels["labelTrainIds"]) as stored:
            assert stored.mode == "L"
            np.testing.assert_array_equal(np.array(stored), CITYSCAPES_RAW_IDS.train_ids[label])


def test_night_and_fog_are_read_as_acdc(tmp_path):
    numbers = write_pair(tmp_path, **COUNTS, adverse_train=1, adverse_val=2)
    assert numbers == {
        "source": 3,
        "target_train": 2,
        "target_val": 2,
        "adverse_train": 1,
        "adverse_val": 2,
        "written": 13,
    }
    for condition in ("night", "fog"):
        for split, count in (("train", 1), ("val", 2)):
            dataset = RawACDCDataset(tmp_path / "acdc", condition, split, pipeline=PIPELINE)
            assert len(dataset) == count
            for frame, sample in zip(
                acdc_frames(tmp_path / "acdc", condition, split, count), dataset, strict=True
            ):
                image, label = render(condition, frame.index)
                np.testing.assert_array_equal(sample["img"][..., ::-1], image)
                train_ids = CITYSCAPES_RAW_IDS.train_ids[label]
                np.testing.assert_array_equal(sample["gt_seg_map"], train_ids)


def test_a_folder_without_night_and_fog_is_not_added_to(pair):
    with pytest.raises(UserError, match=r"adverse_train 0 instead of 1, adverse_val 0 instead of"):
        write_pair(pair, **COUNTS, adverse_train=1, adverse_val=1)


def test_no_scene_is_in_two_sets(tmp_path):
    indices = [frame.index for frame in gta5_frames(tmp_path, 400)]
    for split in ("train", "val"):
        indices += [frame.index for frame in cityscapes_frames(tmp_path, split, 400)]
        for condition in ("night", "fog"):
            indices += [frame.index for frame in acdc_frames(tmp_path, condition, split, 400)]
    assert len(set(indices)) == 2800


def test_two_workers_write_the_same_bytes(pair, tmp_path):
    write_pair(tmp_path, **COUNTS, workers=2)
    assert files(tmp_path) == files(pair)


def test_order_does_not_matter(pair, tmp_path):
    write_frames(gta5_frames(tmp_path, 3)[::-1])
    assert files(tmp_path) == files(pair / "gta5")


def test_a_complete_folder_is_left_alone_and_a_gap_is_filled(tmp_path):
    write_pair(tmp_path, **COUNTS)
    whole = files(tmp_path)
    times = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.png")}
    calls = []
    assert write_pair(tmp_path, **COUNTS, progress=lambda *c: calls.append(c))["written"] == 0
    assert calls == [(7, 7)]
    assert {path: path.stat().st_mtime_ns for path in times} == times
    (tmp_path / "gta5/labels/00002.png").unlink()
    next((tmp_path / "cityscapes/leftImg8bit/train").rglob("*.png")).unlink()
    calls.clear()
    assert write_pair(tmp_path, **COUNTS, progress=lambda *c: calls.append(c))["written"] == 2
    assert calls == [(5, 7), (6, 7), (7, 7)]
    assert files(tmp_path) == whole


def test_an_interrupted_call_goes_on(pair, tmp_path):
    def stop(done, total):
        if done == 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_pair(tmp_path, **COUNTS, progress=stop)
    begun = files(tmp_path)
    assert set(begun) < set(files(pair))
    assert write_pair(tmp_path, **COUNTS)["written"] == 3
    assert files(tmp_path) == files(pair)


def test_other_parameters_are_not_mixed_in(pair):
    before = files(pair)
    with pytest.raises(UserError, match=r"seed 0 instead of 1.*delete"):
        write_pair(pair, **COUNTS, seed=1)
    with pytest.raises(UserError, match="size"):
        write_pair(pair, **COUNTS, size=(128, 64))
    assert files(pair) == before


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"source_frames": -1}, "source_frames = -1"),
        ({"target_val": -2}, "target_val = -2"),
        ({"workers": 0}, "workers = 0"),
        ({"size": (20, 20)}, "20x20"),
    ],
)
def test_bad_arguments_write_nothing(tmp_path, arguments, message):
    with pytest.raises(UserError, match=message):
        write_pair(tmp_path / "out", **arguments)
    assert not (tmp_path / "out").exists()


def test_a_folder_that_cannot_be_written(tmp_path):
    (tmp_path / "gta5").write_text("a file where a folder has to go")
    with pytest.raises(EnvError, match="cannot be written"):
        write_frames(gta5_frames(tmp_path / "gta5", 1))


_FULL_DISK = """
import resource, sys
from ibn_seg.errors import EnvError
from ibn_seg.scenes import write_pair
resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
try:
    write_pair(sys.argv[1], source_frames=2, target_train=0, target_val=0)
except EnvError as error:
    print(error.line)
    sys.exit(error.exit_code)
"""


def test_a_full_disk_leaves_no_partial_file(tmp_path):
    process = subprocess.run(
        [sys.executable, "-c", _FULL_DISK, str(tmp_path)], capture_output=True, text=True
    )
    assert process.returncode == 3, process.stderr
    assert "cannot be written" in process.stdout
    assert len(process.stdout.splitlines()) == 1
    for name, data in files(tmp_path).items():
        # What is there is whole: the parameters, and labels that were small enough.
        if name.endswith(".png"):
            with Image.open(tmp_path / name) as image:
                image.load()
        else:
            assert (
                json.loads(data)["source_frames" if "source_frames" in data.decode() else "seed"]
                >= 0
            )
    assert not [name for name in files(tmp_path) if ".tmp" in name]


def test_sizes_of_the_real_data_sets(tmp_path):
    write_frames(gta5_frames(tmp_path / "gta5", 1), size=(1914, 1052))
    write_frames(cityscapes_frames(tmp_path / "city", "val", 1), size=(2048, 1024))
    for path in tmp_path.rglob("*.png"):
        with Image.open(path) as image:
            assert image.size == ((1914, 1052) if "gta5" in path.parts else (2048, 1024))


@pytest.mark.slow
@pytest.mark.parametrize("listed", [gta5_frames, varied_frames])
def test_a_frame_costs_no_more_than_eight_thousand_polygons(tmp_path, listed):
    """Rendering and writing of both PNGs on one core, against a fixed work of the same kind.

    Both alternate and the best of each counts, as other programs run too. Where Python fills
    320,000 small polygons a second, the limit is 40 frames a second.
    """
    frames, polygons = [], []
    for attempt in range(5):
        polygons.append(_seconds_of_polygons(20_000) / 20_000)
        begun = time.perf_counter()
        write_frames(listed(tmp_path / str(attempt), 100), seed=attempt, workers=1)
        frames.append((time.perf_counter() - begun) / 100)
    ratio = min(frames) / min(polygons)
    print(f"{1 / min(frames):.1f} frames/s, {1 / min(polygons):,.0f} polygons/s, ratio {ratio:.0f}")
    assert ratio <= 8000


def _seconds_of_polygons(count: int) -> float:
    image = np.zeros((128, 256, 4), np.uint8)
    begun = time.perf_counter()
    for index in range(count):
        x, y = index * 0.37 % 247, index * 0.73 % 121
        corners = [(x, y), (x + 9.0, y), (x + 9.0, y + 7.0), (x, y + 7.0)]
        vertices = np.array([(int(u * 16), int(v * 16)) for u, v in corners], np.int32)
        cv2.fillConvexPoly(image, vertices, (1, 2, 3, 4), cv2.LINE_AA, 4)
    return time.perf_counter() - begun
