"""Files are whole or absent; checkpoints never execute anything."""

import os
import pickle
import stat
import subprocess
import sys

import pytest
import torch

from ibn_seg import io
from ibn_seg.errors import EnvError, UserError


class Payload:
    """Pickles to a command that leaves a file behind when it is loaded."""

    def __init__(self, path) -> None:
        self.path = path

    def __reduce__(self):
        return os.system, (f"touch {self.path}",)


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


def test_folder_that_is_a_file(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(EnvError, match="cannot be written"):
        io.write_text(tmp_path / "file" / "x", "")


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
        torch.save({"state_dict": Payload(mark)}, path)
    else:
        path.write_bytes(pickle.dumps(Payload(mark)))
    with pytest.raises(UserError, match=r"evil\.pth: "):
        io.load_checkpoint(path)
    assert not mark.exists()


def test_damaged_and_missing_checkpoints(tmp_path):
    torch.save({"w": torch.ones(1000)}, tmp_path / "a.pth")
    data = (tmp_path / "a.pth").read_bytes()
    (tmp_path / "cut.pth").write_bytes(data[: len(data) // 2])
    (tmp_path / "empty.pth").write_bytes(b"")
    for name in ("cut.pth", "empty.pth", "none.pth"):
        with pytest.raises(UserError, match=name.replace(".", r"\.")) as caught:
            io.load_checkpoint(tmp_path / name)
        assert "\n" not in caught.value.line


def test_sha256(tmp_path):
    (tmp_path / "x").write_bytes(b"abc")
    assert io.sha256(tmp_path / "x").startswith("ba7816bf8f01cfea")
