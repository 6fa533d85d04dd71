"""Files that are given as checkpoints and are none: one line that says what they are."""

import bz2
import gzip
import lzma
import os
import pickle
import tarfile
import zipfile

import numpy as np
import pytest
import torch

from ibn_seg.errors import UserError
from ibn_seg.io import load_checkpoint

TARS = {
    "tar archive": ["real.pth"],
    "format before 0.1.11": ["sys_info", "pickle", "tensors", "storages"],
}


def write_tar(path, names):
    """Write an archive of these files."""
    with tarfile.open(path, "w") as archive:
        for name in names:
            archive.add(path.with_name("real.pth"), name)


def write(path, kind):
    """Write a file of a kind."""
    weights = {"w": torch.ones(100)}
    torch.save(weights, path.with_name("real.pth"))
    real = path.with_name("real.pth").read_bytes()
    packed = {"gzip": gzip.compress, "bzip2": bz2.compress, "xz": lzma.compress}
    contents = {
        "empty": b"",
        "a web page": b"\n <!DOCTYPE html><html><body>Sign in</body></html>",
        "Git LFS": b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 9\n",
        "safetensors": b'\x40\0\0\0\0\0\0\0{"w":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}',
        "torch.save did not write": pickle.dumps({"model": {"w": np.ones(2)}}),
        "not a readable": real[: len(real) // 2],
        "HDF5": b"\x89HDF\r\n\x1a\n",
        "NumPy array": b"\x93NUMPY\x01\0",
    }
    if kind in packed:
        path.write_bytes(packed[kind](real))
    elif kind in contents:
        path.write_bytes(contents[kind])
    elif kind == "folder":
        path.mkdir()
    elif kind == "nor a file":
        os.mkfifo(path)
    elif kind == "no such checkpoint":
        path.symlink_to("nowhere")
    elif kind in TARS:
        write_tar(path, TARS[kind])
    elif kind == "another ZIP archive":
        with zipfile.ZipFile(path, "w") as archive:
            archive.write(path.with_name("real.pth"), "real.pth")
    elif kind == "TorchScript":
        torch.jit.script(torch.nn.ReLU()).save(str(path))
    elif kind == "pickle protocol 4":
        torch.save(weights, path, pickle_protocol=4)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize(
    ("kind", "advice"),
    [
        ("empty", "download it again"),
        ("a web page", "download the file"),
        ("Git LFS", "git lfs pull"),
        ("safetensors", r"safetensors\.torch\.load_file"),
        ("torch.save did not write", r"with torch\.save"),
        ("not a readable", "download it again"),
        ("HDF5", "weights of PyTorch"),
        ("NumPy array", "weights of PyTorch"),
        ("gzip", "gunzip"),
        ("bzip2", "bunzip2"),
        ("xz", "unxz"),
        ("folder", r"give a \.pth file in it"),
        ("nor a file", r"give a \.pth file"),
        ("no such checkpoint", "give the path"),
        ("tar archive", "unpack it"),
        ("format before 0.1.11", r"with torch\.save"),
        ("another ZIP archive", "unpack it"),
        ("TorchScript", r"state_dict\(\)"),
        ("pickle protocol 4", "pickle_protocol=2"),
    ],
)
def test_the_line_says_what_the_file_is_and_what_to_do(tmp_path, kind, advice):
    path = tmp_path / "given"
    write(path, kind)
    with pytest.raises(UserError, match=rf"given: .*{kind}.*: .*{advice}") as caught:
        load_checkpoint(path)
    assert caught.value.exit_code == 2
    assert "\n" not in caught.value.line
    assert len(caught.value.line) < len(str(path)) + 250


def test_a_config_in_the_place_of_the_checkpoint(tmp_path):
    (tmp_path / "config.py").write_text("model = None\n")
    with pytest.raises(UserError, match="but a program or a config: give CONFIG first and then"):
        load_checkpoint(tmp_path / "config.py")
