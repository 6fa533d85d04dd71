"""How the C passes are compiled, kept and loaded."""

import os
import stat
import subprocess
import sys
import textwrap

import pytest
import torch

from ibn_seg.layers import IBN, native

SCRIPT = """
import torch
from ibn_seg.layers import IBN, native
torch.manual_seed(0)
x = torch.randn(2, 64, 40, 40, requires_grad=True)
y = IBN(64)(x)
y.square().sum().backward()
print(native.library() is not None, y.double().abs().sum().item(), x.grad.double().norm().item())
"""


def started(tmp_path, code=SCRIPT, **environment):
    environment = {
        **os.environ, native.SWITCH: "auto", "XDG_CACHE_HOME": str(tmp_path), **environment
    }  # fmt: skip
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code)],
        env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


@pytest.fixture
def fresh(monkeypatch, tmp_path):
    """Let the library be looked for anew, in a cache of its own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv(native.SWITCH, "auto")
    native._library.cache_clear()
    yield tmp_path
    native._library.cache_clear()


def test_first_use_compiles_and_says_so_the_second_does_not(compiler, fresh, capfd):
    assert native.library() is not None
    (line,) = capfd.readouterr().err.splitlines()
    assert "compiling" in line
    assert f"{native.SWITCH}=plain" in line
    (library,) = (fresh / "ibn_seg").iterdir()
    assert stat.S_IMODE((fresh / "ibn_seg").stat().st_mode) == 0o700
    native._library.cache_clear()
    before = library.stat()
    assert native.library() is not None
    assert capfd.readouterr().err == ""
    assert library.stat() == before


def test_another_compiler_or_processor_is_another_file(compiler, fresh, monkeypatch):
    command = native._compiler()
    key = native._key(command)
    assert native._key([*command, "-O1"]) != key
    monkeypatch.setattr(native, "_processor", lambda: "another")
    assert native._key(command) != key


@pytest.mark.parametrize("problem", ["no compiler", "failing compiler", "cache", "other's cache"])
def test_without_a_library_the_plain_layers_run(problem, fresh, monkeypatch, caplog, capfd):
    if problem == "no compiler":
        monkeypatch.setenv("PATH", str(fresh))
        monkeypatch.delenv("CC", raising=False)
    elif problem == "failing compiler":
        monkeypatch.setenv("CC", "false")
    elif problem == "cache":
        (fresh / "file").touch()
        monkeypatch.setenv("XDG_CACHE_HOME", str(fresh / "file"))
    else:
        (fresh / "ibn_seg").mkdir()
        (fresh / "ibn_seg").chmod(0o777)
    with caplog.at_level("DEBUG", logger=native.__name__):
        y = IBN(32)(torch.randn(2, 32, 5, 5))
    assert native.library() is None
    assert "SinglePass" not in y.grad_fn.name()
    (record,) = caplog.records
    assert record.levelname == "DEBUG"
    assert len(capfd.readouterr().err.splitlines()) == (problem == "failing compiler")
    assert not list(fresh.rglob("*.so"))


def test_a_damaged_library_is_made_anew(compiler, fresh):
    damaged = native._cache() / f"ibn-{native._key(native._compiler())}.so"
    damaged.write_bytes(b"damaged")
    assert native.library() is None
    native._library.cache_clear()
    assert native.library() is not None


def test_processes_that_race_and_one_without_a_compiler(compiler, tmp_path):
    both = [started(tmp_path) for _ in range(2)]
    outputs = [process.communicate(timeout=120) for process in both]
    assert [process.returncode for process in both] == [0, 0], outputs
    assert outputs[0][0] == outputs[1][0]
    used, *numbers = outputs[0][0].split()
    assert used == "True"
    assert len(list((tmp_path / "ibn_seg").iterdir())) == 1
    alone = started(tmp_path / "other", PATH="", CC="")
    out, error = alone.communicate(timeout=120)
    assert (alone.returncode, error) == (0, "")
    used, *others = out.split()
    assert used == "False"
    assert [float(n) for n in numbers] == pytest.approx([float(n) for n in others], rel=1e-3)


def test_no_second_openmp_runtime(compiler, tmp_path):
    code = """
    import pathlib, torch
    from ibn_seg.layers import IBN, native
    def runtimes():
        lines = pathlib.Path("/proc/self/maps").read_text().splitlines()
        paths = {line.split()[-1] for line in lines}
        return {path for path in paths if "omp" in path.rsplit("/")[-1]}
    def threads():
        return len(list(pathlib.Path("/proc/self/task").iterdir()))
    torch.set_num_threads(2)
    torch.randn(2, 64, 64, 64).add(1)
    before, busy = runtimes(), threads()
    y = IBN(64)(torch.randn(2, 64, 64, 64, requires_grad=True))
    y.sum().backward()
    assert native.library() is not None and native.parallel()
    assert runtimes() == before, (before, runtimes())
    assert len(before) == 1, before
    print(threads() - busy)
    """
    process = started(tmp_path, code)
    out, error = process.communicate(timeout=120)
    assert process.returncode == 0, error
    # The threads are those that PyTorch's own operations have started.
    assert out.strip() == "0"
