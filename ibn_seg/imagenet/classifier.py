"""A named network as mmengine's model: takes pixels, returns the loss or ranks of classes."""

import os
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from mmengine.model import BaseModel
from mmengine.registry import MODELS
from torch.nn import functional

from ibn_seg.imagenet.classifier_weights import load_exactly, start_from
from ibn_seg.models import create_model
from ibn_seg.models.sources import preprocessing_of
from ibn_seg.transforms.pixel_shifts import APPEARANCES, BASELINE

# The statistics of ImageNet's training pictures, for RGB from 0 to 1. torchvision and the reference
# normalise with them.
_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


@MODELS.register_module()
class ImageClassifier(BaseModel):
    """Classify pictures with a network of `ibn-seg models`.

    Args:
        model: The name of the network.
        num_classes: How many classes.
        pretrained: Start from the authors' published weights. If the number of classes differs, the
            classifier starts at random.
        init: A checkpoint to start from instead.
        appearances: Names of `APPEARANCES`, the changes of pictures to test under.

    Raises:
        UserError: An unknown name, or weights that do not fit.
        EnvError: The weights cannot be downloaded.
    """

    def __init__(
        self,
        model: str,
        num_classes: int,
        pretrained: bool = False,
        init: str | None = None,
        appearances: Sequence[str] = (BASELINE,),
    ) -> None:
        super().__init__()
        # The name is that of a segmentor's backbone, so that checkpoints load into segmentors.
        self.backbone = create_model(model, pretrained=pretrained, num_classes=num_classes)
        self.load_report = start_from(self.backbone, init) if init else None
        self.appearances = tuple(appearances)
        for name, values in (("mean", _MEAN), ("std", _STD)):
            values = torch.tensor(values).view(1, 3, 1, 1)
            self.register_buffer(name, values, persistent=False)

    def load_exactly(self, checkpoint: Mapping[str, Any], source: str | os.PathLike) -> None:
        """Load weights to test with, and normalise pictures as they want it.

        Args:
            checkpoint: The file's content.
            source: The file, for messages.

        Raises:
            UserError: They do not fit.
        """
        load_exactly(self.backbone, checkpoint, source)
        images = preprocessing_of(checkpoint)
        if images is not None:
            for buffer, values in ((self.mean, images.mean), (self.std, images.std)):
                buffer.copy_(torch.tensor(values).view(1, 3, 1, 1) / 255)

    def forward(
        self, inputs: torch.Tensor, labels: torch.Tensor | None = None, mode: str = "tensor"
    ) -> Any:
        """Classify pictures.

        Args:
            inputs: RGB pixels, (N, 3, H, W) uint8.
            labels: The classes, (N) int64; not needed for 'tensor'.
            mode: 'tensor', 'loss' or 'predict'.

        Returns:
            Logits, (N, classes); the cross entropy as dict(loss=...); or a dict for each picture.
            The dict has `ranks`: for each appearance, the number of other classes that score at
            least as high as the true one. The true class is in the top k if this number is below k.
        """
        if mode == "predict":
            return self._predict(inputs, labels)
        logits = self.backbone(self._normalised(inputs)).float()
        return {"loss": functional.cross_entropy(logits, labels)} if mode == "loss" else logits

    def _predict(self, inputs: torch.Tensor, labels: torch.Tensor) -> list[dict[str, Any]]:
        ranks = {}
        for name in self.appearances:
            logits = self.backbone(self._normalised(APPEARANCES[name](inputs.float()))).float()
            true = logits.gather(1, labels[:, None])
            # Not "at least": NaN must count against the network, too.
            ranks[name] = ((~(logits < true)).sum(dim=1) - 1).tolist()
        return [
            {"ranks": dict(zip(ranks, values, strict=True))}
            for values in zip(*ranks.values(), strict=True)
        ]

    def _normalised(self, pixels: torch.Tensor) -> torch.Tensor:
        """Return the network's input, computed with the operations of torchvision's transforms."""
        return (pixels / 255 - self.mean) / self.std
