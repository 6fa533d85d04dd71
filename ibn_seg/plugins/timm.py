"""The classifiers for timm: `import ibn_seg.plugins.timm`, then `timm.create_model(NAME)`.

It registers all names of `ibn_seg.list_models()` that timm's own models do not have. These are
every IBN network and the batch-norm networks resnext50, resnext101, resnext152, se_resnet50,
se_resnet101 and se_resnet152. timm's own models are never replaced. resnet18, 34, 50, 101 and 152
and densenet121, 161, 169 and 201 are the same networks with the same keys. For these,
`pretrained=True` loads timm's weights, and `output_stride` dilates as timm does.

The networks are the ones of `ibn_seg.create_model`, with its keys: a state dict that loads there
loads here too. `features_only=True` returns five feature maps, beginning with the stem's (stride
2), and keeps the keys. `pretrained=True` loads the authors' published weights and checks their
hash. If there are none, it names the models that have weights. Names with a tag, such as
'resnet50_ibn_a.gluoncv2', stand for the weights that gluoncv2 or pytorchcv published.

Raises:
    EnvError: timm is not installed.
"""

import contextlib
import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import nn

from ibn_seg.errors import EnvError, UserError
from ibn_seg.layers.ibn import IBN
from ibn_seg.layers.instance import InstanceNorm
from ibn_seg.models.backbone import FeatureInfo
from ibn_seg.models.densenet import DenseNet, stage_modules
from ibn_seg.models.factory import network_settings, published_weights, weights_in
from ibn_seg.models.mx_resnet import MXResNet, MXResNeXt, MXResNeXtWD
from ibn_seg.models.published_weights import AUTHORS, IMAGE_MEAN, IMAGE_STD, addresses
from ibn_seg.models.resnet import ResNet
from ibn_seg.models.resnext import ResNeXt
from ibn_seg.models.se_resnet import SEResNet
from ibn_seg.models.specs import MODELS, ModelSpec

try:
    from timm.layers import create_classifier, register_notrace_module
    from timm.models import FeatureInfo as FeatureTable
    from timm.models import (
        build_model_with_cfg,
        generate_default_cfgs,
        is_model,
        register_model,
        resolve_pretrained_cfg,
    )
except ImportError as error:
    raise EnvError(
        f"ibn_seg.plugins.timm needs timm 1.0 or newer ({error})", "pip install 'ibn_seg[timm]'"
    ) from error

_STAGES = 4
_MXNET = ".params"
_ORIGIN, _OTHERS = "https://github.com/XingangPan/IBN-Net", "https://github.com/osmr/imgclsmob"
_FEATURES = tuple(range(_STAGES + 1))


class TimmNetwork:
    """One of our networks, with the arguments, attributes and methods of timm's classifiers.

    A mixin: put the class of the network after it in the list of bases.

    Args:
        num_classes: Classes; 0 leaves the classifier out.
        in_chans: Channels of the image.
        global_pool: timm's name of the pooling before the classifier; '' for none.
        drop_rate: Dropout before the classifier.
        device: Where the parameters are made. Default: PyTorch's.
        dtype: Their type. Default: PyTorch's.
        network: The other arguments of the network.
    """

    def __init__(
        self,
        num_classes: int = 1000,
        in_chans: int = 3,
        global_pool: str = "avg",
        drop_rate: float = 0.0,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
        **network: Any,
    ) -> None:
        with torch.device(device) if device is not None else contextlib.nullcontext():
            super().__init__(in_channels=in_chans, **network)
        self.to(dtype=dtype)
        self.in_chans = in_chans
        self.head_drop = nn.Dropout(drop_rate)
        self.kept_stages = _STAGES
        self.feature_info = [_row(info) for info in (self.stem_info, *self.feature_info)]
        self.num_features = self.feature_info[-1]["num_chs"]
        self.returned_features: tuple[int, ...] | None = None
        self.reset_classifier(num_classes, global_pool)

    def get_classifier(self, name_only: bool = False) -> nn.Module | str:
        """Return the classifier, or its name."""
        return self.classifier_name if name_only else getattr(self, self.classifier_name)

    def reset_classifier(self, num_classes: int, global_pool: str | None = None) -> None:
        """Start a new classifier.

        Args:
            num_classes: Its classes; 0 for none.
            global_pool: The pooling before it. Default: unchanged.
        """
        if global_pool is None:
            global_pool = self.global_pool.pool_type
        weight = next(self.parameters())
        pool, classifier = create_classifier(self.num_features, num_classes, pool_type=global_pool)
        classifier = classifier.to(weight.device, weight.dtype).train(self.training)
        self.num_classes = num_classes
        self.global_pool = pool.train(self.training)
        self.head_hidden_size = self.num_features * pool.feat_mult()
        setattr(self, self.classifier_name, classifier)

    def forward_features(self, x: torch.Tensor) -> torch.Tensor:
        """Return the last feature map of images, shape (N, in_chans, H, W)."""
        return self._run(x, self.kept_stages)[0]

    def forward_head(self, x: torch.Tensor, pre_logits: bool = False) -> torch.Tensor:
        """Return logits from a last feature map, or with `pre_logits` the classifier's input."""
        x = self.head_drop(self.global_pool(x))
        return x if pre_logits else self.get_classifier()(x)

    def forward(self, x: torch.Tensor) -> torch.Tensor | list[torch.Tensor]:
        """Return logits, or after `features_only` the feature maps."""
        if self.returned_features is None:
            return self.forward_head(self.forward_features(x))
        return self.forward_intermediates(
            x, self.returned_features, stop_early=True, intermediates_only=True
        )

    def forward_intermediates(
        self,
        x: torch.Tensor,
        indices: int | Sequence[int] | None = None,
        norm: bool = False,
        stop_early: bool = False,
        output_fmt: str = "NCHW",
        intermediates_only: bool = False,
    ) -> list[torch.Tensor] | tuple[torch.Tensor, list[torch.Tensor]]:
        """Return the last feature map and others, in the order of the network.

        Args:
            x: Images, shape (N, in_chans, H, W).
            indices: Which feature maps, from 0 (the stem's) to 4; a number means that many of the
                last. Default: all.
            norm: Without effect: these networks have no norm at their end.
            stop_early: Stop after the last of `indices`; its feature map is then the first result.
            output_fmt: 'NCHW', the only layout.
            intermediates_only: Return only the feature maps.
        """
        if output_fmt != "NCHW":
            raise UserError(f"output_fmt={output_fmt!r} is not supported", "allowed: 'NCHW'")
        taken = _indices(indices)
        x, features = self._run(x, taken[-1] if stop_early else self.kept_stages, taken)
        return features if intermediates_only else (x, features)

    def prune_intermediate_layers(
        self,
        indices: int | Sequence[int] | None = 1,
        prune_norm: bool = False,
        prune_head: bool = True,
    ) -> list[int]:
        """Remove what follows some feature maps; return which they are, from 0 (the stem's) to 4.

        Args:
            indices: As in `forward_intermediates`. The stages after the last of them are removed.
            prune_norm: Without effect: these networks have no norm at their end.
            prune_head: Whether to remove the classifier.
        """
        taken = _indices(indices)
        for stage in range(taken[-1], self.kept_stages):
            self.remove_stage(stage, first=stage == taken[-1])
        self.kept_stages = min(self.kept_stages, taken[-1])
        self.num_features = self.feature_info[self.kept_stages]["num_chs"]
        if prune_head:
            self.reset_classifier(0)
        return list(taken)

    def remove_stage(self, stage: int, first: bool) -> None:
        """Remove the parameters of a stage (from 0), the first or a later one to go."""
        setattr(self, self.stage_names[stage], nn.Identity())

    def set_grad_checkpointing(self, enable: bool = True) -> None:
        """Recompute blocks in the backward pass to save memory."""
        for module in self.modules():
            if hasattr(module, "with_cp"):
                module.with_cp = enable

    def group_matcher(self, coarse: bool = False) -> dict[str, Any]:
        """Return timm's patterns of parameter groups: stem and stages, or stem and blocks."""
        stem, stages, blocks = self.parameter_groups
        return {"stem": stem, "blocks": stages if coarse else blocks}

    def _run(
        self, x: torch.Tensor, last: int = _STAGES, taken: Sequence[int] = ()
    ) -> tuple[torch.Tensor, list[torch.Tensor]]:
        """Return the feature map `last` and the ones in `taken`."""
        x = self.run_stem(x)
        features = [x] if 0 in taken else []
        for stage in range(last):
            x = self.run_stage(stage, self.pool_stem(x) if stage == 0 else x)
            if stage + 1 in taken:
                features.append(x)
        return x, features


class TimmResNet(TimmNetwork, ResNet):
    """`ibn_seg.models.ResNet` for timm."""

    parameter_groups = (r"^(?:conv1|bn1)", r"^layer(\d+)", r"^layer(\d+)\.(\d+)")


class TimmResNeXt(TimmNetwork, ResNeXt):
    """`ibn_seg.models.ResNeXt` for timm."""

    parameter_groups = TimmResNet.parameter_groups


class TimmSEResNet(TimmNetwork, SEResNet):
    """`ibn_seg.models.SEResNet` for timm."""

    parameter_groups = TimmResNet.parameter_groups


class TimmDenseNet(TimmNetwork, DenseNet):
    """`ibn_seg.models.DenseNet` for timm."""

    # A transition comes after all layers of its block, so its number is one that no layer has.
    parameter_groups = (
        r"^features\.(?:conv0|norm0)",
        r"^features\.(?:denseblock|transition|norm)(\d+)",
        [
            (r"^features\.denseblock(\d+)\.denselayer(\d+)", None),
            (r"^features\.(?:transition|norm)(\d+)", (1000,)),
        ],
    )

    def remove_stage(self, stage: int, first: bool) -> None:
        """Remove the parameters of a stage (from 0), the first or a later one to go."""
        if stage > 0:
            # The norm before it belongs to the feature map of the stage before.
            self.features.get_submodule(f"transition{stage}").conv = nn.Identity()
        for name in stage_modules(stage):
            setattr(self.features, name, nn.Identity())


# timm's tracers record these as one call, so a traced network uses the same single passes.
for _layer in (IBN, InstanceNorm):
    register_notrace_module(_layer)


class TimmMXResNet(TimmNetwork, MXResNet):
    """`ibn_seg.models.mx_resnet.MXResNet` for timm."""

    # The last norm comes after all blocks, so its number is one that no stage has.
    parameter_groups = (
        r"^(?:conv1|bn1|stem)\b",
        [(r"^layer(\d+)", None), (r"^last_norm", (1000,))],
        [(r"^layer(\d+)\.(\d+)", None), (r"^last_norm", (1000,))],
    )

    def remove_stage(self, stage: int, first: bool) -> None:
        """Remove the parameters of a stage (from 0), the first or a later one to go."""
        blocks = getattr(self, self.stage_names[stage])
        self.last_norm = nn.Identity()
        if stage == 0 or not first:
            super().remove_stage(stage, first)
            return
        # Its first norm belongs to the feature map of the stage before.
        for name, _ in list(blocks[0].named_children()):
            if name not in ("bn1", "relu1"):
                setattr(blocks[0], name, nn.Identity())
        del blocks[1:]


class TimmMXResNeXt(TimmNetwork, MXResNeXt):
    """`ibn_seg.models.mx_resnet.MXResNeXt` for timm."""

    parameter_groups = TimmMXResNet.parameter_groups


class TimmMXResNeXtWD(TimmNetwork, MXResNeXtWD):
    """`ibn_seg.models.mx_resnet.MXResNeXtWD` for timm, where `drop_rate` is the dropout."""

    parameter_groups = TimmMXResNet.parameter_groups


_CLASSES: Mapping[str, type[TimmNetwork]] = {
    "resnet": TimmResNet,
    "resnext": TimmResNeXt,
    "se_resnet": TimmSEResNet,
    "densenet": TimmDenseNet,
    "mx_resnet": TimmMXResNet,
    "mx_resnext": TimmMXResNeXt,
    "mx_resnext_wd": TimmMXResNeXtWD,
}


def _row(info: FeatureInfo) -> dict[str, Any]:
    return {"num_chs": info.channels, "reduction": info.stride, "module": info.module}


def _indices(given: int | Sequence[int] | None) -> tuple[int, ...]:
    """Return the chosen feature maps, in the order of the network."""
    count = len(_FEATURES)
    wanted = range(-given, 0) if isinstance(given, int) else _FEATURES if given is None else given
    if not wanted or any(not -count <= index < count for index in wanted):
        raise UserError(
            f"out_indices={given!r} names feature maps that are not there",
            f"allowed: a list of numbers from {-count} to {count - 1}, or the number of last maps",
        )
    return tuple(sorted({index % count for index in wanted}))


def _features(model: TimmNetwork, out_indices: int | Sequence[int]) -> TimmNetwork:
    """Make a classifier return feature maps, without its classifier; timm calls this."""
    taken = _indices(out_indices)
    model.reset_classifier(0)
    model.returned_features = taken
    model.feature_info = FeatureTable(model.feature_info, taken)
    return model


def _network(name: str, output_stride: int = 32, **options: Any) -> TimmNetwork:
    return _CLASSES[MODELS[name].family](**network_settings(name, output_stride, **options))


def _build(
    name: str,
    pretrained: bool,
    pretrained_cfg: Any = None,
    pretrained_cfg_overlay: Mapping[str, Any] | None = None,
    **options: Any,
) -> TimmNetwork:
    """Build a model by timm's builder, with the published weights from our download."""
    overlay = dict(pretrained_cfg_overlay or {})
    if pretrained:
        given = resolve_pretrained_cfg(name, pretrained_cfg, overlay)
        if given.file and str(given.file).endswith(_MXNET):
            overlay["state_dict"] = weights_in(name, given.file)
        elif not (given.state_dict or given.file or given.hf_hub_id):
            # Without an address, the answer is an error that names the models with weights.
            source = _WHOSE.get(given.url) if given.url else AUTHORS
            if source is not None:
                overlay["state_dict"] = published_weights(name, source)
    model = build_model_with_cfg(
        functools.partial(_network, name),
        name,
        pretrained,
        pretrained_cfg=pretrained_cfg,
        pretrained_cfg_overlay=overlay,
        feature_cfg={"feature_cls": _features, "out_indices": _FEATURES},
        **options,
    )
    # timm keeps the source of the weights.
    model.pretrained_cfg.pop("state_dict", None)
    return model


def _cfgs() -> dict[str, dict[str, Any]]:
    """Return timm's settings by name, and by name and source of weights, such as NAME.gluoncv2."""
    return {
        spec.name if source == AUTHORS else f"{spec.name}.{source}": _settings(spec, source, url)
        for spec in _REGISTERED
        for source, url in {AUTHORS: "", **addresses(spec.name)}.items()
    }


def _settings(spec: ModelSpec, source: str, url: str) -> dict[str, Any]:
    """Return how images were prepared for a model (authors' imagenet.py) and timm's settings."""
    first = {"densenet": "features.conv0", "mx_resnext_wd": "stem.0"}
    return {
        "url": url,
        "input_size": (3, 224, 224),
        "pool_size": (7, 7),
        "crop_pct": 0.875,
        "interpolation": "bilinear",
        "mean": IMAGE_MEAN,
        "std": IMAGE_STD,
        "num_classes": 1000,
        "first_conv": first.get(spec.family, "conv1"),
        "classifier": _CLASSES[spec.family].classifier_name,
        "paper_ids": "arXiv:1807.09441",
        "origin_url": _ORIGIN if source == AUTHORS else _OTHERS,
    }


def _entry_point(spec: ModelSpec) -> Callable[..., nn.Module]:
    """Return the function that timm registers; its name is the model's."""

    def build(pretrained: bool = False, **options: Any) -> nn.Module:
        return _build(spec.name, pretrained, **options)

    build.__name__ = build.__qualname__ = spec.name
    build.__doc__ = f"{spec.title}; see `ibn_seg.plugins.timm`."
    return build


_REGISTERED = [spec for spec in MODELS.values() if not is_model(spec.name)]
# Whose published weights an address is.
_WHOSE = {url: whose for spec in _REGISTERED for whose, url in addresses(spec.name).items()}
# timm looks for this name in the module of each registered model.
default_cfgs = generate_default_cfgs(_cfgs())
for _spec in _REGISTERED:
    register_model(_entry_point(_spec))
