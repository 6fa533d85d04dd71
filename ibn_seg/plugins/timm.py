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

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from torch import nn

from ibn_seg.errors import EnvError
from ibn_seg.layers.ibn import IBN
from ibn_seg.layers.instance import InstanceNorm
from ibn_seg.models.densenet import DenseNet, stage_modules
from ibn_seg.models.factory import network_settings, published_weights, weights_in
from ibn_seg.models.mx_resnet import MXResNet, MXResNeXt, MXResNeXtWD
from ibn_seg.models.published_weights import AUTHORS, IMAGE_MEAN, IMAGE_STD, addresses
from ibn_seg.models.resnet import ResNet
from ibn_seg.models.resnext import ResNeXt
from ibn_seg.models.se_resnet import SEResNet
from ibn_seg.models.specs import MODELS, ModelSpec

try:
    from timm.layers import register_notrace_module
    from timm.models import FeatureInfo as FeatureTable
    from timm.models import (
        build_model_with_cfg,
        generate_default_cfgs,
        is_model,
        register_model,
        resolve_pretrained_cfg,
    )

    from ibn_seg.plugins.timm_network import FEATURES, TimmNetwork, chosen_features
except ImportError as error:
    raise EnvError(
        f"ibn_seg.plugins.timm needs timm 1.0 or newer ({error})", "pip install 'ibn_seg[timm]'"
    ) from error

_MXNET = ".params"
_ORIGIN, _OTHERS = "https://github.com/XingangPan/IBN-Net", "https://github.com/osmr/imgclsmob"


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


def _features(model: TimmNetwork, out_indices: int | Sequence[int]) -> TimmNetwork:
    """Make a classifier return feature maps, without its classifier; timm calls this."""
    taken = chosen_features(out_indices)
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
        feature_cfg={"feature_cls": _features, "out_indices": FEATURES},
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
