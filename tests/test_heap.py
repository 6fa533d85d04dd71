"""Freed memory is used again by the commands' processes."""

import os
import platform
import subprocess
import sys

import pytest

from ibn_seg import cli

_BLOCKS = """
import resource, sys
import numpy
from ibn_seg.heap import keep_freed_memory

if sys.argv[1] == "keep":
    assert keep_freed_memory()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(20):
    blocks = [numpy.ones(48 << 20, numpy.uint8) for _ in range(2)]
    del blocks
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""

glibc = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="needs glibc")


def run(code: str, *arguments: str, **variables: str) -> str:
    environ = {k: v for k, v in os.environ.items() if not k.startswith(("MALLOC_", "GLIBC_"))}
    return subprocess.run(
        [sys.executable, "-c", code, *arguments], env={**environ, **variables},
        capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip


@glibc
def test_blocks_are_mapped_once() -> None:
    fresh, kept = int(run(_BLOCKS, "fresh")), int(run(_BLOCKS, "keep"))

    # 20 rounds of the same two blocks: the pages of one round, and what the rest needs.
    assert kept < fresh / 5


@glibc
@pytest.mark.parametrize("name", ["MALLOC_ARENA_MAX", "GLIBC_TUNABLES"])
def test_the_systems_own_settings_come_first(name: str) -> None:
    value = "2" if name.startswith("MALLOC") else "glibc.malloc.arena_max=2"
    code = "from ibn_seg.heap import keep_freed_memory; print(keep_freed_memory())"

    assert run(code, **{name: value}).strip() == "False"
    assert run(code).strip() == "True"


@pytest.mark.parametrize(("command", "keeps"), [("test", True), ("train", False)])
def test_commands_that_keep_it(command: str, keeps: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    called = []
    monkeypatch.setattr(cli, "keep_freed_memory", lambda: called.append(command))
    with pytest.raises(SystemExit):
        cli.main([command, "--help"])
    assert bool(called) == keeps
