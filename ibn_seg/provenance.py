"""What every result records, so that it can be explained and repeated: versions, commit, memory."""

import datetime
import importlib.metadata
import platform
import resource
import subprocess
import sys
from pathlib import Path

import ibn_seg

_DISTRIBUTIONS = (
    "torch",
    "torchvision",
    "mmengine",
    "mmcv",
    "mmcv-lite",
    "mmsegmentation",
    "onedl-mmsegmentation",
    "numpy",
    "opencv-python",
    "opencv-python-headless",
    "Pillow",
)


def versions() -> dict[str, str]:
    """Return the versions of Python, ibn_seg and of the installed packages that shape results."""
    found = {"python": platform.python_version(), "ibn_seg": ibn_seg.__version__}
    for name in _DISTRIBUTIONS:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def git_commit() -> str | None:
    """Return the commit of the checkout that runs, `-dirty` if it was changed; None outside one."""
    root = Path(ibn_seg.__file__).resolve().parents[1]
    if not (root / ".git").exists():
        return None
    command = ["git", "-C", str(root), "describe", "--always", "--dirty", "--abbrev=40"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() or None if done.returncode == 0 else None


def peak_memory_mib() -> float:
    """Return the largest resident memory of this process so far, in MiB."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1024 * 1024 if sys.platform == "darwin" else 1024)


def utc_now() -> str:
    """Return the time of day in UTC, ISO 8601 to the second."""
    now = datetime.datetime.now(datetime.UTC)
    return now.replace(microsecond=0).isoformat().replace("+00:00", "Z")


def record() -> dict:
    """Return the provenance part of a result file."""
    return {"versions": versions(), "git_commit": git_commit(), "date": utc_now()}
