"""Files of MXNet: every generation is read, and whatever is damaged is refused in one line."""

import hashlib
import json
import struct

import numpy as np
import pytest

from ibn_seg.errors import EnvError, UserError
from ibn_seg.io import load_checkpoint
from ibn_seg.mxnet_params import read_params
from tests.mxnet_files import unpack_golden, write_params


@pytest.fixture(scope="module")
def golden(tmp_path_factory):
    """The folder of the golden files, and what they hold."""
    folder = unpack_golden(tmp_path_factory.mktemp("golden"))
    return folder, json.loads((folder / "expected.json").read_text())


def test_files_of_every_generation(golden):
    folder, expected = golden
    assert len(expected["format_files"]) == 5
    for name, entry in expected["format_files"].items():
        found = load_checkpoint(folder / name)
        assert list(found) == [array["name"] for array in entry["arrays"]]
        for array in entry["arrays"]:
            values = found[array["name"]].numpy()
            assert values.dtype == array["dtype"]
            assert list(values.shape) == array["shape"]
            assert hashlib.sha256(values.tobytes()).hexdigest() == array["sha256"]


def test_what_a_reader_should_do(golden, tmp_path):
    inputs = golden[1]["format_inputs"]
    assert len(inputs) == 36
    for entry in inputs:
        path = tmp_path / f"{entry['name']}.params"
        path.write_bytes(bytes.fromhex(entry["hex"]))
        try:
            load_checkpoint(path)
            outcome = "load"
        except UserError as error:
            line = str(error)
            outcome = "refuse" if line.startswith(f"{path}: ") else line
        assert entry["want"] in (outcome, "either"), entry["name"]


def test_bfloat16_becomes_float32(golden, tmp_path):
    (entry,) = (e for e in golden[1]["format_inputs"] if e["name"] == "dtype_bfloat16")
    path = tmp_path / "b.params"
    path.write_bytes(bytes.fromhex(entry["hex"]))
    (values,) = read_params(path).values()
    assert values.dtype == np.float32
    assert values.tolist() == [1.0, 2.0, 3.0]


@pytest.mark.parametrize("generation", [0, 1, 2, 3])
def test_every_prefix_is_refused(generation, tmp_path):
    path = tmp_path / "cut.params"
    arrays = {"arg:x": np.arange(6, dtype="f4").reshape(2, 3), "aux:y": np.ones(2, "f8")}
    whole = write_params(path, arrays, generation).read_bytes()
    found = read_params(path)
    assert all(np.array_equal(found[name], value) for name, value in arrays.items())
    for size in range(len(whole)):
        path.write_bytes(whole[:size])
        with pytest.raises(UserError):
            load_checkpoint(path)


def test_no_damage_is_a_traceback_or_takes_memory(tmp_path):
    """Every byte replaced by 0, 127 and 255: read as other values or names, or refused."""
    path = tmp_path / "damaged.params"
    whole = write_params(path, {"arg:x": np.ones((2, 2), "f4")}).read_bytes()
    refused = 0
    for place in range(len(whole)):
        for value in (0, 127, 255):
            path.write_bytes(whole[:place] + bytes([value]) + whole[place + 1 :])
            try:
                assert sum(array.nbytes for array in read_params(path).values()) <= len(whole)
            except UserError:
                refused += 1
    assert refused > len(whole)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("row_sparse", "array 1 of 1: it is row-sparse: save dense arrays"),
        ("csr", "array 1 of 1: it is CSR: save dense arrays"),
        ("same_names", "two arrays have the name 'arg:x'"),
        ("no_names", "its arrays have no names"),
        ("count_huge", "arrays in 134 bytes"),
        ("data_cut", "array 2 of 2: it is cut off, 4 bytes should follow and 2 do"),
        ("header", "not a file of MXNet, nor a PyTorch checkpoint"),
        ("symbol_json", "but a JSON file: of a network of MXNet, give the .params file"),
        ("npz", "but another ZIP archive"),
        ("unknown_magic", "unknown generation 0xF993FACB"),
    ],
)
def test_the_line_says_what_is_wrong(golden, tmp_path, name, message):
    (entry,) = (e for e in golden[1]["format_inputs"] if e["name"] == name)
    path = tmp_path / "bad.params"
    path.write_bytes(bytes.fromhex(entry["hex"]))
    with pytest.raises(UserError) as raised:
        load_checkpoint(path)
    assert message in str(raised.value)


def test_dimensions_of_an_array_without_values_have_a_limit(tmp_path):
    path = tmp_path / "none.params"
    head = struct.pack("<QQQIii", 0x112, 0, 1, 0xF993FAC9, 0, 3)
    shape, rest = struct.pack("<qqq", 0, 2**62, 2**62), struct.pack("<iii", 1, 0, 0)
    path.write_bytes(head + shape + rest + struct.pack("<QQ", 1, 1) + b"x")
    with pytest.raises(UserError, match="its shape is"):
        read_params(path)


def test_a_missing_file_is_for_the_environment(tmp_path):
    with pytest.raises(EnvError, match="cannot be read"):
        read_params(tmp_path / "absent.params")
