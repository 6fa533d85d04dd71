"""Networks in ONNX form: images in, logits or labels out, with notes on both for the user."""

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from ibn_seg.errors import UserError, unknown
from ibn_seg.io import load_checkpoint
from ibn_seg.models import create_model
from ibn_seg.models.factory import FAMILIES
from ibn_seg.models.finite import say_not_finite
from ibn_seg.models.mxnet_names import DATA
from ibn_seg.models.published_weights import IMAGE_MEAN, IMAGE_STD
from ibn_seg.models.sources import bare_weights, preprocessing_of
from ibn_seg.models.specs import MODELS
from ibn_seg.models.state_dicts import all_weights
from ibn_seg.models.weights import adapt_state_dict
from ibn_seg.run.network_colors import known_colors
from ibn_seg.run.preprocessing import channel_statistics, check_one_normalisation
from ibn_seg.run.setup import fuse_network, trained_network
from ibn_seg.surgery.running import whole_images

if TYPE_CHECKING:
    from mmengine.config import Config

_RANGE = 255.0


@dataclass(frozen=True)
class Images:
    """How a network's images are prepared.

    Attributes:
        mean: Subtracted from each channel's values (0 to 255), in channel order.
        std: Divides the values afterwards.
        order: 'RGB' or 'BGR'.
    """

    mean: tuple[float, ...]
    std: tuple[float, ...]
    order: str = "RGB"


@dataclass(frozen=True)
class Subject:
    """A network to export.

    Attributes:
        name: The model's name or the config's file.
        kind: 'classifier' or 'segmentor'.
        network: Takes normalised images, shape (N, 3, H, W). Returns logits, shape (N, classes),
            or for a segmentor (N, classes, H, W).
        images: How its images are prepared.
        threshold: Threshold (0 to 1) of a segmentor with one class; None with more classes.
        labels: Names and colours of the classes, as far as they are known.
        notes: Further facts for the user.
    """

    name: str
    kind: str
    network: nn.Module
    images: Images
    threshold: float | None = None
    labels: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def metadata(self, normalise: bool) -> dict[str, str]:
        """Return the metadata of the file; lists are JSON."""
        images = self.images
        content = {
            "name": self.name,
            "kind": self.kind,
            "input": describe_input(images, normalise),
            "channel_order": "RGB" if normalise else images.order,
            "mean": [0.0] * 3 if normalise else images.mean,
            "std": [1.0] * 3 if normalise else images.std,
            **self.labels,
        }
        return {
            key: value if isinstance(value, str) else json.dumps(value)
            for key, value in content.items()
        }


def describe_input(images: Images, normalise: bool) -> str:
    """Return a description of the file's input."""
    if normalise:
        return "RGB, 0 to 255"
    return f"{images.order}, (value - mean) / std of values 0 to 255"


class Exportable(nn.Module):
    """A subject's network with the requested input and output.

    Args:
        subject: The network to export.
        normalise: Take RGB values from 0 to 255 and normalise them inside.
        labels: Return the class of each pixel, uint8, instead of logits.
        confidence: Return the class of each pixel, and its probability as float32.
        temperatures: For each predicted class the number by which a pixel's logits are divided, for
            the confidence alone.
    """

    def __init__(
        self,
        subject: Subject,
        normalise: bool = False,
        labels: bool = False,
        confidence: bool = False,
        temperatures: Sequence[float] | None = None,
    ) -> None:
        super().__init__()
        self.network = subject.network
        self.normalise = normalise
        self.reverse = subject.images.order == "BGR"
        self.labels, self.confidence = labels or confidence, confidence
        self.threshold = subject.threshold
        for name in ("mean", "std"):
            values = torch.tensor(getattr(subject.images, name)).view(1, -1, 1, 1)
            self.register_buffer(name, values)
        given = None if temperatures is None else torch.tensor(temperatures, dtype=torch.float32)
        self.register_buffer("temperatures", given)

    @property
    def output_names(self) -> tuple[str, ...]:
        """The names of the outputs in the file."""
        if self.confidence:
            return ("labels", "confidence")
        return ("labels",) if self.labels else ("logits",)

    def logits(self, image: torch.Tensor) -> torch.Tensor:
        """Return the logits of images, shape (N, 3, H, W)."""
        if self.normalise:
            image = image.flip(1) if self.reverse else image
            image = (image - self.mean) / self.std
        return self.network(image)

    def forward(self, image: torch.Tensor) -> torch.Tensor | tuple[torch.Tensor, torch.Tensor]:
        """Return logits, or labels (and their probability) of shape (N, H, W).

        Args:
            image: Shape (N, 3, H, W).
        """
        logits = self.logits(image)
        if not self.labels:
            return logits
        if self.threshold is not None:
            chance = logits.squeeze(1).sigmoid()
            labels = (chance > self.threshold).to(torch.uint8)
            return (labels, torch.maximum(chance, 1 - chance)) if self.confidence else labels
        labels = logits.argmax(1)
        if not self.confidence:
            return labels.to(torch.uint8)
        if self.temperatures is not None:
            logits = logits / self.temperatures[labels].unsqueeze(1)
        others = (logits - logits.amax(1, keepdim=True)).exp().sum(1)
        return labels.to(torch.uint8), 1 / others


class WholeImage(nn.Module):
    """A segmentor of mmseg on whole images: normalised images in, logits of their size out."""

    def __init__(self, segmentor: nn.Module) -> None:
        super().__init__()
        self.segmentor = segmentor

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Return logits, shape (N, classes, H, W), of images, shape (N, 3, H, W)."""
        return whole_images(self.segmentor, image)


def classifier(
    name: str, checkpoint: str | os.PathLike | None = None, fuse: bool = False
) -> Subject:
    """Return a named classifier with published weights or a checkpoint's weights.

    Args:
        name: One of `ibn_seg.list_models()`.
        checkpoint: A .pth file of this very network. Its classifier sets the number of classes.
            Default: the authors' published weights.
        fuse: Fold its norms into its convolutions (`ibn_seg.fuse`).

    Raises:
        UserError: The name is unknown, or the weights do not fit or were never published.
        EnvError: The published weights cannot be downloaded.
    """
    if name not in MODELS:
        raise unknown("model", name, MODELS)
    images = None
    if checkpoint is None:
        network = create_model(name, pretrained=True)
    else:
        content = load_checkpoint(checkpoint)
        network = _filled(name, content, checkpoint)
        images = preprocessing_of(content)
    if fuse:
        fuse_network(network)
    mean, std = (tuple(_RANGE * value for value in each) for each in (IMAGE_MEAN, IMAGE_STD))
    prepared = Images(mean, std) if images is None else Images(images.mean, images.std)
    return Subject(name, "classifier", network.eval(), prepared)


def segmentor(
    config: "str | os.PathLike | Config",
    checkpoint: str | os.PathLike,
    cfg_options: Mapping[str, Any] | None = None,
    fuse: bool = False,
) -> Subject:
    """Return the segmentor of a config with the weights of a checkpoint.

    Args:
        config: A path, an `ibn_seg::` name, or a config, which is not changed.
        checkpoint: A .pth file; every weight must fit.
        cfg_options: Values that override the config's, by dotted key.
        fuse: Fold its norms into its convolutions (`ibn_seg.fuse`).

    Raises:
        UserError: The config or the checkpoint is wrong, or the model is not a segmentor that can
            process whole images.
    """
    model, cfg, content = trained_network(config, checkpoint, cfg_options, fuse)
    name = str(cfg.filename or "config")
    if not hasattr(model, "encode_decode"):
        raise UserError(
            f"{name}: a {type(model).__name__} cannot be exported", "use an EncoderDecoder"
        )
    if getattr(model, "with_auxiliary_head", False):
        del model.auxiliary_head
    head = model.decode_head[-1] if isinstance(model.decode_head, nn.ModuleList) else None
    head = head or model.decode_head
    notes = []
    if model.test_cfg.mode != "whole":
        notes.append(
            f"the config tests in mode {model.test_cfg.mode!r}, but the file takes whole images"
        )
        model.test_cfg.mode = "whole"
    return Subject(
        name,
        "segmentor",
        WholeImage(model).eval(),
        _images(model, cfg),
        head.threshold if head.out_channels == 1 else None,
        _labels(model, content),
        tuple(notes),
    )


def _filled(name: str, content: Mapping, checkpoint: str | os.PathLike) -> nn.Module:
    """Return a named classifier with the weights of a checkpoint of this very network."""
    key = f"{FAMILIES[MODELS[name].family].classifier_name}.weight"
    try:
        weights, _ = bare_weights(content)
        _, beside = all_weights(content)
        if key not in weights:
            raise UserError(
                f"holds no classifier ({key})", "for a segmentor, give its config with --config"
            )
        model = create_model(name, num_classes=len(weights[key]))
        adapted, report = adapt_state_dict(model, content)
    except UserError as error:
        raise UserError(f"{checkpoint}: {error}") from error
    # Entries that are not weights say nothing about the network, nor does MXNet's preprocessing.
    dropped = [entry for entry in report.dropped if not entry.startswith(f"{DATA}.")]
    if report.split or report.added or set(dropped) - set(beside):
        raise UserError(
            f"{checkpoint}: holds the weights of another network than {name} ({report})",
            "give the model that it was trained as",
        )
    model.load_state_dict(adapted, strict=True)
    say_not_finite(model, checkpoint)
    return model


def _images(model: nn.Module, cfg: "Config") -> Images:
    """Return how a config's `data_preprocessor` prepares images, which mmseg reads as BGR."""
    check_one_normalisation(cfg, "the file")
    mean, std, is_rgb = channel_statistics(model, cfg)
    order = "RGB" if is_rgb else "BGR"
    return Images(tuple(map(float, mean)), tuple(map(float, std)), order)


def _labels(model: nn.Module, checkpoint: Mapping) -> dict[str, Sequence]:
    """Return names and colours of a segmentor's classes, if they are known."""
    known = known_colors(model, checkpoint)
    if known is None:
        return {}
    return {"classes": list(known.names), "palette": [list(color) for color in known.palette]}
