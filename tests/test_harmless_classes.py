"""What a checkpoint may hold besides tensors, and that nothing of it is ever run."""

import argparse
import collections
import datetime
import functools
import pickle
import subprocess
import sys
import threading
import types
from pathlib import Path, PurePosixPath

import numpy as np
import pytest
import torch
from mmengine.config import Config, ConfigDict
from mmengine.logging import HistoryBuffer

from ibn_seg.errors import UserError
from ibn_seg.io import RESTRICTED_SINCE, load_checkpoint
from tests.helpers import Malicious

pytestmark = pytest.mark.skipif(
    torch.__version__ < RESTRICTED_SINCE, reason="an older PyTorch cannot be told of classes"
)

CODES = "?bhilqBHILQefdgFDG"


class AttributeDict(dict):
    """As Lightning keeps hyperparameters."""


class Settings:
    """A class that only the program has which wrote the checkpoint."""

    def __init__(self):
        self.rate = 0.1

    def __setstate__(self, state):
        raise AssertionError("code of the class was run")


class Call:
    """Pickles to a call."""

    def __init__(self, function, *args):
        self.call = function, args

    def __reduce__(self):
        return self.call


def reread(value, path, zipped=True, **options):
    torch.save({"w": torch.ones(2), "x": value}, path, _use_new_zipfile_serialization=zipped)
    content = load_checkpoint(path, **options)
    assert content["w"].tolist() == [1, 1]
    return content["x"]


def write_old(path, pickled):
    """Write what PyTorch wrote before 1.6: a row of pickles, here without tensors."""
    rows = [0x1950A86A20F9469CFC6C, 1001, {"little_endian": True}]
    head = b"".join(pickle.dumps(row, protocol=2) for row in rows)
    path.write_bytes(head + pickled + pickle.dumps([], protocol=2))


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("code", CODES)
def test_every_number_of_numpy_keeps_value_and_type(tmp_path, code, zipped):
    number = np.dtype(code).type(1)
    read = reread(number, tmp_path / "a.pth", zipped, stand_ins=False)
    assert (read, read.dtype) == (number, number.dtype)
    assert isinstance(read, np.generic)


@pytest.mark.parametrize(
    "array",
    [
        *(np.arange(6).astype(code).reshape(2, 3) for code in CODES),
        *(np.array(["ab", "c"]), np.array([b"ab"]), np.array(2.5), np.ones((0, 3), np.float32)),
        *(np.ones(2, ">f4"), np.asfortranarray(np.ones((2, 3)))),
        np.array(["2020"], "datetime64[D]"),
    ],
)  # fmt: skip
def test_arrays_of_numbers_and_text_keep_their_values(tmp_path, array):
    read = reread(array, tmp_path / "a.pth", stand_ins=False)
    assert read.dtype == array.dtype.newbyteorder("=")  # as NumPy itself reads them
    assert np.array_equal(read, array)


def test_names_of_both_generations_of_numpy_are_known(tmp_path):
    """NumPy 2 moved two functions; a file has the names of the NumPy that wrote it."""
    here = np.float64(0).__reduce__()[0].__module__.encode()
    there = b"numpy.core.multiarray" if b"_core" in here else b"numpy._core.multiarray"
    content = pickle.dumps({"x": np.float32(0.25), "y": np.arange(3)}, protocol=2)
    assert here in content
    write_old(tmp_path / "a.pth", content.replace(here, there))
    read = load_checkpoint(tmp_path / "a.pth", stand_ins=False)
    assert (read["x"], type(read["x"]), read["y"].tolist()) == (0.25, np.float32, [0, 1, 2])


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (collections.defaultdict(list, a=[1]), {"a": [1]}),
        (collections.deque([1, 2], maxlen=3), [1, 2]),
        (collections.OrderedDict(a=1), {"a": 1}),
        (ConfigDict(a=ConfigDict(b=[1])), {"a": {"b": [1]}}),
        (argparse.Namespace(a=1, b=Path("/x")), argparse.Namespace(a=1, b=PurePosixPath("/x"))),
        (types.SimpleNamespace(a=1), types.SimpleNamespace(a=1)),
        (Path("/x/y"), PurePosixPath("/x/y")),
        (datetime.datetime(2024, 1, 2, 3), datetime.datetime(2024, 1, 2, 3)),
        (frozenset([1]), frozenset([1])),
        (range(3), range(3)),
        (slice(1, 2), slice(1, 2)),
        (1j, 1j),
        (b"\xff", b"\xff"),
        (torch.Size([1, 2]), torch.Size([1, 2])),
        (torch.device("cpu"), torch.device("cpu")),
        (torch.bfloat16, torch.bfloat16),
    ],
)  # fmt: skip
def test_plain_data_keeps_its_value(tmp_path, value, expected):
    assert reread(value, tmp_path / "a.pth", stand_ins=False) == expected


@pytest.mark.parametrize(
    "value",
    [
        AttributeDict(rate=0.1),
        Settings(),
        Config({"a": 1}),
        functools.partial(torch.optim.SGD, lr=0.1),
        torch.nn.Linear(2, 2),
        torch.nn.ReLU,
        np.random.RandomState(0),
        np.random.default_rng(0),
    ],
)
def test_objects_of_other_classes_leave_the_weights_readable(tmp_path, value):
    read = reread(value, tmp_path / "a.pth")
    assert not isinstance(read, type(value)) or isinstance(value, type)
    with pytest.raises(UserError, match="refused, it holds more than tensors and plain values"):
        reread(value, tmp_path / "a.pth", stand_ins=False)


def test_a_whole_network_is_refused_by_its_name(tmp_path):
    torch.save(torch.nn.Linear(2, 2), tmp_path / "a.pth")
    with pytest.raises(UserError, match=r"whole pickled object \(torch\.nn.*Linear\)"):
        load_checkpoint(tmp_path / "a.pth")


@pytest.mark.parametrize("stand_ins", [True, False])
@pytest.mark.parametrize(
    "payload",
    [
        Call(eval, "open('executed', 'w')"),
        Call(exec, "open('executed', 'w')"),
        Call(open, "executed", "w"),
        Call(getattr, collections.OrderedDict, "fromkeys"),
        Call(getattr, HistoryBuffer, "register_statistics"),
        Call(getattr, np.ndarray, "tofile"),
        Call(torch.load, "executed"),
        Call(subprocess.Popen, ["touch", "executed"]),
        Call(functools.reduce, print, []),
        Call(np.dtype, "O"),
        Call(np.dtype, [("a", "O")]),
        np.array([{}], object),
        np.zeros(2, [("a", "f4")]),
        argparse.Namespace(x=Malicious("executed")),
        collections.defaultdict(list, a=Malicious("executed")),
        np.array(["a"]).view(np.recarray),
        HistoryBuffer,
    ],
)  # fmt: skip
@pytest.mark.parametrize("zipped", [True, False])
def test_what_could_execute_code_is_refused(tmp_path, monkeypatch, payload, stand_ins, zipped):
    monkeypatch.chdir(tmp_path)
    if payload is HistoryBuffer:  # around a call in the place of its numbers
        payload = HistoryBuffer([1.0], [1])
        payload._log_history = Malicious("executed")
    with pytest.raises(UserError, match="refused") as caught:
        reread(payload, tmp_path / "a.pth", zipped, stand_ins=stand_ins)
    assert "\n" not in caught.value.line
    assert not (tmp_path / "executed").exists()


class State:
    """Pickles to a call and a state that is put over its result."""

    def __init__(self, function, args, state):
        self.parts = function, args, state

    def __reduce__(self):
        return self.parts


_RECONSTRUCT, _SCALAR = np.empty(0).__reduce__()[0], np.float64(0).__reduce__()[0]
_EMPTY = np.ndarray, (0,), b"b"
_FIELD = State(
    np.dtype, ("S8",), (3, "|", None, ("a",), {"a": (np.dtype("i8"), 1_000_000)}, 8, 1, 0)
)
_PARTS = State(np.dtype, ("i8",), (3, "<", (np.dtype("i8"), (9,)), None, None, -1, -1, 0))


@pytest.mark.parametrize(
    "payload",
    [
        # An object whose address the file chooses.
        Call(np.ndarray, (1,), "O", b"A" * 8),
        # A field past the end of the array, and values larger than their type.
        State(_RECONSTRUCT, _EMPTY, (1, (1,), _FIELD, False, b"8" * 8)),
        State(_RECONSTRUCT, _EMPTY, (1, (1,), _PARTS, False, b"8" * 8)),
        # More than the bytes that there are.
        State(_RECONSTRUCT, _EMPTY, (1, (1 << 40,), np.dtype("i8"), False, b"8" * 8)),
        State(_RECONSTRUCT, _EMPTY, (1, (-1,), np.dtype("i8"), False, b"8" * 8)),
        State(_RECONSTRUCT, _EMPTY, (1, (1,), np.dtype("i8"), False, [{}])),
        Call(_SCALAR, np.dtype("i8"), b"8"),
        State(np.dtype, ("M8",), (4, "<", None, None, None, -1, -1, 0, ({}, (b"x],O", 1, 1, 1)))),
    ],
)  # fmt: skip
def test_types_and_arrays_that_numpy_would_trust_are_refused(tmp_path, payload):
    with pytest.raises(UserError, match=r"refused|not a readable"):
        reread(payload, tmp_path / "a.pth")


def test_flags_of_a_type_are_not_taken_over(tmp_path):
    """With all flags set NumPy takes whole numbers for references to objects."""
    kind = State(np.dtype, ("i8", False, False), (3, ">", None, None, None, -1, -1, 63))
    state = (1, (1,), kind, False, (5).to_bytes(8, "big"))
    read = reread(State(_RECONSTRUCT, _EMPTY, state), tmp_path / "a.pth")
    assert (read.tolist(), read.dtype.hasobject, np.dtype("i8").byteorder) == ([5], False, "=")


@pytest.mark.parametrize("value", [np.arange(3), np.float32(2), np.dtype("<f4"), np.str_("")])
def test_what_was_read_is_written_as_numpy_writes_it(tmp_path, value):
    torch.save(reread(value, tmp_path / "a.pth"), tmp_path / "b.pth")
    again = torch.load(tmp_path / "b.pth", weights_only=False)
    assert type(again) is type(value)
    assert np.array_equal(again, value)


@pytest.mark.parametrize("function", [torch.hub.load, pytest.main, np.save])
def test_functions_of_packages_are_never_called(tmp_path, function, monkeypatch):
    monkeypatch.chdir(tmp_path)
    reread(Call(function, "executed", "b"), tmp_path / "a.pth")
    assert [path.name for path in tmp_path.iterdir()] == ["a.pth"]


def test_a_state_cannot_change_a_class(tmp_path):
    """Setting attributes is for instances: a pickle may name a class and give it a state."""
    body = b"\x80\x02cargparse\nNamespace\n}X\x05\x00\x00\x00titleK\x01sb."
    write_old(tmp_path / "a.pth", body)
    with pytest.raises(UserError, match="refused"):
        load_checkpoint(tmp_path / "a.pth")
    assert not hasattr(argparse.Namespace, "title")


def test_history_is_read_without_mmengine(tmp_path):
    torch.save({"w": torch.ones(2), "h": HistoryBuffer([1.0], [1])}, tmp_path / "a.pth")
    # In a process of its own: this one may have told PyTorch of mmengine's class.
    code = (
        "import sys\nsys.modules['mmengine'] = None\nfrom ibn_seg.io import load_checkpoint\n"
        f"found = load_checkpoint({str(tmp_path / 'a.pth')!r})\n"
        "print(found['w'].tolist(), type(found['h']).__name__)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.startswith("[1.0, 1.0] "), done.stderr
    assert "HistoryBuffer" not in done.stdout


def test_history_is_read_whatever_was_imported_before(tmp_path):
    torch.save({"h": HistoryBuffer([1.0, 3.0], [1, 1])}, tmp_path / "a.pth")
    code = (
        "import sys\nfrom ibn_seg.io import load_checkpoint\nassert 'mmengine' not in sys.modules\n"
        f"h = load_checkpoint({str(tmp_path / 'a.pth')!r})['h']\nprint(h.mean())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stdout.strip()) == (0, "2.0"), done.stderr


def test_reading_leaves_the_processes_list_as_it_was(tmp_path):
    """Also what somebody allowed who reads the same classes."""
    given = [(Settings, "somewhere.Settings"), (np.ndarray, "numpy.ndarray")]
    with torch.serialization.safe_globals(given):
        before = set(torch.serialization.get_safe_globals())
        reread(argparse.Namespace(a=np.ones(2)), tmp_path / "a.pth")
        assert set(torch.serialization.get_safe_globals()) == before


def test_threads_read_at_once(tmp_path):
    values = [np.float32(1), argparse.Namespace(a=1), AttributeDict(a=1), HistoryBuffer([1.0], [1])]
    failed = []

    def read(index):
        try:
            for _ in range(10):
                reread(values[index], tmp_path / f"{index}.pth")
        except UserError as error:
            failed.append(error)

    threads = [threading.Thread(target=read, args=(index,)) for index in range(len(values))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed
