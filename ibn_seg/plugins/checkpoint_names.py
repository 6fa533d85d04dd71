"""Names of published weights in configs: `ibn://`, `torchvision://`, `open-mmlab://` and others."""

import importlib.util
import json
from collections.abc import Callable, Mapping
from pathlib import Path

import mmengine
from mmengine.runner import checkpoint as mmengine_checkpoint

from ibn_seg.errors import unknown
from ibn_seg.models.published_weights import published_url


def resolve(checkpoint: str) -> str:
    """Return the path or URL behind the name of a checkpoint.

    Args:
        checkpoint: A path, an http(s) URL, `ibn://MODEL` for the authors' published weights of one
            of our models, `ibn://MODEL.gluoncv2` for those of another source, or SCHEME://NAME
            from one of mmengine's tables.

    Raises:
        UserError: The scheme or the name is unknown, or there are no such weights.
    """
    scheme, separator, name = checkpoint.partition("://")
    if not separator or scheme in ("http", "https"):
        return checkpoint
    if scheme == "ibn":
        return published_url(name)
    if scheme not in _TABLES:
        raise unknown("scheme of a checkpoint", scheme, ("http", "https", "ibn", *_TABLES))
    table = _TABLES[scheme]()
    if name not in table:
        raise unknown(f"{scheme} model", name, sorted(table))
    location = table[name]
    if location.startswith(("http://", "https://")):
        return location
    return str(Path(mmengine_checkpoint._get_mmengine_home()) / location)


def _torchvision_table() -> Mapping[str, str]:
    """Return mmengine's table of torchvision's weights; a shorter one without torchvision."""
    if importlib.util.find_spec("torchvision"):
        return mmengine_checkpoint.get_torchvision_models()
    path = Path(mmengine.__file__).parent / "hub" / "torchvision_0.12.json"
    return json.loads(path.read_text(encoding="utf-8"))


def _openmmlab_table() -> Mapping[str, str]:
    """Return mmengine's table of open-mmlab's weights, with the deprecated names."""
    table = mmengine_checkpoint.get_external_models()
    renamed = mmengine_checkpoint.get_deprecated_model_names()
    return table | {old: table[new] for old, new in renamed.items() if new in table}


_TABLES: Mapping[str, Callable[[], Mapping[str, str]]] = {
    "torchvision": _torchvision_table,
    "modelzoo": _torchvision_table,
    "open-mmlab": _openmmlab_table,
    "openmmlab": _openmmlab_table,
    "mmcls": mmengine_checkpoint.get_mmcls_models,
}
