"""On which data a network was trained before, told from its config."""

from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any

from ibn_seg.type_names import is_named

NONE = "none"
_IMAGENET = "ImageNet-1k"
# Names of published weights of which all are of ImageNet's 1000 classes.
_IMAGENET_NAMES = ("torchvision", "ibn", "open-mmlab")
# Words in the tags of timm's weights. ImageNet-21k and -22k are two names of one data set. MAE,
# DINO and FCMAE are ways of training; their weights in timm are of ImageNet without labels.
_DATA = {
    **dict.fromkeys(("in1k", "mae", "dino", "fcmae"), _IMAGENET),
    "in12k": "ImageNet-12k",
    **dict.fromkeys(("in21k", "in22k"), "ImageNet-22k"),
    "lvd142m": "LVD-142M",
    "lvd1689m": "LVD-1689M",
    "sat493m": "SAT-493M",
    "sa1b": "SA-1B",
    "webli": "WebLI",
    "openai": "WIT-400M",
    "merged2b": "Merged-2B",
    "m38m": "Merged-38M",
    "m30m": "Merged-30M",
    "laion400m": "LAION-400M",
    "laion2b": "LAION-2B",
    "laiona": "LAION-Aesthetics",
    "dfn2b": "DFN-2B",
    "dfn5b": "DFN-5B",
    **dict.fromkeys(("datacomp1b", "datacompxl"), "DataComp-1B"),
    "cc12m": "CC12M",
    "yfcc15m": "YFCC-15M",
}


def pretraining_of(config: Mapping[str, Any], tag: str | None = None) -> str:
    """Return the data of the weights that a training begins from.

    Args:
        config: A complete config. `experiment.pretraining` states the data. Else they follow from
            `load_from`, and from the weights that model and backbone name.
        tag: The tag of timm's weights, if the config's name of the network has none.

    Returns:
        Such as 'ImageNet-1k' or 'LVD-142M', 'none' without weights, 'weights of FILE' for a file
        of one's own.
    """
    stated = (config.get("experiment") or {}).get("pretraining")
    if stated:
        return str(stated)
    if config.get("load_from"):
        return _of_checkpoint(str(config["load_from"]))
    model = config.get("model") or {}
    backbone = model.get("backbone") or {}
    if is_named(backbone.get("type"), "TimmBackbone", "TIMMBackbone"):
        return _of_timm(backbone, tag)
    for part in (model, backbone):
        for checkpoint in _checkpoints(part):
            return _of_checkpoint(checkpoint)
    return NONE


def data_of_tag(tag: str) -> str:
    """Return the data of timm's weights.

    Args:
        tag: What stands behind the point of their name, such as 'fb_in22k_ft_in1k'.

    Returns:
        Such as 'ImageNet-22k + ImageNet-1k'; 'timm's TAG' for a tag that names no known data.
    """
    found = dict.fromkeys(_DATA[word] for word in tag.split("_") if word in _DATA)
    return " + ".join(found) or f"timm's {tag}"


def _of_timm(backbone: Mapping[str, Any], tag: str | None) -> str:
    """Return the data of a network of timm; mmseg's own class loads timm's weights by default."""
    ours = is_named(backbone.get("type"), "TimmBackbone")
    name = str(backbone.get("model" if ours else "model_name") or "")
    given = backbone.get("pretrained", not ours)
    if not given:
        return NONE
    if given is not True:
        return _of_checkpoint(str(given))
    known = name.partition(".")[2] or tag
    return data_of_tag(known) if known else f"timm's default weights of {name}"


def _checkpoints(part: Mapping[str, Any]) -> list[str]:
    """Return the checkpoints that a part of a model names for its start."""
    inits = part.get("init_cfg") or []
    inits = [inits] if isinstance(inits, Mapping) else inits
    named = [one.get("checkpoint") for one in inits if is_named(one.get("type"), "Pretrained")]
    return [str(one) for one in (*named, part.get("pretrained")) if one]


def _of_checkpoint(checkpoint: str) -> str:
    scheme, separator, _ = checkpoint.partition("://")
    if separator and scheme in _IMAGENET_NAMES:
        return _IMAGENET
    return f"weights of {PurePosixPath(checkpoint).name}"
