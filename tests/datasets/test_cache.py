"""The cache of decoded frames: lossless, never stale, whole, and safe with several writers."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ibn_seg.datasets.cache import CODECS, Entry, FrameCache, Identity
from ibn_seg.datasets.gta5 import GTA5Dataset
from ibn_seg.downloads.fill_cache import build_cache
from ibn_seg.errors import EnvError, UserError
from ibn_seg.transforms import random_crop  # noqa: F401 - registers LoadRandomCrop
from tests.helpers import image_for, random_train_ids, write_gta5, write_image

LOAD = [dict(type="LoadRandomCrop", scale=(64, 48), ratio_range=(1.0, 1.0), crop_size=(48, 64))]


def codecs():
    try:
        import zstandard  # noqa: F401
    except ImportError:
        return [codec for codec in CODECS if codec != "zstd"]
    return list(CODECS)


AVAILABLE = codecs()
TILED = AVAILABLE[0]


def whole(entry: Entry) -> np.ndarray:
    return entry.canvas(0, entry.shape[0], 0, entry.shape[1]).copy()


def picture(seed: int, height: int, width: int, channels: int, noise: int) -> np.ndarray:
    """Return blocks of colour with noise: what one filter suits and what the other does."""
    rng = np.random.default_rng(seed)
    base = np.kron(rng.integers(0, 256, (-(-height // 16), -(-width // 16), channels)),
                   np.ones((16, 16, 1), int))[:height, :width]  # fmt: skip
    ramp = np.arange(height)[:, None, None] * (seed % 3)
    return (base + ramp + rng.integers(0, noise + 1, base.shape)).astype(np.uint8)


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    seed=st.integers(0, 1000),
    height=st.integers(1, 300),
    width=st.integers(1, 300),
    channels=st.sampled_from([1, 3]),
    noise=st.sampled_from([0, 5, 255]),
    codec=st.sampled_from(AVAILABLE),
    data=st.data(),
)
def test_every_window_is_the_pictures(tmp_path, seed, height, width, channels, noise, codec, data):
    pixels = picture(seed, height, width, channels, noise)
    source = tmp_path / "source"
    source.write_bytes(f"{seed} {height} {width} {channels} {noise}".encode())
    entry = FrameCache(tmp_path / "cache", codec).write(source, "image", lambda: pixels)
    assert entry.shape == pixels.shape
    assert np.array_equal(whole(entry), pixels)
    top, bottom = sorted(data.draw(st.lists(st.integers(0, height), min_size=2, max_size=2)))
    left, right = sorted(data.draw(st.lists(st.integers(0, width), min_size=2, max_size=2)))
    window = entry.canvas(top, bottom, left, right)[top:bottom, left:right]
    assert np.array_equal(window, pixels[top:bottom, left:right])


def test_both_filters_are_used(tmp_path):
    source = tmp_path / "source"
    source.write_bytes(b"")
    cache = FrameCache(tmp_path / "cache", TILED)
    rng = np.random.default_rng(0)
    two_values = rng.integers(0, 2, (200, 200), dtype=np.uint8) * 200
    slopes = np.cumsum(rng.integers(0, 2, (200, 200)), axis=0).astype(np.uint8)
    for rows, best in ((two_values, "none"), (slopes, "up")):
        entry = cache.write(source, "image", lambda rows=rows: rows)
        assert entry._filter == best
        assert np.array_equal(whole(entry)[..., 0], rows)


def replace_by_rename(path: Path, content: bytes) -> None:
    other = path.with_name("other")
    other.write_bytes(content)
    status = path.stat()
    os.utime(other, ns=(status.st_atime_ns, status.st_mtime_ns))
    other.replace(path)


def overwrite_with_old_time(path: Path, content: bytes) -> None:
    status = path.stat()
    path.write_bytes(content)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def touch(path: Path, content: bytes) -> None:
    os.utime(path, ns=(1, 1))


@pytest.mark.parametrize("change", [replace_by_rename, overwrite_with_old_time, touch])
def test_a_changed_source_is_never_served_from_the_cache(tmp_path, change):
    """Each change keeps the size; the first two keep the time of the change as well."""
    source = tmp_path / "source"
    source.write_bytes(b"old!")
    cache = FrameCache(tmp_path / "cache", TILED)
    decode = lambda: np.frombuffer(source.read_bytes(), np.uint8).reshape(2, 2)  # noqa: E731
    assert cache.open(source, "image", decode).made
    assert not cache.open(source, "image", decode).made
    change(source, b"new!")
    entry = cache.open(source, "image", decode)
    assert entry.made
    assert whole(entry).tobytes() == source.read_bytes()
    assert len(list(cache.folder.rglob("*.tiles"))) == 1, "the old entry stays"


def test_a_source_that_changes_while_it_is_read(tmp_path):
    source = tmp_path / "source"
    source.write_bytes(b"old!")

    def decode():
        pixels = np.frombuffer(source.read_bytes(), np.uint8).reshape(2, 2)
        if pixels.tobytes() == b"old!":
            replace_by_rename(source, b"new!")
        return pixels

    entry = FrameCache(tmp_path / "cache", TILED).open(source, "image", decode)
    assert whole(entry).tobytes() == b"new!"


@pytest.mark.parametrize("codec", AVAILABLE)
@pytest.mark.parametrize("cut", [0, 10, 70, -1])
def test_a_truncated_entry_is_no_entry(tmp_path, codec, cut):
    source = tmp_path / "source"
    source.write_bytes(b"")
    cache = FrameCache(tmp_path / "cache", codec)
    cache.open(source, "image", lambda: picture(0, 200, 200, 3, 5))
    path = cache.path(source, "image")
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(LookupError):
        Entry(path, Identity.of(source))
    assert cache.open(source, "image", lambda: picture(0, 200, 200, 3, 5)).made


@pytest.mark.parametrize("codec", [codec for codec in AVAILABLE if codec != "raw"])
def test_damaged_entries_are_made_again_in_training(tmp_path, codec):
    root = write_gta5(tmp_path / "gta5", [1])
    data = GTA5Dataset(root, pipeline=LOAD, cache_dir=tmp_path / "cache", cache_codec=codec)
    np.random.seed(0)
    right = data[0]
    for path in (tmp_path / "cache").rglob("*.tiles"):
        content = bytearray(path.read_bytes())
        content[-6] ^= 0x55
        path.write_bytes(bytes(content))
    np.random.seed(0)
    again = data[0]
    assert np.array_equal(again["img"], right["img"])
    assert np.array_equal(again["gt_seg_map"], right["gt_seg_map"])


def test_labels_of_another_table_have_their_own_entries(tmp_path):
    root = write_gta5(tmp_path / "gta5", [1])
    cached = dict(pipeline=LOAD, cache_dir=tmp_path / "cache", cache_codec=TILED)
    every = GTA5Dataset(root, **cached)[0]["gt_seg_map"]
    few = GTA5Dataset(root, metainfo=dict(classes=("car", "road")), **cached)[0]["gt_seg_map"]
    assert set(np.unique(every)) > {2, 255}
    assert set(np.unique(few)) <= {0, 1, 255}
    assert len(list((tmp_path / "cache").rglob("*.tiles"))) == 3, "one image, two labels"


def test_a_label_of_another_size_than_its_new_image(tmp_path):
    root = write_gta5(tmp_path / "gta5", [1])
    data = GTA5Dataset(root, pipeline=LOAD, cache_dir=tmp_path / "cache", cache_codec=TILED)
    data[0]
    rng = np.random.default_rng(0)
    write_image(root / "images" / "00001.png", image_for(random_train_ids(rng, (32, 16)), rng))
    with pytest.raises(UserError, match="label of 64x48 pixels for an image of 32x16"):
        data[0]


@pytest.mark.parametrize("name", ["images", "labels"])
def test_damaged_files_are_refused_with_and_without_cache(tmp_path, name):
    root = write_gta5(tmp_path / "gta5", [1])
    path = root / name / "00001.png"
    path.write_bytes(path.read_bytes()[:-20])
    for cache in ({}, dict(cache_dir=tmp_path / "cache", cache_codec=TILED)):
        with pytest.raises(UserError, match="truncated or damaged picture"):
            GTA5Dataset(root, pipeline=LOAD, **cache)[0]


def test_bad_settings(tmp_path):
    root = write_gta5(tmp_path / "gta5", [1])
    with pytest.raises(UserError, match=r"unknown cache codec 'zlip'.*did you mean 'zlib'"):
        GTA5Dataset(root, pipeline=LOAD, cache_dir=tmp_path, cache_codec="zlip")
    with pytest.raises(UserError, match="nothing in the pipeline reads it"):
        GTA5Dataset(root, pipeline=[dict(type="LoadImageFromFile")], cache_dir=tmp_path,
                    cache_codec=TILED)  # fmt: skip
    (tmp_path / "file").write_text("")
    data = GTA5Dataset(root, pipeline=LOAD, cache_dir=tmp_path / "file", cache_codec=TILED)
    with pytest.raises(EnvError, match="cannot be written"):
        data[0]


def test_without_zstandard_the_codec_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "zstandard", None)
    with pytest.raises(EnvError, match=r"pip install 'ibn_seg\[cache\]'"):
        FrameCache(tmp_path, "zstd")
    FrameCache(tmp_path, "zlib")


def config(root: Path, cache: Path, pipeline=LOAD):
    from mmengine.config import Config

    dataset = dict(type="GTA5Dataset", data_root=str(root), split="all", pipeline=pipeline)
    if cache:
        dataset.update(cache_dir=str(cache), cache_codec=TILED)
    return Config(dict(train_dataloader=dict(dataset=dataset)))


def test_building_resumes_and_counts(tmp_path):
    root, cache = write_gta5(tmp_path / "gta5"), tmp_path / "cache"
    seen = []
    done = build_cache(config(root, cache), progress=lambda *at: seen.append(at))
    assert (done["frames"], done["made"]) == (6, 12)
    assert seen == [(i, 6) for i in range(1, 7)]
    assert done["bytes"] == sum(path.stat().st_size for path in cache.rglob("*.tiles"))
    next(cache.rglob("*.tiles")).unlink()
    old = cache / "aa" / ".killed.tmp.tiles"
    old.parent.mkdir(exist_ok=True)
    old.write_bytes(b"half")
    os.utime(old, (0, 0))
    assert build_cache(config(root, cache))["made"] == 1
    assert not old.exists()


def test_building_without_a_folder(tmp_path):
    with pytest.raises(UserError, match="give --dir"):
        build_cache(config(write_gta5(tmp_path / "gta5"), None))
    done = build_cache(config(tmp_path / "gta5", None), tmp_path / "cache", codec=TILED)
    assert done["made"] == 12


def test_a_cache_that_nothing_reads_is_not_filled(tmp_path):
    data = config(write_gta5(tmp_path / "gta5"), None, [dict(type="LoadImageFromFile")])
    with pytest.raises(UserError, match="nothing in the pipeline reads it"):
        build_cache(data, tmp_path / "cache", codec=TILED)
    assert not (tmp_path / "cache").exists()


WRITER = """
import sys
import numpy as np
from ibn_seg.datasets.cache import FrameCache
cache = FrameCache(sys.argv[1], sys.argv[2])
for name in sys.argv[3:]:
    rng = np.random.default_rng(int(name[-1]))
    pixels = rng.integers(0, 9, (300, 300, 3), dtype=np.uint8)
    entry = cache.open(name, "image", lambda: pixels)
    assert np.array_equal(entry.canvas(0, 300, 0, 300), pixels)
"""


def test_writers_of_one_folder_at_once(tmp_path):
    sources = [tmp_path / f"source{i}" for i in range(8)]
    for source in sources:
        source.write_bytes(b"")
    cache = FrameCache(tmp_path / "cache", TILED)
    command = [sys.executable, "-c", WRITER, str(cache.folder), TILED, *map(str, sources)]
    here = Path(__file__).resolve().parents[2]
    runs = [subprocess.Popen(command, cwd=here) for _ in range(3)]
    assert [run.wait(timeout=120) for run in runs] == [0, 0, 0]
    assert len(list(cache.folder.rglob("*"))) == len(list(cache.folder.rglob("??"))) + 8
    for number, source in enumerate(sources):
        entry = cache.open(source, "image", lambda: pytest.fail("made again"))
        rng = np.random.default_rng(number)
        assert np.array_equal(whole(entry), rng.integers(0, 9, (300, 300, 3), dtype=np.uint8))


@pytest.mark.slow
def test_two_builders_of_one_folder_in_several_processes(tmp_path):
    root, cache = write_gta5(tmp_path / "gta5", range(1, 13)), tmp_path / "cache"
    path = tmp_path / "config.py"
    path.write_text(config(root, cache).pretty_text)
    command = [sys.executable, "-m", "ibn_seg", "cache", str(path)]
    here = Path(__file__).resolve().parents[2]
    runs = [
        subprocess.Popen([*command, *more], cwd=here, stdout=subprocess.PIPE, text=True)
        for more in ((), ("--workers", "2"))
    ]
    outputs = [run.communicate(timeout=300)[0] for run in runs]
    assert [run.returncode for run in runs] == [0, 0]
    assert all(output.startswith("12 frames") for output in outputs)
    assert len(list(cache.rglob("*.tiles"))) == 24
    assert not list(cache.rglob(".*"))
    data = GTA5Dataset(root, split="all", pipeline=LOAD, cache_dir=cache, cache_codec=TILED)
    before = {p: p.stat().st_mtime_ns for p in cache.rglob("*.tiles")}
    plain = GTA5Dataset(root, split="all", pipeline=LOAD)
    for index in range(12):
        np.random.seed(index)
        cached = data[index]["img"]
        np.random.seed(index)
        assert np.array_equal(cached, plain[index]["img"])
    assert {p: p.stat().st_mtime_ns for p in cache.rglob("*.tiles")} == before
