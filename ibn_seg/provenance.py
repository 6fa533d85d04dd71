"""What every result records so that it can be explained and repeated: versions, commit, memory."""

import contextlib
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
    "onedl-mmengine",
    "mmcv",
    "mmcv-lite",
    "mmsegmentation",
    "onedl-mmsegmentation",
    "numpy",
    "opencv-python",
    "opencv-python-headless",
    "Pillow",
    # ImageNet-C's corruptions, and the backbones of `TimmBackbone`.
    "scipy",
    "timm",
)


def source_domains(source: str | None) -> tuple[str, ...]:
    """Return the names of the domains on which a network was trained.

    Args:
        source: The setting `source` of configs and results: one domain, or several joined by '+'.
    """
    return tuple(source.split("+")) if source else ()


def versions() -> dict[str, str]:
    """Return the versions of Python, ibn_seg and the installed packages that affect results."""
    found = {"python": platform.python_version(), "ibn_seg": ibn_seg.__version__}
    for name in _DISTRIBUTIONS:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def git_commit(checkout: Path | None = None) -> str | None:
    """Return the commit of a checkout, with `-dirty` if it was changed; None without a checkout.

    Args:
        checkout: Its folder. Default: the checkout of this package.
    """
    root = checkout or Path(ibn_seg.__file__).resolve().parents[1]
    if not (root / ".git").exists():
        return None
    command = ["git", "-C", str(root), "describe", "--always", "--dirty", "--abbrev=40"]
    # Without --exclude a tag would replace the commit.
    command.append("--exclude=*")
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() or None if done.returncode == 0 else None


def reset_peak_memory() -> None:
    """Reset the count of `peak_memory_mib`, if the system can (Linux)."""
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def peak_memory_mib() -> float:
    """Return the largest resident memory of this process, without children and GPUs, in MiB."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1024 * 1024 if sys.platform == "darwin" else 1024)


def utc_now() -> str:
    """Return the time of day in UTC, ISO 8601 to the second."""
    now = datetime.datetime.now(datetime.UTC)
    return now.replace(microsecond=0).isoformat().replace("+00:00", "Z")


def cpu() -> str:
    """Return the CPU's model and, if PyTorch is imported, the instruction set that it uses.

    PyTorch's libraries add numbers in an order that depends on both. The same training on another
    CPU therefore gives slightly different numbers. Example: 'Intel(R) Xeon(R) Gold 6248 CPU @
    2.50GHz (AVX512)'.
    """
    model, torch = _cpu_model(), sys.modules.get("torch")
    return f"{model} ({torch.backends.cpu.get_cpu_capability()})" if torch else model


def _cpu_model() -> str:
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def record() -> dict:
    """Return the provenance part of a result file."""
    return {"versions": versions(), "cpu": cpu(), "git_commit": git_commit(), "date": utc_now()}
