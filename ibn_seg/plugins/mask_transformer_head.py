"""A mask transformer for mmseg without compiled operators: EoMT's form on a `TimmBackbone`."""

from collections.abc import Sequence
from typing import Any

import torch
from mmseg.models.decode_heads.decode_head import BaseDecodeHead
from mmseg.models.segmentors import EncoderDecoder
from mmseg.registry import MODELS

from ibn_seg.errors import UserError
from ibn_seg.foundation.mask_loss import MaskLoss
from ibn_seg.foundation.mask_transformer import (
    MaskTransformer,
    Prediction,
    check_network,
    pixel_scores,
)
from ibn_seg.foundation.timm_models import check_image
from ibn_seg.foundation.tuned_network import TunedNetwork

Predictions = list[Prediction]


@MODELS.register_module()
class MaskTransformerHead(BaseDecodeHead):
    """EoMT's queries and their loss; belongs into a `MaskTransformerSegmentor`.

    Args:
        in_channels: Width of the transformer.
        num_classes: Number of classes.
        patch_size: Side of the transformer's patches, in pixels.
        queries: Number of queries.
        blocks: Number of last blocks that the queries go through.
        anneal: Begin and end, in iterations, of the fall of masked attention, for each of these
            blocks. Default: attention is masked always, in tests too.
        points: Number of points at which the loss compares masks.
        linked: The queries come from Rein's link. Its `tokens` is `queries` then, and its
            `query_width` is `in_channels`.
        settings: The other arguments of mmseg's `BaseDecodeHead`.
    """

    def __init__(
        self,
        in_channels: int,
        num_classes: int,
        patch_size: int = 16,
        queries: int = 100,
        blocks: int = 4,
        anneal: Sequence[Sequence[int]] | None = None,
        points: int = 12_544,
        linked: bool = False,
        **settings: Any,
    ) -> None:
        super().__init__(
            in_channels=in_channels, num_classes=num_classes, **{"channels": in_channels} | settings
        )
        del self.conv_seg  # the queries have class and mask
        self.mask_transformer = MaskTransformer(
            in_channels, patch_size, num_classes, queries, blocks, own_queries=not linked
        )
        self.mask_loss = MaskLoss(num_classes, self.ignore_index, points)
        self.anneal = [tuple(pair) for pair in anneal or ()]
        if self.anneal and (
            len(self.anneal) != blocks or any(begin >= end for begin, end in self.anneal)
        ):
            raise UserError(f"anneal={anneal}", f"give (begin, end) for each of {blocks} blocks")
        self.register_buffer("step", torch.zeros((), dtype=torch.int64))

    def init_weights(self) -> None:
        """Keep PyTorch's first weights, as EoMT does."""

    def predictions(self, backbone: TunedNetwork, images: torch.Tensor) -> Predictions:
        """Run the backbone with the queries."""
        check_image(backbone.network, backbone.model, images)
        if self.training and self.anneal:
            self.mask_transformer.set_shares(int(self.step), self.anneal)
        return self.mask_transformer(backbone.network, images, backbone.queries())

    def forward(self, inputs: Predictions) -> torch.Tensor:
        """Return scores of classes, shape (N, classes, h, w)."""
        return pixel_scores(inputs[-1])

    def loss(self, inputs: Predictions, batch_data_samples: list, train_cfg: Any) -> dict:
        """Return the losses of all predictions; those behind the last block have plain names."""
        labels = self._stack_batch_gt(batch_data_samples).squeeze(1)
        losses = {}
        for number, prediction in enumerate(inputs):
            prefix = "" if number == len(inputs) - 1 else f"d{number}."
            for name, value in self.mask_loss(prediction, labels).items():
                losses[f"{prefix}{name}"] = value
        self.step += 1
        return losses


@MODELS.register_module()
class MaskTransformerSegmentor(EncoderDecoder):
    """A `TimmBackbone` whose last blocks a `MaskTransformerHead` runs with its queries.

    Args:
        settings: The arguments of mmseg's `EncoderDecoder`.

    Raises:
        UserError: Backbone and head do not fit each other.
    """

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        head, backbone = self.decode_head, self.backbone
        if not isinstance(backbone, TunedNetwork) or not isinstance(head, MaskTransformerHead):
            raise UserError(
                "MaskTransformerSegmentor has no TimmBackbone with a MaskTransformerHead",
                "give these two types",
            )
        check_network(backbone.network, backbone.model, head.mask_transformer.blocks)
        if not backbone.norm:
            raise UserError(
                "MaskTransformerSegmentor needs the final norm", "set backbone.norm=True"
            )
        _check_queries(backbone, head)
        backbone.expect_queries(head.mask_transformer.blocks, head.mask_transformer.queries)

    def extract_feat(self, inputs: torch.Tensor) -> Predictions:
        """Return the predictions behind the last blocks."""
        return self.decode_head.predictions(self.backbone, inputs)


def _check_queries(backbone: TunedNetwork, head: MaskTransformerHead) -> None:
    """Raise unless queries come from one place, in the right number and width."""
    linked, queries = head.mask_transformer.q is None, backbone.queries()
    if linked != (queries is not None):
        raise UserError(
            f"decode_head.linked={linked} and Rein's link do not fit",
            "set linked=True and tuning=dict(mode='rein', link=True, ...), or neither",
        )
    wanted = (head.mask_transformer.queries, head.in_channels)
    if queries is not None and tuple(queries.shape) != wanted:
        raise UserError(
            f"Rein's queries have the shape {tuple(queries.shape)}, the head needs {wanted}",
            f"set tokens={wanted[0]} and query_width={wanted[1]} in tuning",
        )
