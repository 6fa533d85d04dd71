"""The backbones for mmengine's family: registers them in mmengine's root registry.

mmseg, mmdet and mmpretrain all look there: `custom_imports =
dict(imports=['ibn_seg.plugins.mmengine'])` is enough in any of their configs.
"""

import contextlib
import inspect
import warnings
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from mmengine.logging import MMLogger
from mmengine.model import BaseModule
from mmengine.registry import MODELS
from torch import nn

from ibn_seg.errors import UserError, WrongTypeError, unknown
from ibn_seg.layers.semantic_stage import SemanticStage
from ibn_seg.models.backbone import Backbone
from ibn_seg.models.densenet import DenseNet
from ibn_seg.models.mx_network import EPS as MX_EPS
from ibn_seg.models.mx_resnet import MXResNet, MXResNeXt, MXResNeXtWD
from ibn_seg.models.resnet import ResNet, StageHooks
from ibn_seg.models.resnext import ResNeXt
from ibn_seg.models.se_resnet import SEResNet
from ibn_seg.models.weights import OTHER_NORMS, load_backbone_weights
from ibn_seg.plugins.checkpoint_names import resolve
from ibn_seg.plugins.layer_configs import conv_factory, deformable, norm_factory, stage_plugins
from ibn_seg.plugins.method_layers import add_method_layers
from ibn_seg.type_names import is_named

# `_BUILDERS`: arguments made from the config's plug-in settings; not for configs.
_PRETRAINED = ("Pretrained", "PretrainedInit")
_BUILDERS = {"conv", "norm", "hooks", "design", "num_classes"}
_DEFAULT_INIT = (
    {"type": "Kaiming", "layer": "Conv2d"},
    {"type": "Constant", "val": 1, "layer": ["_BatchNorm", "GroupNorm"]},
)


class ConfigBackbone:
    """One of our networks, with the arguments and initial weights that configs expect.

    A mixin: put the class of the network and mmengine's `BaseModule` after it in the list of bases.

    Args:
        depth: Number of layers; see the network.
        conv_cfg: The convolution. Default: `Conv2d`.
        norm_cfg: The norm; with `ibn` it is a batch norm, also inside `IBN`. Default:
            `dict(type='BN')`; `requires_grad=False` stops the gradients of the instance norms too.
        pretrained: Deprecated shorthand for `init_cfg` of type 'Pretrained'.
        init_cfg: How weights start. Default: Kaiming for convolutions, and zero for the last norm
            of each block if `zero_init_residual` is set. Type 'Pretrained' takes a local path, an
            http(s) URL or a name like `ibn://resnet50_ibn_a` or `torchvision://resnet50`. The
            network may have instance norms or not (see `ibn_seg.models.weights`). It also takes an
            optional `prefix`.
        randomise: Layers that randomise features in training, `[dict(type='MixStyle',
            places=['end(1)'], ...)]`; see `ibn_seg.layers.style.kinds` and `ibn_seg.models.places`.
        self_norm: Arguments of a `SelfNorm` on the residual of every block.
        semantic: `places` and arguments of SAN and SAW behind stages.
        builders: Further arguments of the network that configs cannot express.
        network: The other arguments of the network, among them `ibn` and `ibn_stages`.

    Raises:
        UserError: An argument is unknown or does not fit the others.
    """

    def __init__(
        self,
        depth: int,
        conv_cfg: Mapping | None = None,
        norm_cfg: Mapping | None = None,
        pretrained: str | None = None,
        init_cfg: Mapping | Sequence[Mapping] | None = None,
        randomise: Sequence[Mapping] | None = None,
        self_norm: Mapping | None = None,
        semantic: Mapping | None = None,
        builders: Mapping[str, Any] | None = None,
        **network: Any,
    ) -> None:
        allowed = arguments(type(self))
        for name in network:
            if name not in allowed:
                kind = f"argument of {type(self).__name__}"
                raise unknown(kind, name, sorted(allowed), WrongTypeError)
        for name, given in (("norm_cfg", norm_cfg), ("conv_cfg", conv_cfg)):
            if given is not None and not isinstance(given, Mapping):
                raise WrongTypeError(f"{name}={given!r} is no dict", "write dict(type='...')")
        norm_cfg = dict(norm_cfg or {"type": "BN"})
        super().__init__(
            depth,
            conv=conv_factory(conv_cfg),
            norm=norm_factory(norm_cfg, _has_instance_norms(network)),
            **(builders or {}),
            **network,
        )
        # What a method adds takes no random number from the rest: with one seed, all methods start
        # from the same weights.
        with torch.random.fork_rng(devices=[]):
            add_method_layers(self, randomise, self_norm, semantic)
        if not norm_cfg.get("requires_grad", True):
            for module in self.modules():
                if isinstance(module, (nn.InstanceNorm2d, *OTHER_NORMS)):
                    module.requires_grad_(False)
        self._default_init = pretrained is None and init_cfg is None
        self.init_cfg = _init_cfg(pretrained, init_cfg)

    def reset_parameters(self) -> None:
        """Leave the initial weights to `init_weights`, as mmengine does."""

    def init_weights(self) -> None:
        """Initialise the weights from `init_cfg`; pretrained weights fit exactly or raise."""
        if self.is_init:
            super().init_weights()  # which only warns
            return
        given = self.init_cfg
        steps = [given] if isinstance(given, Mapping) else list(given)
        pretrained = [step for step in steps if is_named(step["type"], *_PRETRAINED)]
        # mmengine's own loader would skip every key that does not match.
        self.init_cfg = [step for step in steps if step not in pretrained]
        try:
            with _left_out(self, "semantic"):
                super().init_weights()
        finally:
            self.init_cfg = given
        if self._default_init:
            self.start_residuals()
        self._init_replacements()
        for step in pretrained:
            source = resolve(step["checkpoint"])
            report = load_backbone_weights(self, source, step.get("prefix"))
            line = f"weights of {source}: {report}"
            MMLogger.get_current_instance().info(line, extra={"notice": True})

    def _init_replacements(self) -> None:
        """Let layers of methods and those that replace the network's own initialise themselves."""
        with torch.random.fork_rng(devices=[]):
            for module in self.modules():
                if isinstance(module, SemanticStage):
                    module.reset_parameters()


class ConfigResNet(ConfigBackbone):
    """The further arguments of the residual networks; for the others see `ConfigBackbone`.

    `ResNetV1c` is `deep_stem=True`, `ResNetV1d` is `deep_stem=True, avg_down=True`. Plugins at one
    position of a block run one after the other.

    Args:
        depth: Number of layers; see the network.
        conv_cfg: The convolution. Default: `Conv2d`.
        dcn: Deformable 3x3 convolutions, `dict(type='DCN' or 'DCNv2', ...)`; needs the compiled
            mmcv. With `fallback_on_stride=True` the blocks with a stride keep ordinary ones.
        stage_with_dcn: Which stages have them.
        plugins: Modules inside the bottlenecks: dicts of `cfg`, `position` ('after_conv1', ...)
            and, optionally, `stages` (one bool per stage).
        settings: The other arguments.

    Raises:
        UserError: An argument is unknown or does not fit the others.
        EnvError: `dcn` is given and mmcv has no compiled operators.
    """

    def __init__(
        self,
        depth: int,
        conv_cfg: Mapping | None = None,
        dcn: Mapping | None = None,
        stage_with_dcn: Sequence[bool] = (False, False, False, False),
        plugins: Sequence[Mapping] | None = None,
        **settings: Any,
    ) -> None:
        num_stages = settings.get("num_stages", 4)
        hooks = StageHooks(
            deformable(dcn, stage_with_dcn, conv_cfg, num_stages),
            stage_plugins(plugins, num_stages),
        )
        super().__init__(depth, conv_cfg=conv_cfg, builders={"hooks": hooks}, **settings)

    @property
    def norm1(self) -> nn.Module:
        """The norm of a stem without `deep_stem`, by mmseg's name."""
        return self.bn1

    def _init_replacements(self) -> None:
        """Let plugins and deformable convolutions initialise themselves too."""
        super()._init_replacements()
        for block in self.blocks():
            for module in block.children():
                if hasattr(module, "init_weights"):
                    module.init_weights()


@MODELS.register_module()
class IBNResNet(ConfigResNet, ResNet, BaseModule):
    """`ibn_seg.models.ResNet` for configs, with every argument of mmseg's `ResNet`.

    With `ibn=None` it has mmseg's keys and gives mmseg's features.
    """


@MODELS.register_module()
class IBNResNeXt(ConfigResNet, ResNeXt, BaseModule):
    """`ibn_seg.models.ResNeXt` for configs: `groups` and `base_width` besides."""


@MODELS.register_module()
class IBNSEResNet(ConfigResNet, SEResNet, BaseModule):
    """`ibn_seg.models.SEResNet` for configs: `se_reduction` besides."""


@MODELS.register_module()
class IBNDenseNet(ConfigBackbone, DenseNet, BaseModule):
    """`ibn_seg.models.DenseNet` for configs."""


class ConfigMXNetwork(ConfigBackbone):
    """The networks of IBN-Net.mxnet, whose norms have another eps; see `ConfigBackbone`.

    Args:
        depth: Number of layers; see the network.
        norm_cfg: The batch norm. Its `eps` is 2e-5 unless it says another.
        settings: The other arguments.
    """

    def __init__(self, depth: int, norm_cfg: Mapping | None = None, **settings: Any) -> None:
        if norm_cfg is None or isinstance(norm_cfg, Mapping):
            norm_cfg = {"eps": MX_EPS, **(norm_cfg or {"type": "BN"})}
        super().__init__(depth, norm_cfg=norm_cfg, **settings)


@MODELS.register_module()
class IBNMXResNet(ConfigMXNetwork, MXResNet, BaseModule):
    """`ibn_seg.models.mx_resnet.MXResNet` for configs."""


@MODELS.register_module()
class IBNMXResNeXt(ConfigMXNetwork, MXResNeXt, BaseModule):
    """`ibn_seg.models.mx_resnet.MXResNeXt` for configs: `groups` besides."""


@MODELS.register_module()
class IBNMXResNeXtWD(ConfigMXNetwork, MXResNeXtWD, BaseModule):
    """`ibn_seg.models.mx_resnet.MXResNeXtWD` for configs: `groups` and `dropout` besides."""


@contextlib.contextmanager
def _left_out(network: nn.Module, name: str) -> Iterator[None]:
    """Take a child away from a network in the block, if there is one."""
    child = network._modules.pop(name, None)
    try:
        yield
    finally:
        if child is not None:
            network._modules[name] = child


def config_class(network: type[Backbone]) -> type[ConfigBackbone]:
    """Return the class that is registered for a network, for example `IBNResNet` for `ResNet`."""
    return next(
        cls
        for cls in MODELS.module_dict.values()
        # mmengine's registry holds functions, too.
        if isinstance(cls, type) and issubclass(cls, ConfigBackbone) and network in cls.__bases__
    )


def arguments(backbone: type) -> dict[str, Any]:
    """Return the defaults of all arguments that a config may give to a backbone.

    Those without a default have `inspect.Parameter.empty`.
    """
    found: dict[str, Any] = {}
    for cls in reversed(backbone.__mro__):
        if issubclass(cls, (ConfigBackbone, Backbone)) and "__init__" in cls.__dict__:
            parameters = inspect.signature(cls).parameters.values()
            found |= {p.name: p.default for p in parameters if p.kind is not p.VAR_KEYWORD}
    return {name: found[name] for name in found.keys() - _BUILDERS - {"builders"}}


def _has_instance_norms(network: Mapping[str, Any]) -> bool:
    """Return whether the arguments of a network ask for instance norms."""
    stages = network.get("ibn_stages") or ()
    return bool(network.get("ibn") or network.get("ibn_stem") or any(stages))


def _init_cfg(pretrained: str | None, init_cfg: Any) -> Any:
    """Return the settings that mmseg's ResNet makes of these two arguments."""
    if not isinstance(init_cfg, (Mapping, list, tuple, type(None))):
        raise WrongTypeError(f"init_cfg={init_cfg!r} is no dict", "write dict(type='...')")
    if pretrained is None:
        return list(_DEFAULT_INIT) if init_cfg is None else init_cfg
    if init_cfg:
        raise UserError("pretrained and init_cfg are both given", "keep init_cfg")
    if not isinstance(pretrained, str):
        raise WrongTypeError(
            f"pretrained={pretrained!r} is not a path or URL", "give a string or None"
        )
    warnings.warn(
        "pretrained is deprecated: use init_cfg=dict(type='Pretrained', checkpoint=...)",
        DeprecationWarning,
        stacklevel=4,
    )
    return {"type": "Pretrained", "checkpoint": pretrained}
