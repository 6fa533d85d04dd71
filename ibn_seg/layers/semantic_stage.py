"""SAN and SAW behind a stage: the classifier of its features, and its losses."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

from ibn_seg.errors import UserError
from ibn_seg.layers.semantic import (
    SELECTED_CLASSES,
    SemanticAwareNorm,
    resized_labels,
    semantic_whitening_loss,
)
from ibn_seg.layers.wide import full_precision, wide

_IGNORED = 255
# The indices of the paper's classes are Cityscapes trainIds.
_TRAIN_IDS = 19


class SemanticStage(nn.Module):
    """SAN behind a stage, with class scores of its detached features, and the losses of both.

    Args:
        channels: Channels of the stage's output.
        num_classes: Classes of the labels.
        selected_classes: The classes with a region of their own. Default: those of the paper, for
            labels of Cityscapes' 19 classes. Other labels need their own indices.
        whitens: Whether SAW's loss is part of the losses.
        norm: Further arguments of `SemanticAwareNorm`.

    Attributes:
        num_classes: Classes of the labels.
        of_train_ids: Whether the selected classes are those of the paper, by their trainIds.
        watched: Whether losses are wanted; off by default, so nothing is kept for them.

    Raises:
        UserError: A selected class is not among the classes. Or none is named, and the labels are
            no trainIds.
    """

    def __init__(
        self,
        channels: int,
        num_classes: int = 19,
        selected_classes: Sequence[int] | None = None,
        whitens: bool = True,
        **norm: Any,
    ) -> None:
        super().__init__()
        self.of_train_ids = selected_classes is None
        if selected_classes is None:
            if num_classes != _TRAIN_IDS:
                raise UserError(
                    f"semantic: no selected_classes for labels of {num_classes} classes",
                    "give the indices of road, sky, building, sidewalk and vegetation",
                )
            selected_classes = SELECTED_CLASSES
        if not selected_classes or not all(0 <= index < num_classes for index in selected_classes):
            raise UserError(
                f"semantic: selected_classes={list(selected_classes)} of {num_classes} classes",
                f"give indices from 0 to {num_classes - 1}",
            )
        self.num_classes = num_classes
        self.whitens = whitens
        self.classifier = nn.Conv2d(channels, num_classes, 1)
        self.san = SemanticAwareNorm(channels, tuple(selected_classes), **norm)
        self.watched = False
        self._kept: tuple[torch.Tensor, ...] = ()
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Start all convolutions from N(0, 0.01^2), the norm from the identity."""
        nn.init.normal_(self.classifier.weight, std=0.01)
        nn.init.zeros_(self.classifier.bias)
        self.san.reset_parameters()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the normalised output of the stage, (N, channels, H, W)."""
        scores = self.classifier(x.detach())
        y = self.san(x, scores)
        if self.watched and self.training:
            self._kept = (x, scores, y)
        return y

    def on_output(self, module: nn.Module, inputs: Any, output: torch.Tensor) -> torch.Tensor:
        """Change the output of the stage: a forward hook of PyTorch."""
        return self(output)

    def take_loss(self, labels: torch.Tensor) -> torch.Tensor:
        """Return the loss of the last forward pass in training mode, once.

        It is the cross-entropy of the class scores, the smooth L1 distance of the output from its
        target, and SAW's loss.

        Args:
            labels: TrainIds, (N, H, W) at the size of the images; 255 is ignored.
        """
        (x, scores, y), self._kept = self._kept, ()
        with full_precision(x):
            large = F.interpolate(
                wide(scores), labels.shape[1:], mode="bilinear", align_corners=True
            )
            # Without any labelled pixel the mean would be 0 / 0.
            count = (labels != _IGNORED).sum().clamp(min=1)
            entropy = F.cross_entropy(large, labels, ignore_index=_IGNORED, reduction="sum") / count
            target = self.san.target(x, resized_labels(labels, x.shape[2:]))
            loss = entropy + F.smooth_l1_loss(wide(y), target)
            if self.whitens:
                classes = self.san.selected_classes
                loss = loss + semantic_whitening_loss(y, self.classifier.weight, classes)
            return loss
