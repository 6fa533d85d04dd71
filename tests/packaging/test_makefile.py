"""What `make` says and does before anything is installed."""

import os
import shutil
import subprocess
import sys

import pytest

from tests.packaging.environments import copy_checkout

# Answers as another interpreter would: `python3 -c CODE` runs CODE after this line.
FAKE = """#!/bin/sh
shift
code=$1
shift
exec "{python}" -c '{line}
exec(sys.argv.pop(1))' "$code" "$@"
"""
OLD = "import sys; sys.version_info = (3, 9, 1)"
NEW = "import sys; sys.version_info = (3, 12, 1)"
NO_VENV = 'import sys; sys.modules["ensurepip"] = None'

pytestmark = pytest.mark.skipif(shutil.which("make") is None, reason="needs make")


def make(folder, *args, path="", timeout=60):
    # A make that runs the tests hands its own variables down.
    given = {"PYTHON", "PIP_ARGS", "ARGS", "JOBS"}
    env = {
        name: value
        for name, value in os.environ.items()
        if name not in given and not name.startswith("MAKE")
    }
    env["PATH"] = f"{path}{os.pathsep}{env['PATH']}" if path else env["PATH"]
    return subprocess.run(
        ["make", *args], cwd=folder, env=env, capture_output=True, text=True, timeout=timeout,
        check=False,
    )  # fmt: skip


@pytest.fixture
def clone(tmp_path, root):
    folder = tmp_path / "a clone"
    folder.mkdir()
    for name in ("Makefile", "setup.py"):
        shutil.copy2(root / name, folder)
    return folder


@pytest.fixture
def fake(tmp_path):
    def write(line):
        script = tmp_path / "bin" / "python3"
        script.parent.mkdir()
        script.write_text(FAKE.format(python=sys.executable, line=line))
        script.chmod(0o755)
        return script.parent

    return write


def ours(done):
    """The lines on stderr that are not make's own."""
    return [line for line in done.stderr.splitlines() if not line.startswith("make")]


@pytest.mark.parametrize("target", ["demo", "test", "test-oldest"])
def test_older_python_is_named_in_one_line(clone, fake, target):
    done = make(clone, target, path=fake(OLD))
    (line,) = ours(done)
    assert done.returncode != 0
    assert "3.11 or newer" in line
    assert "3.9.1" in line
    assert "PYTHON=" in line
    assert sorted(path.name for path in clone.iterdir()) == ["Makefile", "setup.py"]


def test_python_too_new_for_the_oldest_pytorch_is_said_in_one_line(clone, fake):
    done = make(clone, "test-oldest", path=fake(NEW))
    (line,) = ours(done)
    assert done.returncode != 0
    assert "PyTorch 2.1 has no wheel for a Python newer than 3.11" in line
    assert "make test-oldest PYTHON=python3.11" in line
    assert not (clone / ".venv-oldest").exists()


def test_python_without_venv_is_said_in_one_line(clone, fake):
    done = make(clone, "demo", path=fake(NO_VENV))
    (line,) = ours(done)
    assert done.returncode != 0
    assert "python3-venv" in line
    assert not (clone / ".venv").exists()


@pytest.mark.parametrize("target", ["test", "test-oldest"])
def test_missing_python_is_said_in_one_line(clone, target):
    done = make(clone, target, "PYTHON=no-such-python")
    (line,) = ours(done)
    assert done.returncode != 0
    assert "no-such-python" in line


def test_every_target_is_explained(clone):
    done = make(clone)
    text = (clone / "Makefile").read_text()
    (phony,) = [
        line for line in text.replace("\\\n", " ").splitlines() if line.startswith(".PHONY")
    ]
    for target in set(phony.split()[1:]) - {"help"}:
        assert f"make {target}" in done.stdout


# --- with real environments; --no-deps leaves out what takes minutes to download ------------------

LIGHT = "PIP_ARGS=--no-deps"


@pytest.fixture
def whole_clone(tmp_path, root):
    return copy_checkout(root, tmp_path / "a clone")


@pytest.mark.install
def test_install_in_a_folder_with_spaces_is_done_once(whole_clone):
    first = make(whole_clone, "install", LIGHT, timeout=300)
    assert first.returncode == 0, first.stderr
    assert ".venv is ready" in first.stdout
    again = make(whole_clone, "install", LIGHT)
    assert "ready" not in again.stdout
    # The package in the environment is the checkout, which keeps its configs where they are.
    python = whole_clone / ".venv" / "bin" / "python"
    code = "import ibn_seg.config as c; print(c.__file__); print(c.config_folder())"
    done = subprocess.run(
        [python, "-I", "-c", code], cwd="/", capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines() == [
        str(whole_clone / "ibn_seg" / "config.py"), str(whole_clone / "configs")
    ]  # fmt: skip
    assert not (whole_clone / "ibn_seg" / ".mim").exists()
    # The command starts from there too; it lacks only what --no-deps left out.
    done = subprocess.run(
        [whole_clone / ".venv" / "bin" / "ibn-seg", "--help"], capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert done.returncode == 3
    assert "click" in done.stderr


@pytest.mark.install
def test_interrupted_install_is_repaired(whole_clone):
    venv = whole_clone / ".venv"
    running = subprocess.Popen(["make", "install", LIGHT], cwd=whole_clone, start_new_session=True)
    while not (venv / "bin" / "python").exists():
        assert running.poll() is None
    os.killpg(running.pid, 9)
    running.wait()
    assert not (venv / ".ready").exists()
    (venv / "half-copied").touch()
    done = make(whole_clone, "install", LIGHT, timeout=300)
    assert done.returncode == 0, done.stderr
    assert "interrupted" in done.stdout
    assert not (venv / "half-copied").exists()
    assert (venv / "bin" / "ibn-seg").exists()


@pytest.mark.install
def test_changed_requirements_are_installed(whole_clone):
    assert make(whole_clone, "install", LIGHT, timeout=300).returncode == 0
    ready = whole_clone / ".venv" / ".ready"
    newer = ready.stat().st_mtime + 1
    os.utime(whole_clone / "setup.py", (newer, newer))
    kept = whole_clone / ".venv" / "kept"
    kept.touch()
    done = make(whole_clone, "install", LIGHT, timeout=300)
    assert ".venv is ready" in done.stdout
    assert kept.exists()


@pytest.mark.install
@pytest.mark.skipif(shutil.which("flock") is None, reason="needs flock")
def test_two_makes_install_once(whole_clone):
    both = [
        subprocess.Popen(
            ["make", "install", LIGHT], cwd=whole_clone, stdout=subprocess.PIPE, text=True
        )
        for _ in range(2)
    ]
    outputs = [process.communicate(timeout=300)[0] for process in both]
    assert [process.returncode for process in both] == [0, 0]
    assert sum("ready" in output for output in outputs) == 1
    assert sum("waiting" in output for output in outputs) == 1
