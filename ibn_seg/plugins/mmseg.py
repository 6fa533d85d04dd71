"""All our components for mmseg: `custom_imports = dict(imports=['ibn_seg.plugins.mmseg'])`.

Importing this registers the backbones, data sets, transforms, metric and engine components, and
says so in one line where two distributions of mmseg have been installed over each other.
"""

import logging
from importlib import metadata

import mmseg
from mmengine.logging import print_log

import ibn_seg.datasets.base
import ibn_seg.datasets.cityscapes
import ibn_seg.datasets.gta5
import ibn_seg.engine
import ibn_seg.evaluation.metric
import ibn_seg.plugins.mmengine
import ibn_seg.transforms.loading
import ibn_seg.transforms.photometric  # noqa: F401

# The original and the maintained fork own the same folder `mmseg`.
_DISTRIBUTIONS = ("mmsegmentation", "onedl-mmsegmentation")


def overlap_warning() -> str | None:
    """Return one line if files of both distributions of mmseg are installed, else None."""
    installed = {}
    for name in _DISTRIBUTIONS:
        try:
            installed[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    if len(installed) < len(_DISTRIBUTIONS):
        return None
    both = " and ".join(f"{name} {version}" for name, version in installed.items())
    return (
        f"{both} are both installed and own the same files: mmseg {mmseg.__version__} is in use "
        f"({mmseg.__path__[0]}); uninstall both and install one"
    )


_line = overlap_warning()
if _line:
    print_log(_line, logger="current", level=logging.WARNING)
