import json
import os
import signal
import subprocess
import sys
import textwrap
import time
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from ibn_seg.datasets.labels import CLASSES
from ibn_seg.errors import EnvError, UserError
from ibn_seg.evaluation.confusion import scores
from ibn_seg.evaluation.stored import (
    ImageConfusions,
    StoredConfusions,
    confusions_of,
    image_names,
    read_confusions,
    read_step,
    write_confusions,
)
from tests.helpers import truncate

ROOT = Path(__file__).resolve().parents[2]


def made(images=4, classes=CLASSES, seed=0, largest=10**6):
    """Return two domains of random counts, half of them zero."""
    rng = np.random.default_rng(seed)
    shape = (images, len(classes), len(classes))
    domains = {
        name: ImageConfusions(
            tuple(f"val/{name}_{at:03}.png" for at in range(images)),
            rng.integers(0, largest, shape) * rng.integers(0, 2, shape),
            scored,
        )
        for name, scored in (("gta5", None), ("acdc-fog", tuple(classes[:2])))
    }
    return StoredConfusions(tuple(classes), domains, step=600)


def assert_same(first, second):
    assert (first.classes, first.step) == (second.classes, second.step)
    assert list(first.domains) == list(second.domains)
    for one, other in zip(first.domains.values(), second.domains.values(), strict=True):
        assert (one.images, one.scored) == (other.images, other.scored)
        assert one.counts.dtype == other.counts.dtype == np.int64
        assert np.array_equal(one.counts, other.counts)


def test_written_and_read(tmp_path):
    path, content = tmp_path / "confusions.npz", made()
    write_confusions(path, content)
    assert_same(read_confusions(path, CLASSES), content)
    assert read_step(path) == 600
    assert [file.name for file in tmp_path.iterdir()] == ["confusions.npz"]


NAMES = st.lists(
    st.text(st.characters(exclude_characters="\0"), min_size=1), min_size=1, max_size=3
)


@settings(deadline=None, max_examples=40)
@given(st.data(), NAMES)
def test_everything_comes_back(tmp_path_factory, data, names):
    path = tmp_path_factory.mktemp("any") / "confusions.npz"
    counts = data.draw(hnp.arrays(np.int64, (len(names), 2, 2), elements=st.integers(0, 2**63 - 1)))
    content = StoredConfusions(("ä", "b"), {"x": ImageConfusions(tuple(names), counts)})
    write_confusions(path, content)
    assert_same(read_confusions(path), content)


def test_names_of_files_need_not_be_unicode(tmp_path):
    name = os.fsdecode(b"stra\xdfe \xe2\x98\x83.png")
    counts = np.ones((1, 1, 1), int)
    path = tmp_path / "a.npz"
    write_confusions(path, StoredConfusions(("a",), {"x": ImageConfusions((name,), counts)}))
    assert read_confusions(path).domains["x"].images == (name,)


@pytest.mark.parametrize("kind", [np.uint8, np.int32, np.int64, np.uint64])
def test_every_kind_of_whole_number_is_exact(tmp_path, kind):
    largest = min(np.iinfo(kind).max, 2**63 - 1)
    counts = np.array([[[largest, 255], [0, largest - 1]]], kind)
    path = tmp_path / "a.npz"
    write_confusions(path, StoredConfusions(("a", "b"), {"x": ImageConfusions(("i",), counts)}))
    assert read_confusions(path).domains["x"].counts.tolist() == counts.tolist()


def test_a_frame_of_one_class_fits_exactly(tmp_path):
    """2048x1024 pixels in one cell, and the sum of 500 such frames."""
    counts = np.zeros((500, 19, 19), np.int64)
    counts[:, 3, 3] = 2048 * 1024
    names = tuple(map(str, range(500)))
    path = tmp_path / "a.npz"
    write_confusions(path, StoredConfusions(CLASSES, {"x": ImageConfusions(names, counts)}))
    found = read_confusions(path).domains["x"].counts
    assert found.sum(axis=0)[3, 3] == 500 * 2048 * 1024


@pytest.mark.parametrize(
    "counts",
    [
        np.full((1, 2, 2), -1),
        np.full((1, 2, 2), 2**63, np.uint64),
        np.full((1, 2, 2), 0.5),
        np.zeros((2, 2, 2), int),
        np.zeros((1, 3, 3), int),
    ],
)
def test_what_is_no_count_is_not_written(tmp_path, counts):
    content = StoredConfusions(("a", "b"), {"x": ImageConfusions(("i",), counts)})
    with pytest.raises(ValueError, match="counts"):
        write_confusions(tmp_path / "a.npz", content)
    assert not list(tmp_path.iterdir())


def test_equal_content_gives_equal_bytes(tmp_path):
    for name in ("a", "b"):
        write_confusions(tmp_path / f"{name}.npz", made())
        time.sleep(0.01)
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()


def rendered(images):
    """Return the counts of coarse predictions for rendered scenes of 512x256."""
    import cv2

    from ibn_seg.datasets.labels import CITYSCAPES_RAW_IDS
    from ibn_seg.evaluation.confusion import confusion_matrix
    from ibn_seg.scenes.render import render

    rng, found = np.random.default_rng(0), []
    for index in range(images):
        label = CITYSCAPES_RAW_IDS.train_ids[render("target", index, size=(512, 256))[1]]
        maps = [cv2.GaussianBlur((label == c).astype(np.float32), (0, 0), 4) for c in range(19)]
        noise = rng.normal(0, 0.28, (19, 16, 32)).astype(np.float32)
        noise = [cv2.resize(part, (512, 256), interpolation=cv2.INTER_CUBIC) for part in noise]
        prediction = (np.stack(maps) + np.stack(noise)).argmax(axis=0).astype(np.uint8)
        found.append(confusion_matrix(prediction, label, 19))
    return np.stack(found)


def test_a_file_is_small(tmp_path):
    counts = rendered(10)
    names = tuple(f"leftImg8bit/val/normheim/{at:06}.png" for at in range(10))
    path = tmp_path / "a.npz"
    write_confusions(path, StoredConfusions(CLASSES, {"x": ImageConfusions(names, counts)}))
    # The archive's own frame is 1 KiB; 64-bit numbers are 2,888 bytes for each image.
    assert path.stat().st_size - 1024 < 10 * 500


def test_no_file(tmp_path):
    with pytest.raises(UserError, match=r"a\.npz: no such file: test the checkpoint again"):
        read_confusions(tmp_path / "a.npz")


def refusal(path):
    """Return the message of a file that is refused; else it must hold what was written."""
    try:
        found = read_confusions(path)
    except UserError as error:
        return str(error)
    assert_same(found, made())
    return None


def test_damaged_files_are_one_line(tmp_path):
    whole = tmp_path / "whole.npz"
    write_confusions(whole, made())
    data = whole.read_bytes()
    path = tmp_path / "a.npz"
    rng = np.random.default_rng(0)
    damaged = [b"", b"PK\x03\x04", data[: len(data) // 2], data[:-30], b"x" + data[1:]]
    for _ in range(60):
        flipped = bytearray(data)
        flipped[rng.integers(len(data))] ^= 1 << int(rng.integers(8))
        damaged.append(bytes(flipped))
    refused = 0
    for content in damaged:
        path.write_bytes(content)
        message = refusal(path)
        assert message is None or message.startswith(f"{path}: ")
        refused += message is not None
    # A few bytes of an archive are never read, such as times.
    assert refused > 40
    truncate(whole)
    with pytest.raises(UserError, match="not a file of confusion matrices"):
        read_step(whole)


def rewrite(path, **changes):
    """Change keys of a file's header."""
    with np.load(path) as file:
        arrays = dict(file)
    header = {**json.loads(arrays["header"].tobytes()), **changes}
    arrays["header"] = np.frombuffer(json.dumps(header).encode(), np.uint8)
    np.savez(path, **arrays)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"version": 3}, "version 3 cannot be read, allowed: 1, 2: test the checkpoint again"),
        ({"format": "other"}, "not a file of confusion matrices"),
        ({"classes": ["a"]}, "not a file of confusion matrices, or damaged"),
        ({"domains": [{"name": "x", "images": ["i"], "scored": None}]}, "or damaged"),
        ({"domains": 3}, "or damaged"),
    ],
)
def test_other_headers(tmp_path, changes, message):
    path = tmp_path / "a.npz"
    write_confusions(path, made())
    rewrite(path, **changes)
    with pytest.raises(UserError, match=message):
        read_confusions(path)


def test_other_archives_and_pickles(tmp_path):
    path = tmp_path / "a.npz"
    np.savez(path, weights=np.zeros(3))
    with pytest.raises(UserError, match="not a file of confusion matrices"):
        read_confusions(path)
    np.savez(path, header=np.array([{"format": "ibn_seg.confusions"}], object))
    with pytest.raises(UserError, match="not a file of confusion matrices"):
        read_confusions(path)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("header.npy", "text")
    with pytest.raises(UserError, match="not a file of confusion matrices"):
        read_confusions(path)


def test_other_classes(tmp_path):
    path = tmp_path / "a.npz"
    write_confusions(path, made(classes=("a", "b", "c", "d")))
    with pytest.raises(UserError, match=r"has 4 classes \(a, b, c, \.\.\.\): expected 19 \(road"):
        read_confusions(path, CLASSES)


def test_a_full_disk(tmp_path):
    script = """
        import resource, sys
        from tests.evaluation.test_stored import EnvError, made, write_confusions
        resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))
        try:
            write_confusions("a.npz", made(images=50))
        except EnvError as error:
            sys.exit(error.line)
    """
    done = python(script, tmp_path)
    assert "a.npz: cannot be written (File too large)" in done.stderr
    assert not list(tmp_path.iterdir())
    assert issubclass(EnvError, UserError)


def python(script, folder):
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)], cwd=folder, capture_output=True,
        text=True, env={**os.environ, "PYTHONPATH": str(ROOT)}, check=False, timeout=60,
    )  # fmt: skip


def test_killed_while_writing(tmp_path):
    """Whenever the writer dies, there is a whole file: the old one or the new one."""
    script = """
        from tests.evaluation.test_stored import made, write_confusions
        versions = [made(images=60, seed=seed) for seed in (0, 1)]
        print("ready", flush=True)
        while True:
            for content in versions:
                write_confusions("a.npz", content)
    """
    versions = [made(images=60, seed=seed) for seed in (0, 1)]
    for trial in range(5):
        with subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(script)], cwd=tmp_path, stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        ) as process:  # fmt: skip
            process.stdout.readline()
            while not (tmp_path / "a.npz").exists():
                time.sleep(0.001)
            time.sleep(0.013 * trial)
            process.send_signal(signal.SIGKILL)
        found = read_confusions(tmp_path / "a.npz", CLASSES)
        counts = found.domains["gta5"].counts
        old = np.array_equal(counts, versions[0].domains["gta5"].counts)
        assert_same(found, versions[0 if old else 1])


def result_of(content):
    """Return what a result file says about the same evaluation."""
    domains = {
        name: scores(part.counts.sum(axis=0), content.classes, len(part.images)).to_dict()
        for name, part in content.domains.items()
    }
    return json.loads(json.dumps({"domains": domains, "confusions": "confusions.npz"}))


def test_the_file_of_a_result(tmp_path):
    content = made()
    write_confusions(tmp_path / "confusions.npz", content)
    assert_same(confusions_of(result_of(content), tmp_path, CLASSES), content)


def test_a_result_without_a_file(tmp_path):
    old = result_of(made())
    del old["confusions"]
    assert confusions_of(old, tmp_path) is None
    assert confusions_of({**old, "confusions": None}, tmp_path) is None


def test_the_file_of_another_evaluation(tmp_path):
    content = made()
    write_confusions(tmp_path / "confusions.npz", made(seed=1))
    with pytest.raises(UserError, match=r"the counts of 'gta5' do not add up to those of the res"):
        confusions_of(result_of(content), tmp_path)
    result = result_of(content)
    del result["domains"]["gta5"]
    with pytest.raises(UserError, match="has the domains gta5, acdc-fog, but the result acdc-fog"):
        confusions_of(result, tmp_path)
    with pytest.raises(UserError, match="no such file"):
        confusions_of({**result, "confusions": "other.npz"}, tmp_path)
    for name in ("../confusions.npz", "/etc/passwd", 3, ""):
        with pytest.raises(UserError, match="expected the name of a file in it"):
            confusions_of({**result, "confusions": name}, tmp_path)


def test_names_are_those_below_the_root():
    roots = ["/data", "/data/cityscapes", "elsewhere/gta5/"]
    paths = [
        "/data/cityscapes/leftImg8bit/val/a.png",
        "/data/b.png",
        "./elsewhere/gta5/images/1.png",
        None,
    ]
    assert image_names(paths, roots) == ("leftImg8bit/val/a.png", "b.png", "images/1.png", "#3")


def test_names_outside_every_root():
    assert image_names(["/x/val/a/1.png", "/x/val/b/2.png"]) == ("a/1.png", "b/2.png")
    assert image_names(["/x/val/1.png"], ["/y"]) == ("1.png",)
    assert image_names(["a/1.png", "b/2.png"]) == ("a/1.png", "b/2.png")
    assert image_names(["a/1.png", "/b/2.png"]) == ("1.png", "2.png")
    assert image_names([]) == ()
