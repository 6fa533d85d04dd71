"""The encoders for segmentation_models_pytorch (smp): import this, then `smp.Unet(NAME)`.

It registers all names of `ibn_seg.list_models()` that smp's own encoders do not have. These are
every IBN network and the batch-norm networks resnext50, resnext101 and resnext152. smp's own
encoders are never replaced. resnet18, 34, 50, 101 and 152 and densenet121, 161, 169 and 201 are the
same networks with smp's weights. smp's se_resnet50, 101 and 152 differ from ours. For ours, `import
ibn_seg.plugins.timm` and use 'tu-se_resnet50' and so on.

The networks are the ones of `ibn_seg.create_model`, with its keys. `encoder_weights='imagenet'`
loads the authors' published weights and checks their hash. If there are none, it names the models
that have weights. 'gluoncv2' and 'pytorchcv' stand for the weights that these published.

Raises:
    EnvError: segmentation_models_pytorch is not installed.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from ibn_seg.errors import EnvError, UserError
from ibn_seg.models.backbone import Backbone
from ibn_seg.models.densenet import DenseNet
from ibn_seg.models.factory import network_settings, published_weights
from ibn_seg.models.mx_resnet import MXResNet, MXResNeXt, MXResNeXtWD
from ibn_seg.models.published_weights import AUTHORS, addresses
from ibn_seg.models.resnet import ResNet
from ibn_seg.models.resnext import ResNeXt
from ibn_seg.models.se_resnet import SEResNet
from ibn_seg.models.specs import MODELS

try:
    import segmentation_models_pytorch as smp
    from segmentation_models_pytorch.encoders._base import EncoderMixin
except ImportError as error:
    raise EnvError(
        f"ibn_seg.plugins.smp needs segmentation_models_pytorch 0.5 or newer ({error})",
        "pip install 'ibn_seg[smp]'",
    ) from error

_WEIGHTS = "imagenet"
# Replaces the name of a Hugging Face repository that smp's table has for other encoders.
_SOURCE = "ibn_seg/"
# Mean, standard deviation and channel order, in the form of smp's own repositories.
_PREPROCESSING = Path(__file__).with_name("smp_imagenet.json")


class Encoder(EncoderMixin):
    """One of our networks as an encoder of smp.

    A mixin: put the class of the network after it in the list of bases. smp then sets the image's
    channels and the output stride, through `set_in_channels` and `make_dilated`.

    Args:
        name: One of `ibn_seg.list_models()`.
        depth: Number of feature maps beside the image itself, 1 to 5. The first is the stem's.
        output_stride: Image size over the size of the last feature map: 32, 16 or 8.
    """

    def __init__(self, name: str, depth: int = 5, output_stride: int = 32) -> None:
        # EncoderMixin does not call the next class's constructor.
        super(EncoderMixin, self).__init__(**network_settings(name))
        if depth not in range(1, 6):
            raise UserError(f"encoder_depth={depth!r} of {name} is out of range", "allowed: 1 to 5")
        self._depth = depth
        self._in_channels = 3
        self._output_stride = output_stride
        self._out_channels = [3, *(i.channels for i in (self.stem_info, *self.feature_info))]

    def forward(self, x: torch.Tensor) -> list[torch.Tensor]:
        """Return the images, shape (N, C, H, W), and `depth` feature maps at strides 2, 4, ..."""
        features = [x, self.run_stem(x)]
        for stage in range(self._depth - 1):
            last = features[-1]
            features.append(self.run_stage(stage, self.pool_stem(last) if stage == 0 else last))
        return features

    def load_state_dict(
        self, state_dict: Mapping[str, torch.Tensor], strict: bool = True, **options: Any
    ) -> Any:
        """Load weights; leave out the classifier's."""
        start = f"{self.classifier_name}."
        weights = {key: value for key, value in state_dict.items() if not key.startswith(start)}
        return super().load_state_dict(weights, strict, **options)


class ResidualEncoder(Encoder):
    """The common parts of the residual networks' encoders.

    With a smaller output stride, smp dilates both convolutions of the blocks of ResNet-18 and 34,
    in its own encoders too. In mmseg and timm, only the first is dilated.
    """

    def get_stages(self) -> dict[int, list[nn.Module]]:
        """Return the stages that a smaller output stride dilates, by their stride."""
        return {16: [self.layer3], 32: [self.layer4]}


class ResNetEncoder(ResidualEncoder, ResNet):
    """`ibn_seg.models.ResNet` for smp."""


class ResNeXtEncoder(ResidualEncoder, ResNeXt):
    """`ibn_seg.models.ResNeXt` for smp."""


class SEResNetEncoder(ResidualEncoder, SEResNet):
    """`ibn_seg.models.SEResNet` for smp."""


class MXResNetEncoder(ResidualEncoder, MXResNet):
    """`ibn_seg.models.mx_resnet.MXResNet` for smp."""


class MXResNeXtEncoder(ResidualEncoder, MXResNeXt):
    """`ibn_seg.models.mx_resnet.MXResNeXt` for smp."""


class MXResNeXtWDEncoder(ResidualEncoder, MXResNeXtWD):
    """`ibn_seg.models.mx_resnet.MXResNeXtWD` for smp."""

    def make_dilated(self, output_stride: int) -> None:
        """Dilate the last stages; their 3x3 projections read the stage before."""
        super().make_dilated(output_stride)
        for stride, stages in self.get_stages().items():
            for stage in stages if stride > output_stride else ():
                projection = stage[0].downsample[0]
                projection.dilation = tuple(size // 2 for size in projection.dilation)
                projection.padding = projection.dilation


class DenseNetEncoder(Encoder, DenseNet):
    """`ibn_seg.models.DenseNet` for smp."""

    def get_stages(self) -> dict[int, list[nn.Module]]:
        """Return the dense blocks that a smaller output stride dilates, by their stride."""
        return {16: [self.features.denseblock3], 32: [self.features.denseblock4]}

    def make_dilated(self, output_stride: int) -> None:
        """Dilate the last blocks, and leave out the pooling before them."""
        super().make_dilated(output_stride)
        for stride, transition in ((16, "transition2"), (32, "transition3")):
            if stride > output_stride:
                self.features.get_submodule(transition).pool = nn.Identity()


_CLASSES: Mapping[str, type[Backbone]] = {
    "resnet": ResNetEncoder,
    "resnext": ResNeXtEncoder,
    "se_resnet": SEResNetEncoder,
    "densenet": DenseNetEncoder,
    "mx_resnet": MXResNetEncoder,
    "mx_resnext": MXResNeXtEncoder,
    "mx_resnext_wd": MXResNeXtWDEncoder,
}


def _download(repo_id: str, filename: str, **options: Any) -> str:
    """Return a file of the Hugging Face hub; for our models, the published weights."""
    if not repo_id.startswith(_SOURCE):
        return _hub_download(repo_id, filename, **options)
    return str(_PREPROCESSING) if filename == "config.json" else repo_id


def _load(source: str, **options: Any) -> dict[str, torch.Tensor]:
    """Return the tensors of a file from `_download`; for our models, the published ones."""
    if not str(source).startswith(_SOURCE):
        return _load_file(source, **options)
    name, _, tag = str(source).removeprefix(_SOURCE).partition(".")
    return published_weights(name, tag)


# smp takes weights only from the Hugging Face hub, and its decoders hold `get_encoder` under many
# names. So these two functions are replaced, with which it fetches and reads weights.
_hub_download = smp.encoders.hf_hub_download
_load_file = smp.encoders.load_file
smp.encoders.hf_hub_download = _download
smp.encoders.load_file = _load
for _name, _spec in MODELS.items():
    smp.encoders.encoders.setdefault(
        _name,
        {
            "encoder": _CLASSES[_spec.family],
            "pretrained_settings": {
                _WEIGHTS if source == AUTHORS else source: {
                    "repo_id": f"{_SOURCE}{_name}.{source}",
                    "revision": None,
                }
                for source in {AUTHORS: "", **addresses(_name)}
            },
            "params": {"name": _name},
        },
    )
