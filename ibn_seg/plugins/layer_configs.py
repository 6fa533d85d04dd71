"""Turn dicts of a config into builders of convolutions, batch norms and block plugins."""

import functools
import importlib.util
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import torch
from mmcv.cnn import build_conv_layer, build_norm_layer, build_plugin_layer
from mmengine.registry import MODELS
from torch import nn

from ibn_seg.errors import EnvError, UserError, WrongTypeError, unknown
from ibn_seg.models.blocks import PLUGIN_POSITIONS, ConvFactory, NormFactory, PluginFactory

_BATCH_NORMS = ("BN", "SyncBN", "MMSyncBN")
_DEFORMABLE = ("DCN", "DCNv2")
_PLUGINS = ("ContextBlock", "GeneralizedAttention", "NonLocal2d")


def conv_factory(conv_cfg: Mapping | None) -> ConvFactory:
    """Return the builder of the convolutions of `conv_cfg`.

    Raises:
        UserError: There is no such convolution.
    """
    if conv_cfg is not None:
        _check_type("conv_cfg", conv_cfg, ("Conv2d", "ConvWS", "DCN", "DCNv2"))
    return functools.partial(build_conv_layer, conv_cfg)


def norm_factory(norm_cfg: Mapping, mixed: bool) -> NormFactory:
    """Return the builder of the norm of `norm_cfg`, after one norm was built and run.

    Args:
        norm_cfg: The norm, as mmcv builds it: 'BN', 'SyncBN', 'GN', ...
        mixed: Whether the network has instance norms beside it, so that it must be a batch norm.

    Raises:
        UserError: There is no such norm, it does not take its settings or maps, or it is no batch
            norm and has to be one. The builder raises it for groups that do not divide the
            channels.
    """
    _check_type("norm_cfg", norm_cfg, (*_BATCH_NORMS, "GN"))
    kind = norm_cfg["type"]
    groups = norm_cfg.get("num_groups", 1)
    if isinstance(groups, bool) or not isinstance(groups, int) or groups < 1:
        raise UserError(f"norm_cfg: num_groups={groups!r} is no number of groups", "such as 8")
    name = _try_norm(norm_cfg, groups)
    if mixed and name != "bn":
        raise UserError(
            f"norm_cfg type {kind!r} does not go with ibn, which mixes instance and batch norm",
            f"give one of {', '.join(_BATCH_NORMS)}, or ibn=None",
        )

    def build(channels: int) -> nn.Module:
        if channels % groups:
            raise UserError(
                f"norm_cfg: num_groups={groups!r} does not divide {channels} channels",
                "give a number that divides all widths, such as 8",
            )
        return build_norm_layer(norm_cfg, channels)[1]

    return build


def _check_type(what: str, settings: Mapping, common: Sequence[str]) -> None:
    """Raise unless a layer's `type` is a class, or a name that is registered."""
    kind = settings.get("type")
    if not kind or (isinstance(kind, str) and MODELS.get(kind) is None):
        raise unknown(f"{what} type", kind, [name for name in common if MODELS.get(name)])


def _try_norm(norm_cfg: Mapping, groups: int) -> str:
    """Build and run one norm, and return mmcv's short name of its kind.

    Raises:
        UserError: It does not take its settings, or no feature maps.
    """
    shape = (2, 2 * groups, 3, 3)  # no axis but the channels has an even size above 2
    try:
        # Random numbers of a trial would change the weights that the network starts from.
        with torch.random.fork_rng(devices=[]):
            name, norm = build_norm_layer(norm_cfg, shape[1])
            # mmcv's own `MMSyncBN` runs on GPUs alone.
            runs = norm_cfg["type"] not in _BATCH_NORMS
            found = norm.eval()(torch.zeros(shape)).shape if runs else shape
    except (TypeError, ValueError, RuntimeError, AssertionError, AttributeError) as error:
        reason = str(error).splitlines()[0] if str(error) else "num_groups is missing"
        wrong = WrongTypeError if isinstance(error, TypeError) else UserError
        raise wrong(
            f"norm_cfg={dict(norm_cfg)!r} cannot be built and run: {reason}",
            "give a norm of feature maps, and the arguments that it takes",
        ) from error
    if found != shape:
        raise UserError(f"norm_cfg={dict(norm_cfg)!r} changes the shape of maps", "give a norm")
    return name.rstrip("0123456789")


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
        UserError: A plugin's position or type is unknown, or its stages are not `num_stages`.
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
        _check_type("plugin", plugin.get("cfg") or {}, _PLUGINS)

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
