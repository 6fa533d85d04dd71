"""The domains for evaluation, by name, each with its settings as in a config.

A data set's card says its domains. The sets here are those of `configs/_base_/datasets/targets/`,
for evaluations that have no such config.
"""

import os
import re
from collections.abc import Iterable, Mapping
from typing import Any

from ibn_seg.datasets.all_datasets import DATA_SETS, dataset_class
from ibn_seg.errors import UserError, nearest, unknown
from ibn_seg.provenance import source_domains

# Sets of domains. A data set that is no domain itself stands for all domains of its card.
GROUPS: Mapping[str, tuple[str, ...]] = {
    "acdc": ("acdc",),
    "foggy_cityscapes": ("foggy_cityscapes",),
    "rein": ("cityscapes", "bdd100k", "mapillary-rein"),
    "robustnet": ("cityscapes", "bdd100k", "mapillary-robustnet", "synthia"),
    "adverse": ("acdc", "dark_zurich", "foggy_cityscapes"),
    "world": ("idd", "wilddash2", "mapillary-v2.0"),
}

# The data set for folders of one's own, which have any name behind it.
_FOLDER = "folder"

# 'gta' and 'gta-v' pass for 'gta5'; 'cityscapes-coarse' does not pass for 'cityscapes'.
_ALIKE = 0.75
_LAST_PART = re.compile(r"(.*[-_.])?(.*)", re.DOTALL)


def list_targets() -> list[str]:
    """Return the names of all domains; this loads mmseg."""
    return [target for name in DATA_SETS for target in dataset_class(name).CARD.targets]


def domains_of(name: str) -> list[str]:
    """Return the domains of a set in `GROUPS`; of any other name, itself. This may load mmseg."""
    found = []
    for member in GROUPS.get(name, ()):
        found += [member] if _is_target(member) else dataset_class(member).CARD.targets
    return found or [name]


def is_known(name: str) -> bool:
    """Tell whether a name is that of a data set in the table, or of one of its domains.

    This loads mmseg only for a name such as 'acdc-fog', which a card has to confirm.
    """
    return name in DATA_SETS or _is_target(name)


def target_configs(
    targets: Iterable[str], folder_arguments: Mapping[str, Any] | None = None
) -> list[dict[str, Any]]:
    """Return the configs of the data sets of domains, each with its name as `target`.

    Args:
        targets: Names of domains (`list_targets`) or of `GROUPS`; NAME=ROOT gives the folder of a
            download. Default root: the class's `ROOT_VARIABLE`, else `data/NAME`. The names
            `folder` and `folder-NAME`, with any NAME, are for folders of one's own.
        folder_arguments: Arguments of `FolderDataset` for all of the latter.

    Raises:
        UserError: There is no name, or one is unknown or given twice. A folder has no root, or
            there are arguments and no folder.
    """
    targets = list(targets)
    if folder_arguments and not any(_is_own_folder(item.partition("=")[0]) for item in targets):
        raise UserError(
            f"{', '.join(folder_arguments)} of a folder, and no folder among the targets",
            "write --targets folder=ROOT",
        )
    configs: dict[str, dict[str, Any]] = {}
    for item in targets:
        name, equals, root = item.partition("=")
        own = _is_own_folder(name)
        if name not in GROUPS and not own and not _is_target(name):
            raise unknown("target", name, [*list_targets(), _FOLDER, *GROUPS])
        if (equals or own) and not root:
            alone = "" if own else ", or NAME alone"
            raise UserError(f"target {item!r} has no root", f"write NAME=ROOT{alone}")
        for domain in domains_of(name):
            if domain in configs:
                raise UserError(f"target {domain!r} is named twice", "name it once")
            arguments = dict(folder_arguments or {}) if own else None
            configs[domain] = _config(domain, root, arguments)
    if not configs:
        raise UserError("no target", f"name some of: {', '.join([*list_targets(), *GROUPS])}")
    return list(configs.values())


def check_maps(maps: Mapping[str, Any] | None, evaluated: Iterable[str]) -> None:
    """Check that every map is for an evaluated domain; another would be left out without a word.

    Args:
        maps: By domain; '*' is for all others.
        evaluated: The names of the evaluated domains.

    Raises:
        UserError: A map is for another domain.
    """
    names = list(evaluated)
    for name in maps or ():
        if name not in (*names, "*"):
            raise unknown("target in --map", name, names)


def _family(domain: str) -> str:
    """Return the name of the data set that a domain's name begins with."""
    return domain.partition("-")[0]


def _is_own_folder(domain: str) -> bool:
    return _family(domain) == _FOLDER


def _is_target(domain: str) -> bool:
    family = _family(domain)
    return family in DATA_SETS and domain in dataset_class(family).CARD.targets


def _config(domain: str, root: str, arguments: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return the config of a domain; `arguments` are those of a folder of one's own."""
    folder = _family(domain)
    kind = dataset_class(folder)
    default = os.environ.get(kind.ROOT_VARIABLE) or f"data/{folder}"
    arguments = kind.CARD.targets[domain] if arguments is None else arguments
    return {"type": kind.__name__, "data_root": root or default, "target": domain, **arguments}


def check_source(
    source: str | None, evaluated: Iterable[str], key: str, trained: Iterable[str] = ()
) -> None:
    """Check that a source outside the evaluated domains is no misspelling of one of them.

    Such a domain would count as a target. A name unlike all of them may be right. So is every name
    of the table: a domain used for training need not be evaluated.

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
        if name in evaluated or name in trained or name in GROUPS or name in DATA_SETS:
            continue
        # In this order, because `is_known` may have to load mmseg.
        if _is_misspelt(name, evaluated) and not is_known(name):
            raise unknown(f"domain in {key}", name, evaluated)


def _is_misspelt(name: str, domains: Iterable[str]) -> bool:
    """Tell whether a name is similar to a domain's.

    If a user chose the names, 'city_a' is not a misspelling of 'city_b', nor 'city1' of 'city2'.
    """
    for domain in domains:
        if re.sub(r"\d+", "", name) == re.sub(r"\d+", "", domain) and not is_known(domain):
            continue
        (family, member), (other, its) = (_LAST_PART.fullmatch(n).groups() for n in (name, domain))
        if nearest(*((member, [its]) if family == other else (name, [domain])), _ALIKE):
            return True
    return False
