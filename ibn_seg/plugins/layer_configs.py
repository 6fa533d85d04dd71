"""Turn dicts of a config into builders of convolutions, batch norms and block plugins."""

import functools
import importlib.util
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from mmcv.cnn import build_conv_layer, build_norm_layer, build_plugin_layer
from mmengine.registry import MODELS
from torch import nn

from ibn_seg.errors import EnvError, UserError, unknown
from ibn_seg.models.blocks import PLUGIN_POSITIONS, ConvFactory, NormFactory, PluginFactory

_BATCH_NORMS = ("BN", "SyncBN", "MMSyncBN")
_DEFORMABLE = ("DCN", "DCNv2")


def conv_factory(conv_cfg: Mapping | None) -> ConvFactory:
    """Return the builder of the convolutions of `conv_cfg`."""
    return functools.partial(build_conv_layer, conv_cfg)


def norm_factory(norm_cfg: Mapping) -> NormFactory:
    """Return the builder of the batch norm of `norm_cfg`.

    Raises:
        UserError: It is not a batch norm.
    """
    kind = norm_cfg.get("type")
    if isinstance(kind, str) and MODELS.get(kind) is None:
        raise unknown("norm_cfg type", kind, _BATCH_NORMS)
    name, _ = build_norm_layer(norm_cfg, 2) if kind else ("", None)
    if name != "bn":
        raise UserError(
            f"norm_cfg type {kind!r} is not a batch norm", f"allowed: {', '.join(_BATCH_NORMS)}"
        )
    return lambda channels: build_norm_layer(norm_cfg, channels)[1]


def deformable(
    dcn: Mapping | None,
    stage_with_dcn: Sequence[bool],
    conv_cfg: Mapping | None,
    num_stages: int,
) -> Callable[[int], ConvFactory | None]:
    """Return the function that gives the deformable convolution of a stage, or None.

    Raises:
        UserError: The arguments do not fit each other.
        EnvError: mmcv has no compiled operators.
    """
    if dcn is None:
        return lambda stage: None
    if conv_cfg is not None:
        raise UserError("dcn and conv_cfg are both given", "remove one of them")
    if len(stage_with_dcn) != num_stages:
        raise UserError(
            f"stage_with_dcn={tuple(stage_with_dcn)} does not describe {num_stages} stages",
            f"give {num_stages} values, True or False",
        )
    if importlib.util.find_spec("mmcv._ext") is None:
        raise EnvError(
            "dcn needs mmcv.ops, and this mmcv has no compiled operators",
            "install the full mmcv instead of mmcv-lite, or remove dcn from the config",
        )
    settings = dict(dcn)
    fallback = settings.pop("fallback_on_stride", False)
    if settings.get("type") not in _DEFORMABLE:
        raise unknown("dcn type", settings.get("type"), _DEFORMABLE)

    def build(*args: Any, stride: int = 1, **kwargs: Any) -> nn.Module:
        plain = fallback and stride != 1
        return build_conv_layer(None if plain else settings, *args, stride=stride, **kwargs)

    return lambda stage: build if stage_with_dcn[stage] else None


def stage_plugins(
    plugins: Sequence[Mapping] | None, num_stages: int
) -> Callable[[int], PluginFactory | None]:
    """Return the function that gives the plugins of a stage, or None.

    Raises:
        UserError: A plugin's position is unknown, or its stages are not `num_stages`.
    """
    for plugin in plugins or ():
        if plugin.get("position") not in PLUGIN_POSITIONS:
            raise unknown("plugin position", plugin.get("position"), PLUGIN_POSITIONS)
        stages = plugin.get("stages")
        if stages is not None and len(stages) != num_stages:
            raise UserError(
                f"stages={tuple(stages)} of a plugin does not describe {num_stages} stages",
                f"give {num_stages} values, True or False",
            )

    def of_stage(stage: int) -> PluginFactory | None:
        chosen = [p for p in plugins or () if p.get("stages") is None or p["stages"][stage]]
        return functools.partial(_build_plugins, chosen) if chosen else None

    return of_stage


def _build_plugins(
    plugins: Sequence[Mapping], position: str, channels: int
) -> Iterable[tuple[str, nn.Module]]:
    """Build the plugins of one position."""
    for plugin in plugins:
        if plugin["position"] == position:
            cfg = dict(plugin["cfg"])
            postfix = cfg.pop("postfix", "")
            yield build_plugin_layer(cfg, postfix=postfix, in_channels=channels)
