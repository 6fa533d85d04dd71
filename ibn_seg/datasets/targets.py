"""The domains for evaluation, by name, each with its settings as in a config.

The same sets as in `configs/_base_/datasets/targets/`, for evaluations that have no such config.
"""

import os
import re
from collections.abc import Iterable, Mapping
from typing import Any

from ibn_seg.errors import UserError, nearest, unknown
from ibn_seg.provenance import source_domains

# Name of the domain: folder below `data` (which also names the variable of the root), class, and
# the class's arguments.
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

# Names that are always valid: a domain used for training need not be evaluated.
_KNOWN = frozenset((*TARGETS, *GROUPS, *(folder for folder, _, _ in TARGETS.values())))
# 'gta' and 'gta-v' pass for 'gta5'; 'cityscapes-coarse' does not pass for 'cityscapes'.
_ALIKE = 0.75
_LAST_PART = re.compile(r"(.*[-_.])?(.*)", re.DOTALL)


def target_configs(targets: Iterable[str]) -> list[dict[str, Any]]:
    """Return the configs of the data sets of domains, each with its name as `target`.

    Args:
        targets: Names of `TARGETS` or of `GROUPS`; NAME=ROOT gives the folder of a download.
            Default root: the variable IBN_SEG_NAME, else `data/NAME`.

    Raises:
        UserError: There is no name, or one is unknown or given twice.
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


def check_source(
    source: str | None, evaluated: Iterable[str], key: str, trained: Iterable[str] = ()
) -> None:
    """Check that a source outside the evaluated domains is no misspelling of one of them.

    Such a domain would count as a target. A name unlike all of them may be right.

    Args:
        source: The training data of a network: a domain, or several joined by '+'.
        evaluated: The names of the evaluated domains.
        key: The key or option that gives the source, for the message.
        trained: Further valid names, such as the names of the training set.

    Raises:
        UserError: A name is most likely a misspelt evaluated domain.
    """
    evaluated = list(evaluated)
    for name in source_domains(source):
        right = name in evaluated or name in _KNOWN or name in trained
        if not right and _is_misspelt(name, evaluated):
            raise unknown(f"domain in {key}", name, evaluated)


def _is_misspelt(name: str, domains: Iterable[str]) -> bool:
    """Tell whether a name is similar to a domain's.

    If a user chose the names, 'city_a' is not a misspelling of 'city_b', nor 'city1' of 'city2'.
    """
    for domain in domains:
        if domain not in TARGETS and re.sub(r"\d+", "", name) == re.sub(r"\d+", "", domain):
            continue
        (family, member), (other, its) = (_LAST_PART.fullmatch(n).groups() for n in (name, domain))
        if nearest(*((member, [its]) if family == other else (name, [domain])), _ALIKE):
            return True
    return False
