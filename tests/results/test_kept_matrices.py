"""Matrices come back as they were; damage is one line."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from ibn_seg.datasets.class_map import ClassMap
from ibn_seg.errors import UserError
from ibn_seg.evaluation.stored import ImageConfusions
from ibn_seg.results.kept_matrices import (
    READ,
    RunMatrices,
    read_configs,
    read_matrices,
    run_matrices,
    write_matrices,
)


def names(letter: str, number: int) -> tuple[str, ...]:
    return tuple(f"{letter}{k}" for k in range(number))


def matrices(run, counts, domain="night", **more) -> RunMatrices:
    images, rows, columns = counts.shape
    return RunMatrices(
        run, domain, names("i", images), names("r", rows), names("c", columns), counts, **more
    )


@st.composite
def drawn(draw):
    """Matrices of up to three runs on one domain; labels need not be the same."""
    shape = draw(st.tuples(*[st.integers(1, 4)] * 3))
    top = draw(st.sampled_from([1, 255, 256, 2**20, 2**40]))
    counts = arrays.arrays(np.int64, shape, elements=st.integers(0, top))
    same = draw(st.booleans())
    found = [draw(counts) for _ in range(draw(st.integers(1, 3)))]
    if same:  # other predictions of the same labels
        found = [np.roll(found[0], shift, axis=2) for shift in range(len(found))]
    return [matrices(f"r/{k}", one) for k, one in enumerate(found)]


def assert_equal(found, written):
    assert {run: list(domains) for run, domains in found.items()} == {
        run: [one.domain for one in written if one.run == run]
        for run in dict.fromkeys(one.run for one in written)
    }
    for one in written:
        other = found[one.run][one.domain]
        assert np.array_equal(other.counts, one.counts)
        assert other.counts.dtype == np.int64
        for key in ("images", "rows", "columns", "scored"):
            assert getattr(other, key) == getattr(one, key)


@settings(max_examples=60, deadline=None)
@given(drawn())
def test_what_is_read_is_what_was_written(tmp_path_factory, written):
    folder = tmp_path_factory.mktemp("kept")
    files = write_matrices(folder, written, {})
    assert_equal(read_matrices([folder / name for name in files]), written)


def test_rows_and_columns_of_their_own_domains_and_scored_classes(tmp_path):
    rng = np.random.default_rng(0)
    written = [
        matrices("a/1", rng.integers(0, 9, (3, 2, 5)), "day", scored=("r0",)),
        matrices("a/1", rng.integers(0, 900, (2, 5, 2))),
        matrices("a/2", rng.integers(0, 9, (4, 3, 3))),
    ]
    (name,) = write_matrices(tmp_path, written, {"a/1": "x = 1\n"})
    found = read_matrices([tmp_path / name])
    assert_equal(found, written)
    assert found["a/1"]["day"].columns == ("c0", "c1", "c2", "c3", "c4")
    assert read_configs([tmp_path / name]) == {"a/1": "x = 1\n"}
    assert list(read_matrices([tmp_path / name], {"a/2"})) == ["a/2"]


CLASSES, GROUPS = ("c0", "c1", "c2"), ("flat", "high")
MAP = ClassMap(CLASSES, GROUPS, (1, None, 0))


def with_map(run: str, seed: int, mapping: ClassMap = MAP) -> RunMatrices:
    counts = np.random.default_rng(seed).integers(0, 900, (4, 3, 3))
    images = ImageConfusions(names("i", 4), counts, mapping=mapping)
    return run_matrices(run, "camvid", images, CLASSES)


def test_matrices_with_a_map(tmp_path):
    """Runs whose maps differ stand in sets of their own, though all else is equal."""
    other = ClassMap(CLASSES, GROUPS, (0, 0, 1))
    written = [with_map("a/1", 1), with_map("a/2", 1), with_map("a/3", 1, other)]
    assert written[0].rows == ("flat", "high", "void")
    (name,) = write_matrices(tmp_path, written, {})
    found = read_matrices([tmp_path / name])
    assert_equal(found, written)
    assert [found[f"a/{at}"]["camvid"].mapping for at in (1, 2, 3)] == [MAP, MAP, other]
    with np.load(tmp_path / name) as archive:
        header = json.loads(archive["header"].tobytes())
    assert [entry["runs"] for entry in header["sets"]] == [["a/1", "a/2"], ["a/3"]]
    assert header["sets"][0]["map"] == {"groups": {"flat": ["c2"], "high": ["c0"]}, "none": ["c1"]}


@pytest.mark.parametrize(
    "change",
    [
        lambda entry: entry["map"]["groups"].pop("high"),
        lambda entry: entry["map"]["groups"]["high"].append("c9"),
        lambda entry: entry["map"].update(none=[]),
        lambda entry: entry["rows"].reverse(),
        lambda entry: entry.update(map="high"),
    ],
)
def test_a_damaged_map_is_said(change, tmp_path):
    (name,) = write_matrices(tmp_path, [with_map("a/1", 1)], {})
    path = tmp_path / name
    with np.load(path) as archive:
        arrays_ = dict(archive)
    header = json.loads(arrays_["header"].tobytes())
    change(header["sets"][0])
    arrays_["header"] = np.frombuffer(json.dumps(header).encode(), np.uint8)
    np.savez(path, **arrays_)
    with pytest.raises(UserError) as caught:
        read_matrices([path])
    assert caught.value.line.startswith(f"{path}: not a file of kept matrices, or damaged")


def test_the_three_lines_of_the_header_read_the_first_set(tmp_path, monkeypatch):
    labels = np.random.default_rng(1).integers(0, 5000, (6, 3, 4))
    written = [matrices(f"a/{k}", np.roll(labels, k, axis=2)) for k in range(3)]
    write_matrices(tmp_path, written, {})
    with np.load(tmp_path / "matrices-1.npz", allow_pickle=False) as archive:
        header = json.loads(archive["header"].tobytes())
    assert tuple(header["read"]) == READ
    monkeypatch.chdir(tmp_path)
    found: dict = {"np": np}
    exec("\n".join(header["read"]), found)
    assert header["sets"][0]["runs"] == ["a/0", "a/1", "a/2"]
    assert np.array_equal(
        found["c"], np.stack([one.counts for one in written], -1).transpose(1, 2, 0, 3)
    )


def test_equal_matrices_give_equal_bytes(tmp_path):
    written = [matrices("a/1", np.arange(24).reshape(2, 3, 4))]
    first, second = tmp_path / "1", tmp_path / "2"
    for folder in (first, second):
        write_matrices(folder, written, {"a/1": "text"})
    name = "matrices-1.npz"
    assert (first / name).read_bytes() == (second / name).read_bytes()


def test_much_is_written_to_several_files_and_what_is_old_goes(tmp_path):
    rng = np.random.default_rng(2)
    large = [
        matrices("a/1", rng.integers(0, 2**16, (80, 60, 60)), domain) for domain in ("day", "night")
    ]
    files = write_matrices(tmp_path, large, {"a/1": "text"})
    assert files == ("matrices-1.npz", "matrices-2.npz")
    assert_equal(read_matrices([tmp_path / name for name in files]), large)
    assert write_matrices(tmp_path, [matrices("a/1", np.ones((1, 1, 1), int))], {}) == files[:1]
    assert [path.name for path in tmp_path.iterdir()] == [files[0]]


@pytest.mark.parametrize(
    ("counts", "said"),
    [
        (np.zeros((2, 3, 3)), "whole numbers"),
        (-np.ones((2, 3, 3), int), "whole numbers"),
        (np.zeros((0, 3, 3), int), "counts of"),
    ],
)
def test_what_are_no_counts_is_refused(tmp_path, counts, said):
    with pytest.raises(ValueError, match=said):
        write_matrices(tmp_path, [matrices("a/1", counts)], {})


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-40])


def flipped(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 255
    path.write_bytes(bytes(data))


def other_member(path: Path) -> None:
    with path.open("wb") as file:
        np.savez(file, header=np.frombuffer(b'{"format": "other"}', np.uint8))


def pickled(path: Path) -> None:
    with path.open("wb") as file:
        np.savez(file, header=np.array([{"format": 1}], dtype=object))


def newer(path: Path) -> None:
    text = json.dumps({"format": "ibn_seg.kept_matrices", "version": 2}).encode()
    with path.open("wb") as file:
        np.savez(file, header=np.frombuffer(text, np.uint8))


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (cut, "not a file of kept matrices, or cut short"),
        (flipped, "damaged"),
        (other_member, "damaged"),
        (pickled, "damaged"),
        (newer, "version 2 cannot be read, allowed: 1"),
        (Path.unlink, "no such file"),
    ],
)
def test_damage_is_one_line_that_names_the_file(tmp_path, damage, said):
    counts = np.random.default_rng(3).integers(0, 99, (20, 6, 6))
    (name,) = write_matrices(tmp_path, [matrices("a/1", counts)], {})
    damage(tmp_path / name)
    with pytest.raises(UserError) as caught:
        read_matrices([tmp_path / name])
    assert said in caught.value.line
    assert str(tmp_path / name) in caught.value.line
    assert "\n" not in caught.value.line


def test_every_cut_is_said(tmp_path):
    (name,) = write_matrices(tmp_path, [matrices("a/1", np.ones((2, 3, 4), int))], {})
    path = tmp_path / name
    data = path.read_bytes()
    for size in range(len(data)):
        path.write_bytes(data[:size])
        with pytest.raises(UserError):
            read_matrices([path])
