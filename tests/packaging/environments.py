"""Build the distributions and make environments for them, without downloading PyTorch again."""

import importlib.metadata
import os
import shutil
import subprocess
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

# What a clone has at its top; everything else there is local.
TOP = (
    ".ci", ".github", ".pre-commit-config.yaml", "CHANGELOG.md", "CITATION.cff", "CONTRIBUTING.md",
    "LICENSE", "MANIFEST.in", "Makefile", "README.md", "configs", "data/README.md",
    "data/effect.png", "data/photographs.svg", "docs", "hubconf.py", "ibn_seg", "pyproject.toml",
    "setup.py", "tests",
    "tools",
)  # fmt: skip


def copy_checkout(root: Path, target: Path) -> Path:
    """Copy what belongs to the project from a checkout that may hold much else."""
    ignore = shutil.ignore_patterns("__pycache__", "*.egg-info", ".mim")
    for name in TOP:
        source, place = root / name, target / name
        place.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, place, ignore=ignore)
        else:
            shutil.copy2(source, place)
    return target


def build(checkout: Path, target: Path) -> tuple[Path, Path]:
    """Make the source distribution of a checkout, and the wheel from that archive alone."""
    target.mkdir(parents=True)
    hook = "import sys; from setuptools import build_meta; build_meta.build_sdist(sys.argv[1])"
    _check([sys.executable, "-c", hook, str(target)], cwd=checkout)
    (sdist,) = target.glob("*.tar.gz")
    options = ["--no-deps", "--no-build-isolation", "--no-index", "--quiet"]
    _check([sys.executable, "-m", "pip", "wheel", *options, "-w", str(target), str(sdist)])
    (wheel,) = target.glob("*.whl")
    return sdist, wheel


def requirements_of(*names: str) -> set[str]:
    """Return the installed distributions that `names` require, themselves included."""
    found: set[str] = set()
    todo = [canonicalize_name(name) for name in names]
    while todo:
        name = todo.pop()
        if name in found:
            continue
        try:
            requires = importlib.metadata.requires(name) or []
        except importlib.metadata.PackageNotFoundError:
            continue
        found.add(name)
        for requirement in map(Requirement, requires):
            if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
                todo.append(canonicalize_name(requirement.name))
    return found


@dataclass(frozen=True)
class Environment:
    """A virtual environment without pip; this interpreter's pip installs into it.

    Packages that take minutes to download can be borrowed from this interpreter's environment.
    They are links in a folder of their own, outside the new environment and only on its path, so
    that nothing which pip does to the environment can reach the files behind them.

    Attributes:
        folder: The environment.
        home: An empty folder beside it, where its commands run.
        borrowed: A folder of links beside it.
    """

    folder: Path
    home: Path
    borrowed: Path

    @classmethod
    def make(cls, parent: Path, borrow: Iterable[str] = ()) -> "Environment":
        """Make an environment in `parent` that sees the distributions `borrow` of this one."""
        new = cls(parent / "env", parent / "home", parent / "borrowed")
        new.home.mkdir()
        new.borrowed.mkdir()
        _check([sys.executable, "-m", "venv", "--without-pip", str(new.folder)])
        for name in borrow:
            distribution = importlib.metadata.distribution(name)
            for top in {file.parts[0] for file in distribution.files or ()}:
                place = new.borrowed / top
                if top not in {"..", "__pycache__"} and not place.is_symlink():
                    place.symlink_to(Path(distribution.locate_file(top)).resolve())
        (new.site_packages / "borrowed.pth").write_text(f"{new.borrowed}\n")
        return new

    @property
    def bin(self) -> Path:
        """The folder of its commands."""
        return self.folder / "bin"

    @property
    def site_packages(self) -> Path:
        """The folder of its packages."""
        version = f"python{sys.version_info.major}.{sys.version_info.minor}"
        return self.folder / "lib" / version / "site-packages"

    def install(self, *what: str) -> None:
        """Install these alone; what they require is borrowed or not there."""
        self._pip("install", "--no-deps", *what)

    def install_with_requirements(self, *what: str) -> None:
        """Install these and what they require, from the package index."""
        if any(self.borrowed.iterdir()):
            raise RuntimeError("an environment with borrowed packages takes no requirements")
        self._pip("install", *what)

    def _pip(self, *args: str) -> None:
        command = [sys.executable, "-m", "pip", "--python", str(self.bin / "python"), *args]
        _check(command, cwd=self.home)

    def run(
        self, *command: str, env: Mapping[str, str] | None = None, timeout: float = 120
    ) -> subprocess.CompletedProcess:
        """Run one of its commands in its home, with nothing of the checkout in sight."""
        clean = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
        path = f"{self.bin}{os.pathsep}{clean['PATH']}"
        env = {**clean, "PATH": path, "VIRTUAL_ENV": str(self.folder), **(env or {})}
        return subprocess.run(
            [str(self.bin / command[0]), *command[1:]],
            cwd=self.home, env=env, capture_output=True, text=True, timeout=timeout, check=False,
        )  # fmt: skip


def _check(command: list[str], cwd: Path | None = None) -> None:
    """Run a command that must succeed."""
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} failed:\n{done.stdout}\n{done.stderr}")
