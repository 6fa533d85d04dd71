"""Fixtures of the packaging tests: one wheel for all of them, environments that cost seconds."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.packaging.environments import Environment, build, copy_checkout, requirements_of

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def root() -> Path:
    """The checkout."""
    return ROOT


@pytest.fixture(scope="session")
def built(tmp_path_factory) -> tuple[Path, Path]:
    """The source distribution of a copy of the checkout, and the wheel made from it."""
    folder = tmp_path_factory.mktemp("build")
    checkout = copy_checkout(ROOT, folder / "checkout")
    # What an earlier build may have left behind must not get into the next wheel.
    stale = checkout / "build" / "lib" / "ibn_seg"
    (stale / ".mim" / "configs").mkdir(parents=True)
    (stale / "stale.py").touch()
    (stale / ".mim" / "configs" / "stale.py").touch()
    return build(checkout, folder / "dist")


@pytest.fixture(scope="session")
def wheel(built) -> Path:
    """The wheel."""
    return built[1]


@pytest.fixture(scope="session")
def bare(wheel, tmp_path_factory) -> Environment:
    """An environment of torch and numpy, with what they require, and the installed wheel."""
    borrow = requirements_of("torch", "numpy")
    environment = Environment.make(tmp_path_factory.mktemp("bare"), borrow)
    environment.install("--no-index", str(wheel))
    return environment


@pytest.fixture
def python(tmp_path):
    """Run code in a new interpreter of this environment; the checkout is importable."""

    def run(code: str, *args: str) -> subprocess.CompletedProcess:
        start = f"import sys; sys.path.insert(0, {str(ROOT)!r})\n"
        command = [sys.executable, "-c", start + code, *args]
        return subprocess.run(
            command, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False
        )

    return run
