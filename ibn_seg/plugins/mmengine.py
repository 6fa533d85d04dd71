"""The backbone for mmengine's family: registers `IBNResNet` in mmengine's root registry.

mmseg, mmdet and mmpretrain all look there: `custom_imports =
dict(imports=['ibn_seg.plugins.mmengine'])` is enough in any of their configs.
"""

import functools
import importlib.util
import inspect
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from mmcv.cnn import build_conv_layer, build_norm_layer, build_plugin_layer
from mmengine.logging import MMLogger
from mmengine.model import BaseModule, PretrainedInit
from mmengine.registry import MODELS
from torch import nn

from ibn_seg.errors import EnvError, UserError, unknown
from ibn_seg.models.blocks import PLUGIN_POSITIONS, ConvFactory, PluginFactory
from ibn_seg.models.resnet import ResNet, StageHooks
from ibn_seg.models.weights import load_backbone_weights
from ibn_seg.plugins.checkpoint_names import resolve

_BATCH_NORMS = ("BN", "SyncBN", "MMSyncBN")
_DEFORMABLE = ("DCN", "DCNv2")
# What the arguments of the plug-in are turned into; not for configs.
_BUILDERS = {"conv", "norm", "hooks", "num_classes"}
_NETWORK_ARGUMENTS = set(inspect.signature(ResNet).parameters) - _BUILDERS
_DEFAULT_INIT = (
    {"type": "Kaiming", "layer": "Conv2d"},
    {"type": "Constant", "val": 1, "layer": ["_BatchNorm", "GroupNorm"]},
)


@MODELS.register_module()
class IBNResNet(ResNet, BaseModule):
    """`ibn_seg.models.ResNet` as a backbone with the arguments of mmseg's `ResNet`.

    `ResNetV1c` is `deep_stem=True`, `ResNetV1d` is `deep_stem=True, avg_down=True`. With
    `ibn=None` it has mmseg's keys and gives mmseg's features. Plugins at one position of a block
    run one after the other.

    Args:
        depth: 18, 34, 50, 101 or 152.
        conv_cfg: The convolution. Default: `Conv2d`.
        norm_cfg: The batch norm, also inside `IBN`. Default: `dict(type='BN')`;
            `requires_grad=False` stops the gradients of the instance norms too.
        dcn: Deformable 3x3 convolutions, `dict(type='DCN' or 'DCNv2', ...)`; needs the compiled
            mmcv. With `fallback_on_stride=True` the blocks with a stride keep ordinary ones.
        stage_with_dcn: Which stages have them.
        plugins: Modules inside the bottlenecks: dicts of `cfg`, `position` ('after_conv1', ...)
            and, optionally, `stages` (one bool per stage).
        pretrained: Deprecated shorthand for `init_cfg` of type 'Pretrained'.
        init_cfg: How weights start. Default: Kaiming for convolutions, and zero for the last norm
            of each block where `zero_init_residual`. Type 'Pretrained' takes a local path, an
            http(s) URL or a name like `torchvision://resnet50`, of a network with or without
            instance norms (see `ibn_seg.models.weights`), and an optional `prefix`.
        network: The other arguments of `ibn_seg.models.ResNet`, among them `ibn`, `ibn_stages`
            and `ibn_stem`.

    Raises:
        UserError: An argument is unknown or does not fit the others.
        EnvError: `dcn` is asked for and mmcv has no compiled operators.
    """

    def __init__(
        self,
        depth: int,
        conv_cfg: Mapping | None = None,
        norm_cfg: Mapping | None = None,
        dcn: Mapping | None = None,
        stage_with_dcn: Sequence[bool] = (False, False, False, False),
        plugins: Sequence[Mapping] | None = None,
        pretrained: str | None = None,
        init_cfg: Mapping | Sequence[Mapping] | None = None,
        **network: Any,
    ) -> None:
        for name in network:
            if name not in _NETWORK_ARGUMENTS:
                own = inspect.signature(IBNResNet).parameters.keys() - {"network"}
                raise unknown("argument of IBNResNet", name, sorted(_NETWORK_ARGUMENTS | own))
        norm_cfg = dict(norm_cfg or {"type": "BN"})
        num_stages = network.get("num_stages", 4)
        super().__init__(
            depth,
            conv=functools.partial(build_conv_layer, conv_cfg),
            norm=_norm_factory(norm_cfg),
            hooks=StageHooks(
                _deformable(dcn, stage_with_dcn, conv_cfg, num_stages),
                _stage_plugins(plugins, num_stages),
            ),
            **network,
        )
        if not norm_cfg.get("requires_grad", True):
            for module in self.modules():
                if isinstance(module, nn.InstanceNorm2d):
                    module.requires_grad_(False)
        self._default_init = pretrained is None and init_cfg is None
        self.init_cfg = _init_cfg(pretrained, init_cfg)

    def reset_parameters(self) -> None:
        """Leave the start to `init_weights`, as mmengine does."""

    def init_weights(self) -> None:
        """Start the weights as `init_cfg` says; pretrained weights fit exactly or raise."""
        if self.is_init:
            super().init_weights()  # which only warns
            return
        given = self.init_cfg
        steps = [given] if isinstance(given, Mapping) else list(given)
        pretrained = [step for step in steps if step["type"] in ("Pretrained", PretrainedInit)]
        # mmengine's own loader would skip every key that does not match.
        self.init_cfg = [step for step in steps if step not in pretrained]
        try:
            super().init_weights()
        finally:
            self.init_cfg = given
        if self._default_init and self.zero_init_residual:
            self.zero_last_norms()
        self._init_replacements()
        for step in pretrained:
            source = resolve(step["checkpoint"])
            report = load_backbone_weights(self, source, step.get("prefix"))
            line = f"weights of {source}: {report}"
            MMLogger.get_current_instance().info(line, extra={"notice": True})

    def _init_replacements(self) -> None:
        """Let plugins and deformable convolutions start as they say themselves."""
        for block in self.blocks():
            for module in block.children():
                if hasattr(module, "init_weights"):
                    module.init_weights()


def _init_cfg(pretrained: str | None, init_cfg: Any) -> Any:
    """Return what mmseg's ResNet makes of these two arguments."""
    if pretrained is None:
        return list(_DEFAULT_INIT) if init_cfg is None else init_cfg
    if init_cfg:
        raise UserError("pretrained and init_cfg are both given", "keep init_cfg")
    if not isinstance(pretrained, str):
        raise UserError(f"pretrained={pretrained!r} is not a path or URL", "give a string or None")
    warnings.warn(
        "pretrained is deprecated: use init_cfg=dict(type='Pretrained', checkpoint=...)",
        DeprecationWarning,
        stacklevel=3,
    )
    return {"type": "Pretrained", "checkpoint": pretrained}


def _norm_factory(norm_cfg: Mapping) -> Callable[[int], nn.Module]:
    """Return what builds the batch norm of `norm_cfg`."""
    kind = norm_cfg.get("type")
    if isinstance(kind, str) and MODELS.get(kind) is None:
        raise unknown("norm_cfg type", kind, _BATCH_NORMS)
    name, _ = build_norm_layer(norm_cfg, 2) if kind else ("", None)
    if name != "bn":
        raise UserError(
            f"norm_cfg type {kind!r} is not a batch norm", f"allowed: {', '.join(_BATCH_NORMS)}"
        )
    return lambda channels: build_norm_layer(norm_cfg, channels)[1]


def _deformable(
    dcn: Mapping | None,
    stage_with_dcn: Sequence[bool],
    conv_cfg: Mapping | None,
    num_stages: int,
) -> Callable[[int], ConvFactory | None]:
    """Return what gives the deformable convolution of a stage, or None."""
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


def _stage_plugins(
    plugins: Sequence[Mapping] | None, num_stages: int
) -> Callable[[int], PluginFactory | None]:
    """Return what gives the plugins of a stage, or None."""
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
