"""Translates the old backbone's options for the new one: each is honoured or refused."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ibn_seg.errors import UserError
from ibn_seg.models.factory import FAMILIES
from ibn_seg.models.specs import FAMILY_TITLES, ModelSpec
from ibn_seg.plugins.mmengine import arguments, config_class
from ibn_seg.swap.source import WEIGHTS, Source

# Options that the new network's name decides. Their old values go with the old network.
_ARCHITECTURE = frozenset((
    "depth", "extra", "radix", "reduction_factor", "avg_down_stride", "groups", "base_width",
    "se_reduction", "se_ratio", "arch", "ibn", "ibn_stages", "ibn_stem",
    "ibn_ratio",
))  # fmt: skip


@dataclass(frozen=True)
class Translation:
    """The new backbone.

    Attributes:
        settings: Its config dict, without weights.
        kept: Options of the old backbone that it has too.
        replaced: Options that the new network's name decides.
    """

    settings: Mapping[str, Any]
    kept: tuple[str, ...]
    replaced: tuple[str, ...]


def translate(source: Source, spec: ModelSpec) -> Translation:
    """Return the backbone `spec` with the options of `source`.

    Where the two classes have different defaults, the old default is written out.

    Raises:
        UserError: The new network cannot honour an option.
    """
    cls = config_class(FAMILIES[spec.family])
    target = arguments(cls)
    replaced = [option for option in source.given if option in _ARCHITECTURE]
    kept = [option for option in source.given if option in target and option not in replaced]
    rest = [option for option in source.given if option not in (*kept, *replaced)]
    refused = [option for option in rest if not _without_effect(source, option)]
    if refused:
        raise _refusal(source, cls.__name__, refused)
    settings = {"type": cls.__name__, "depth": spec.depth}
    if spec.ibn is not None:
        settings["ibn"] = spec.ibn
    settings |= {option: source.given[option] for option in kept}
    settings |= {
        option: value
        for option, value in source.defaults.items()
        if option in target.keys() - source.given.keys() - _ARCHITECTURE - set(WEIGHTS)
        and not _same(source, option, target[option])
    }
    return Translation(settings, tuple(kept), tuple(replaced))


def _same(source: Source, option: str, default: Any) -> bool:
    """Tell whether the old class and the new one have the same default."""
    value = source.defaults[option]
    if option == "norm_cfg" and default is None:
        return value == {"type": "BN", "requires_grad": True}
    if option == "stem_channels" and value is None:  # mmdet: the first stage's channels
        return source.value("base_channels") == default
    if isinstance(value, Sequence) and isinstance(default, Sequence):
        return list(value) == list(default)
    return value == default


def _without_effect(source: Source, option: str) -> bool:
    """Tell whether an option has no effect in the old network, so that the new one can lack it."""
    value = source.given[option]
    if option in source.defaults and value == source.defaults[option]:
        return True
    if option == "contract_dilation":
        return all(dilation == 1 for dilation in source.value("dilations"))
    return option == "stage_with_dcn" and source.value("dcn") is None


def _refusal(source: Source, name: str, refused: Sequence[str]) -> UserError:
    values = ", ".join(f"{option}={source.given[option]!r}" for option in refused)
    families = [
        FAMILY_TITLES[family]
        for family, network in FAMILIES.items()
        if set(refused) <= arguments(config_class(network)).keys()
    ]
    other = f"choose a network that has it ({', '.join(families)}) or " if families else ""
    drops = " ".join(f"--drop {option}" for option in refused)
    return UserError(
        f"{'.'.join(source.path)}: {name} cannot keep {values} of {source.kind}",
        f"{other}give it up with {drops}",
    )
