"""Files are whole or absent; checkpoints never execute anything."""

import contextlib
import pickle
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.torch_version import TorchVersion

from ibn_seg import io
from ibn_seg.errors import EnvError, UserError
from tests.helpers import Malicious


def test_json_round_trip_keeps_every_digit(tmp_path):
    data = {"mIoU": 50.123456789012345, "absent": ["train"], "name": "größe"}
    io.write_json(tmp_path / "a" / "result.json", data)
    assert io.read_json(tmp_path / "a" / "result.json") == data


def test_a_failed_block_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "x.txt"
    io.write_text(path, "old")

    def fail() -> None:
        with io.atomic_path(path) as temporary:
            temporary.write_text("half")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["x.txt"]


def test_written_files_have_the_usual_mode(tmp_path):
    io.write_text(tmp_path / "x", "a")
    (tmp_path / "y").write_text("a")
    assert stat.S_IMODE((tmp_path / "x").stat().st_mode) == stat.S_IMODE(
        (tmp_path / "y").stat().st_mode
    )


def test_full_disk_is_one_line_and_leaves_nothing(tmp_path):
    code = (
        "import resource, signal, sys\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))\n"
        "from ibn_seg import io, errors\n"
        "try:\n"
        f"    io.write_bytes({str(tmp_path / 'big')!r}, b'x' * 5000)\n"
        "except errors.EnvError as error:\n"
        "    print(error.line); sys.exit(error.exit_code)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 3
    assert "big: cannot be written (File too large)" in done.stdout
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("below", ["", "deep", "deep/deeper"])
def test_what_is_in_the_way_of_a_folder_is_named(tmp_path, below):
    (tmp_path / "file").write_text("mine")
    (tmp_path / "link").symlink_to("nowhere")
    (tmp_path / "loop").symlink_to("loop")
    for name, what in (
        ("file", "is a file, not a folder"), ("link", "is a broken link"),
        ("loop", "is a broken link"),
    ):  # fmt: skip
        path = tmp_path / name / below / "x"
        with pytest.raises(EnvError) as caught:
            io.write_text(path, "")
        said = f"{path}: cannot be written ({tmp_path / name} {what}): choose another folder"
        assert caught.value.line == said
    assert sorted(p.name for p in tmp_path.iterdir()) == ["file", "link", "loop"]
    assert (tmp_path / "file").read_text() == "mine"


def test_a_file_below_its_folder_is_not_in_the_way(tmp_path):
    (tmp_path / "x").mkdir()
    with pytest.raises(EnvError, match=r"x: cannot be written \(Is a directory\): free space or"):
        io.write_text(tmp_path / "x", "")


def test_read_json_says_what_is_wrong(tmp_path):
    with pytest.raises(UserError, match="no such file"):
        io.read_json(tmp_path / "none.json")
    (tmp_path / "bad.json").write_text("{")
    with pytest.raises(UserError, match="not a JSON file"):
        io.read_json(tmp_path / "bad.json")


def test_checkpoint_round_trip(tmp_path):
    torch.save({"state_dict": {"w": torch.ones(2)}}, tmp_path / "a.pth")
    assert io.load_checkpoint(tmp_path / "a.pth")["state_dict"]["w"].tolist() == [1, 1]


@pytest.mark.parametrize("writer", ["torch", "pickle"])
def test_malicious_checkpoint_is_refused_and_not_executed(tmp_path, writer):
    path, mark = tmp_path / "evil.pth", tmp_path / "executed"
    if writer == "torch":
        torch.save({"state_dict": Malicious(mark)}, path)
    else:
        path.write_bytes(pickle.dumps(Malicious(mark)))
    with pytest.raises(UserError, match=r"evil\.pth: "):
        io.load_checkpoint(path)
    assert not mark.exists()


@pytest.mark.parametrize(
    ("version", "said"),
    [
        ("2.1.2+cu121", ["PyTorch 2.1.2+cu121 cannot load it safely", "use PyTorch 2.6 or newer"]),
        ("2.5.1", ["PyTorch 2.5.1 cannot load it safely", "use PyTorch 2.6 or newer"]),
        ("2.6.0", ["holds more than tensors and plain values", "could execute code"]),
    ],
)
def test_a_refusal_fits_what_the_version_can_read(tmp_path, monkeypatch, version, said):
    torch.save({"state_dict": Malicious(tmp_path / "executed")}, tmp_path / "evil.pth")
    monkeypatch.setattr(torch, "__version__", TorchVersion(version))
    with pytest.raises(UserError) as caught:
        io.load_checkpoint(tmp_path / "evil.pth")
    for words in [str(tmp_path / "evil.pth"), "refused", "save the state dict alone", *said]:
        assert words in caught.value.line
    assert not (tmp_path / "executed").exists()


def test_damaged_and_missing_checkpoints(tmp_path):
    torch.save({"w": torch.ones(1000)}, tmp_path / "a.pth")
    data = (tmp_path / "a.pth").read_bytes()
    (tmp_path / "cut.pth").write_bytes(data[: len(data) // 2])
    (tmp_path / "empty.pth").write_bytes(b"")
    for name in ("cut.pth", "empty.pth", "none.pth"):
        with pytest.raises(UserError, match=name.replace(".", r"\.")) as caught:
            io.load_checkpoint(tmp_path / name)
        assert "\n" not in caught.value.line


@given(
    start=st.sampled_from([b"", b"<html>", b"version https://git-lfs", b"PK\x03\x04", b"\x80\x02"]),
    rest=st.binary(max_size=40),
)
def test_any_other_bytes_are_one_line(start, rest):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "a.pth")
        path.write_bytes(start + rest)
        with pytest.raises(UserError, match=r"a\.pth: ") as caught:
            io.load_checkpoint(path)
        assert "\n" not in caught.value.line
        if not start.startswith((b"PK", b"\x80")) and not rest.startswith((b"PK", b"\x80")):
            assert "not a PyTorch checkpoint" in str(caught.value)


def test_flipped_bytes_are_one_line_or_another_checkpoint(tmp_path):
    for new_format in (True, False):
        torch.save(
            {"w": torch.ones(3), "name": "x"}, tmp_path / "a.pth",
            _use_new_zipfile_serialization=new_format,
        )  # fmt: skip
        data = (tmp_path / "a.pth").read_bytes()
        for at in range(0, min(len(data), 600), 3):
            damaged = bytearray(data)
            damaged[at] ^= 0xFF
            (tmp_path / "b.pth").write_bytes(damaged)
            with contextlib.suppress(UserError):
                io.load_checkpoint(tmp_path / "b.pth")


def test_sha256(tmp_path):
    (tmp_path / "x").write_bytes(b"abc")
    assert io.sha256(tmp_path / "x").startswith("ba7816bf8f01cfea")
