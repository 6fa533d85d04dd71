"""All our components for mmseg: `custom_imports = dict(imports=['ibn_seg.plugins.mmseg'])`.

Importing this registers the backbones, data sets, transforms, metric and engine components. If two
distributions of one package are installed over each other, it says so in one line.
"""

import importlib
import logging
from importlib import metadata

from mmengine.logging import print_log

import ibn_seg.datasets.multi_domain
import ibn_seg.engine
import ibn_seg.engine.class_sampling
import ibn_seg.engine.layer_groups
import ibn_seg.engine.small_checkpoint_hook
import ibn_seg.engine.two_stage_schedule
import ibn_seg.evaluation.metric
import ibn_seg.plugins.deeplab_head
import ibn_seg.plugins.linear_head
import ibn_seg.plugins.mask_transformer_head
import ibn_seg.plugins.mmengine
import ibn_seg.plugins.timm_backbone
import ibn_seg.transforms.corrupt_image
import ibn_seg.transforms.deferred_preprocessor
import ibn_seg.transforms.distortion
import ibn_seg.transforms.frame_spectrum
import ibn_seg.transforms.loading
import ibn_seg.transforms.photometric
import ibn_seg.transforms.protocol_view
import ibn_seg.transforms.random_crop  # noqa: F401
from ibn_seg.datasets.all_datasets import DATA_SETS, dataset_class

# Distributions that own the same folder.
_SAME_FOLDER = {
    "mmseg": ("mmsegmentation", "onedl-mmsegmentation"),
    "mmcv": ("mmcv", "mmcv-lite", "onedl-mmcv"),
    "mmengine": ("mmengine", "mmengine-lite", "onedl-mmengine"),
}


def overlap_warning() -> str | None:
    """Return one line if files of two distributions of one package are installed, else None."""
    clashes = []
    for package, names in _SAME_FOLDER.items():
        installed = [f"{name} {version}" for name in names if (version := _version(name))]
        if len(installed) > 1:
            used = importlib.import_module(package)
            clashes.append(
                f"{' and '.join(installed)} are both installed and own the same files: {package} "
                f"{used.__version__} is in use ({used.__path__[0]})"
            )
    return f"{'; '.join(clashes)}; uninstall both and install one" if clashes else None


def _version(distribution: str) -> str | None:
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return None


for _name in DATA_SETS:
    dataset_class(_name)

_line = overlap_warning()
if _line:
    print_log(_line, logger="current", level=logging.WARNING)
