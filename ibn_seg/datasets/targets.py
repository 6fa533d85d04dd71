"""The domains that networks are evaluated on, by name: what a config would say of each.

The same sets as in `configs/_base_/datasets/targets/`, for evaluations that have no such config.
"""

import os
from collections.abc import Iterable, Mapping
from typing import Any

from ibn_seg.errors import UserError, unknown

# Name of the domain: folder below `data`, which also names the variable of the root; class; its
# arguments.
TARGETS: Mapping[str, tuple[str, str, Mapping[str, Any]]] = {
    "cityscapes": ("cityscapes", "RawCityscapesDataset", {"split": "val"}),
    "gta5": ("gta5", "GTA5Dataset", {"split": "val"}),
    "synthia": ("synthia", "SynthiaDataset", {"split": "robustnet_val"}),
    "urbansyn": ("urbansyn", "UrbanSynDataset", {"split": "val"}),
    "bdd100k": ("bdd100k", "RawBDD100KDataset", {"split": "val"}),
    "idd": ("idd", "IDDDataset", {"split": "val"}),
    "wilddash2": ("wilddash2", "WildDash2Dataset", {}),
    "dark_zurich": ("dark_zurich", "RawDarkZurichDataset", {}),
    **{
        f"mapillary-{mapping}": ("mapillary", "MapillaryVistasDataset", {"mapping": mapping})
        for mapping in ("robustnet", "rein", "v2.0")
    },
    **{
        f"acdc-{condition}": ("acdc", "RawACDCDataset", {"condition": condition})
        for condition in ("fog", "night", "rain", "snow")
    },
    **{
        f"foggy_cityscapes-{b}": ("foggy_cityscapes", "RawFoggyCityscapesDataset", {"beta": b})
        for b in ("0.005", "0.01", "0.02")
    },
}
_ACDC = tuple(name for name in TARGETS if name.startswith("acdc-"))
_FOGGY = tuple(name for name in TARGETS if name.startswith("foggy_cityscapes-"))
GROUPS: Mapping[str, tuple[str, ...]] = {
    "acdc": _ACDC,
    "foggy_cityscapes": _FOGGY,
    "rein": ("cityscapes", "bdd100k", "mapillary-rein"),
    "robustnet": ("cityscapes", "bdd100k", "mapillary-robustnet", "synthia"),
    "adverse": (*_ACDC, "dark_zurich", *_FOGGY),
    "world": ("idd", "wilddash2", "mapillary-v2.0"),
}


def target_configs(targets: Iterable[str]) -> list[dict[str, Any]]:
    """Return the configs of the data sets of domains, each with its name as `target`.

    Args:
        targets: Names of `TARGETS` or of `GROUPS`; NAME=ROOT says where a download is. Default
            root: what the variable IBN_SEG_NAME says, else `data/NAME`.

    Raises:
        UserError: There is none, one is unknown or named twice.
    """
    configs: dict[str, dict[str, Any]] = {}
    for item in targets:
        name, equals, root = item.partition("=")
        if name not in TARGETS and name not in GROUPS:
            raise unknown("target", name, [*TARGETS, *GROUPS])
        if equals and not root:
            raise UserError(f"target {item!r} has no root", "write NAME=ROOT, or NAME alone")
        for domain in GROUPS.get(name, (name,)):
            if domain in configs:
                raise UserError(f"target {domain!r} is named twice", "name it once")
            configs[domain] = _config(domain, root)
    if not configs:
        raise UserError("no target", f"name some of: {', '.join([*TARGETS, *GROUPS])}")
    return list(configs.values())


def _config(domain: str, root: str) -> dict[str, Any]:
    folder, cls, arguments = TARGETS[domain]
    default = os.environ.get(f"IBN_SEG_{folder.upper()}") or f"data/{folder}"
    return {"type": cls, "data_root": root or default, "target": domain, **arguments}
