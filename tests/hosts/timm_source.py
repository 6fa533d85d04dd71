"""Where timm's own tests come from: its source distribution, of the version that is installed."""

import importlib.metadata
import os
import subprocess
import sys
import tarfile
from pathlib import Path

VARIABLE = "IBN_SEG_TIMM_SOURCE"


def timm_source(folder: Path) -> Path | None:
    """Return timm's unpacked source distribution; None if it cannot be had here.

    Args:
        folder: Where pip downloads it to. A folder in IBN_SEG_TIMM_SOURCE is taken instead.
    """
    if os.environ.get(VARIABLE):
        return Path(os.environ[VARIABLE])
    wanted = f"timm=={importlib.metadata.version('timm')}"
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
    command += ["--no-binary", "timm", "--dest", str(folder), wanted]
    if subprocess.run(command, check=False, capture_output=True).returncode:
        return None
    (archive,) = folder.glob("timm-*.tar.gz")
    with tarfile.open(archive) as file:
        file.extractall(folder, filter="data")
    return folder / archive.name.removesuffix(".tar.gz")
