"""The page for a machine with a GPU: all of it in small on the CPU, and what it does in need."""

import importlib.util
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from tests.tiny import ROOT, environment

SCRIPT = ROOT / "tools" / "benchmark" / "gpu_rows.py"


@pytest.fixture
def tool():
    spec = importlib.util.spec_from_file_location("gpu_rows", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    sys.modules["gpu_rows"] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules["gpu_rows"]


def titles_and_rows(page):
    """Return the number of table rows under each heading, without the heads of tables."""
    found = {}
    for part in page.split("\n## ")[1:]:
        lines = [line for line in part.splitlines() if line.startswith("|")]
        found[part.partition("\n")[0]] = sum("---" not in line for line in lines)
    return found


@pytest.mark.slow
def test_the_whole_page_in_small(tool, tmp_path):
    pytest.importorskip("torchvision")
    done = subprocess.run(
        [sys.executable, str(SCRIPT), str(tmp_path), "--small"],
        capture_output=True, text=True, env=environment(), timeout=1500, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    rows = titles_and_rows(done.stdout)
    assert list(rows) == [part.title for part in tool.parts(tmp_path)]
    assert all(count >= 2 for count in rows.values()), rows
    assert "9 of 9 parts succeeded." in done.stdout


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("g++") is None, reason="PyTorch's compiler needs g++ on a CPU")
def test_the_layers_are_compiled_where_the_page_says_so(tool, tmp_path):
    (part,) = (one for one in tool.parts(tmp_path) if one.title == "Layers inside torch.compile")
    # The page in small compiles nothing. Here the same command does, in an empty cache.
    cache = tmp_path / "compiled"
    done = subprocess.run(
        [sys.executable, *part.command, *part.small], capture_output=True, text=True,
        env={**environment(), "TORCHINDUCTOR_CACHE_DIR": str(cache)}, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    rows = [line.split("|") for line in done.stdout.splitlines() if "4x64x56x56" in line]
    assert [row[1].strip() for row in rows] == ["NCHW", "channels_last"]
    assert all(float(row[column]) > 0 for row in rows for column in (3, 4, 5))
    # IBN, whose plain form is compiled to the same, and batch norm: in two formats, both ways.
    assert len(list(cache.rglob("*.so"))) >= 8


def test_a_failed_part_does_not_end_the_page(tool, tmp_path, monkeypatch, capsys):
    program = "print('| a |'); import sys; sys.exit('no room' if {} else 0)"
    made = [
        tool.Part(f"part {number}", "a table", ("-c", program.format(number % 2)), (), ())
        for number in range(3)
    ]
    monkeypatch.setattr(tool, "parts", lambda work: made)
    assert not tool.print_page(tmp_path, small=True, minutes=1)
    page = capsys.readouterr().out
    assert titles_and_rows(page) == {"part 0": 1, "part 1": 1, "part 2": 1}
    assert "Failed with exit code 1" in page
    assert "no room" in page
    assert "2 of 3 parts succeeded." in page


def test_a_part_that_takes_too_long_is_stopped(tool):
    endless = "import time; print('| so far |', flush=True); time.sleep(60)"
    succeeded, text = tool.run(("-c", endless), True, 1)
    assert not succeeded
    assert text == "| so far |\n\nStopped after 1 s."


def test_parts_without_time_are_named(tool, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(tool, "_device", lambda small: "pretended")
    assert not tool.print_page(tmp_path, small=False, minutes=0)
    assert capsys.readouterr().out.count("Not run: no time was left.") == 9


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_without_a_gpu_it_says_so(tool, tmp_path):
    with pytest.raises(SystemExit, match="PyTorch sees no GPU: use --small"):
        tool.print_page(tmp_path, small=False, minutes=1)


def test_every_command_names_a_file(tool):
    assert all(Path(part.command[0]).is_file() for part in tool.parts(Path("work")))
