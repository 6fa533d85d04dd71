"""What results record about the code and the machine."""

import importlib.metadata
import importlib.util
import mmap
import os
import platform
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from ibn_seg import provenance


def git(folder, *args):
    identity = ["-c", "user.name=a", "-c", "user.email=a@example.org"]
    command = ["git", "-C", str(folder), *identity, *args]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def test_commit_is_a_commit_and_says_if_the_checkout_was_changed(tmp_path):
    assert provenance.git_commit(tmp_path) is None
    git(tmp_path, "init", "-q")
    (tmp_path / "a").write_text("1")
    git(tmp_path, "add", "a")
    git(tmp_path, "commit", "-qm", "first")
    commit = git(tmp_path, "rev-parse", "HEAD")
    git(tmp_path, "tag", "-a", "v1", "-m", "release")
    assert provenance.git_commit(tmp_path) == commit
    (tmp_path / "a").write_text("2")
    assert provenance.git_commit(tmp_path) == f"{commit}-dirty"


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux can reset the peak")
def test_peak_memory_counts_from_the_last_reset():
    # Not by malloc, which may take it from what the process keeps of earlier tests, and keep it.
    with mmap.mmap(-1, 300 * 2**20) as big:
        np.frombuffer(big, np.uint8)[:] = 1
        with_big = provenance.peak_memory_mib()
    provenance.reset_peak_memory()
    after = provenance.peak_memory_mib()
    assert with_big - after > 250
    assert provenance.peak_memory_mib() >= after


def test_record_names_python_and_numpy():
    found = provenance.record()
    assert found["versions"]["python"] == sys.version.split()[0]
    assert found["versions"]["numpy"] == np.__version__
    # timm draws the first weights of its networks, each version in its own way.
    if importlib.util.find_spec("timm"):
        assert found["versions"]["timm"] == importlib.metadata.version("timm")
    assert found["date"].endswith("Z")


@pytest.mark.parametrize("asked", ["default", "avx2"])
def test_record_names_the_cpu_and_the_instructions_that_torch_uses(asked):
    """PyTorch, once imported; it may be told to do with fewer than the CPU has."""
    code = "from ibn_seg import provenance; print(provenance.record()['cpu']); import torch; "
    code += "print(provenance.record()['cpu'], torch.__config__.show(), sep='\\n')"
    environment = {**os.environ, "ATEN_CPU_CAPABILITY": asked}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, check=True, capture_output=True, text=True
    )
    model, told, *about = done.stdout.splitlines()
    used = next(line for line in about if "CPU capability usage" in line).partition(": ")[2]
    assert told == f"{model} ({used})"
    if Path("/proc/cpuinfo").is_file():
        known = [platform.processor(), platform.machine()]
        assert model in known or model in Path("/proc/cpuinfo").read_text()
