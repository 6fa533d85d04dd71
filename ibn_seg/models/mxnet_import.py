"""Turn a checkpoint of MXNet, or of pytorchcv, into one of ours."""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from ibn_seg.errors import EnvError, UserError
from ibn_seg.io import atomic_path
from ibn_seg.models.backbone import Backbone
from ibn_seg.models.blocks import ARCHITECTURES as RESIDUAL
from ibn_seg.models.densenet import ARCHITECTURES as DENSE
from ibn_seg.models.densenet_weights import layer_counts
from ibn_seg.models.factory import FAMILIES, create_model
from ibn_seg.models.gluon_names import from_gluon, is_gluon
from ibn_seg.models.mx_network import UNITS
from ibn_seg.models.mx_weights import MXForm, form_of
from ibn_seg.models.mxnet_names import Preprocessing, from_symbol, is_symbol
from ibn_seg.models.mxnet_symbol import check_symbol
from ibn_seg.models.published_weights import IMAGE_MEAN, IMAGE_STD
from ibn_seg.models.resnet_weights import block_counts
from ibn_seg.models.sources import read_checkpoint
from ibn_seg.models.specs import MODELS
from ibn_seg.models.state_dicts import COUNTER, all_weights
from ibn_seg.models.weights import adapt_state_dict

_RANGE = 255
# Both libraries normalise as torchvision does.
_IMAGENET = Preprocessing(
    tuple(_RANGE * value for value in IMAGE_MEAN), tuple(_RANGE * value for value in IMAGE_STD)
)
_CAFFE = (
    "gluoncv2 has ResNets that stride in a block's first 1x1 convolution (style='caffe'), such as "
    "resnet50, and others, such as resnet50b; their files do not tell"
)


@dataclass(frozen=True)
class Imported:
    """A checkpoint of others in our form.

    Attributes:
        weights: Tensors under our names.
        name: The network of `list_models()` that takes them, or None.
        form: The network of IBN-Net.mxnet that takes them, or None for those of gluoncv2.
        mapped: How many arrays were renamed.
        dropped: Arrays without a counterpart.
        preprocessing: What the network expects of images.
        note: What the user should know, or an empty text.
    """

    weights: Mapping[str, torch.Tensor]
    name: str | None
    form: MXForm | None
    mapped: int
    dropped: tuple[str, ...]
    preprocessing: Preprocessing | None
    note: str = ""

    def build(self) -> Backbone:
        """Return the network with the weights, in eval mode.

        Raises:
            UserError: No network of ours is known to take them.
        """
        with torch.device("meta"):  # no time for values that the weights replace
            if self.form is not None:
                network = FAMILIES[self.form.family](**self.form.settings())
            elif self.name is not None:
                network = create_model(self.name, num_classes=_classes(self.weights))
            else:
                raise UserError("no named network takes these weights", "build it and load them")
        network.to_empty(device="cpu")
        network.load_state_dict(adapt_state_dict(network, self.weights)[0])
        return network.eval()

    def content(self) -> dict[str, Any]:
        """Return the content of a checkpoint file."""
        meta: dict[str, Any] = {"model": self.name}
        if self.form is not None:
            meta |= {"family": self.form.family, "settings": self.form.settings()}
        if self.preprocessing is not None:
            mean, std = self.preprocessing.mean, self.preprocessing.std
            meta["preprocessing"] = {"mean": list(mean), "std": list(std)}
        return {"meta": meta, "state_dict": dict(self.weights)}


def import_mxnet(source: str | os.PathLike, symbol: str | os.PathLike | None = None) -> Imported:
    """Return a checkpoint of IBN-Net.mxnet, gluoncv2 or pytorchcv in our form.

    Args:
        source: A `.params` file, or a `.pth` file of pytorchcv; a path or an http(s) URL.
        symbol: The `-symbol.json` file of a network of IBN-Net.mxnet, which is compared with it.

    Raises:
        UserError: The file is damaged or of another network, or the symbol describes another one.
    """
    try:
        content, _ = all_weights(read_checkpoint(source))
        if is_symbol(content):
            return _from_symbol(content, symbol)
        if not is_gluon(content):
            raise UserError(
                "neither of IBN-Net.mxnet nor of gluoncv2, its names start with "
                + ", ".join(list(content)[:3]),
                "give a checkpoint of these; others load as they are",
            )
        if symbol is not None:
            raise UserError("its names are gluoncv2's, which has no symbol file", "omit --symbol")
        return _from_gluon(content)
    except EnvError:
        raise
    except UserError as error:
        if str(error).startswith((str(source), f"{symbol}:")):  # which says where already
            raise
        raise UserError(f"{source}: {error}") from error


def write_imported(imported: Imported, out: str | os.PathLike) -> None:
    """Write a checkpoint that all our readers take.

    Raises:
        EnvError: It cannot be written.
    """
    with atomic_path(Path(out)) as temporary:
        torch.save(imported.content(), temporary)


def _from_symbol(content: Mapping[str, torch.Tensor], symbol: str | os.PathLike | None) -> Imported:
    weights, data = from_symbol(content)
    form = form_of(weights)
    if symbol is not None:
        check_symbol(symbol, form)
    imported = Imported(
        weights,
        _named(weights, form.family),
        form,
        len(weights),
        tuple(key for key in content if key.partition(":")[2].startswith("bn_data_")),
        data,
        "" if data else "there is no bn_data: the preprocessing is not known",
    )
    # Building it refuses what does not fit.
    return replace(imported, weights=imported.build().state_dict())


def _from_gluon(content: Mapping[str, torch.Tensor]) -> Imported:
    weights = from_gluon(content)
    left = [key for key in weights if key in content]
    if left:
        raise UserError(
            f"{left[0]}: no network of ours has it ({len(left)} such arrays)",
            "give an IBN-Net, ResNet, ResNeXt or DenseNet",
        )
    name = _named(weights)
    plain = not any("IN" in key.split(".") for key in weights)
    note = _CAFFE if plain and "layer1.0.conv3.weight" in weights else ""
    return Imported(weights, name, None, len(weights), (), _IMAGENET, note)


def _named(weights: Mapping[str, torch.Tensor], family: str | None = None) -> str | None:
    """Return the named network that has exactly these tensors, with any number of classes."""
    shapes = {key: value.shape for key, value in weights.items() if not key.endswith(COUNTER)}
    for name in filter(_has_blocks(weights, family), MODELS):
        with torch.device("meta"):
            state = create_model(name, num_classes=_classes(weights)).state_dict()
        if shapes == {k: v.shape for k, v in state.items() if not k.endswith(COUNTER)}:
            return name
    return None


def _has_blocks(weights: Mapping[str, torch.Tensor], family: str | None) -> Callable[[str], bool]:
    """Return whether a named network may have these tensors, from tables of depths alone."""
    blocks, layers = block_counts(weights, 4), layer_counts(weights)

    def has(name: str) -> bool:
        spec = MODELS[name]
        if family is not None:
            return spec.family == family and UNITS[spec.depth] == blocks
        if spec.family == "densenet":
            return DENSE[spec.depth].blocks == layers
        return spec.depth in RESIDUAL and RESIDUAL[spec.depth][1] == blocks

    return has


def _classes(weights: Mapping[str, torch.Tensor]) -> int:
    for key in ("fc.weight", "classifier.weight"):
        if key in weights and weights[key].dim() == 2:
            return len(weights[key])
    raise UserError("it has no classifier", "give a whole checkpoint")
