"""What timm expects of a classifier, as a mixin for our networks."""

import contextlib
from collections.abc import Sequence
from typing import Any

import torch
from timm.layers import create_classifier
from torch import nn

from ibn_seg.errors import UserError
from ibn_seg.models.backbone import FeatureInfo

STAGES = 4
FEATURES = tuple(range(STAGES + 1))


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
        self.kept_stages = STAGES
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
        taken = chosen_features(indices)
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
        taken = chosen_features(indices)
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
        self, x: torch.Tensor, last: int = STAGES, taken: Sequence[int] = ()
    ) -> tuple[torch.Tensor, list[torch.Tensor]]:
        """Return the feature map `last` and the ones in `taken`."""
        x = self.run_stem(x)
        features = [x] if 0 in taken else []
        for stage in range(last):
            x = self.run_stage(stage, self.pool_stem(x) if stage == 0 else x)
            if stage + 1 in taken:
                features.append(x)
        return x, features


def _row(info: FeatureInfo) -> dict[str, Any]:
    return {"num_chs": info.channels, "reduction": info.stride, "module": info.module}


def chosen_features(given: int | Sequence[int] | None) -> tuple[int, ...]:
    """Return the chosen feature maps, in the order of the network."""
    count = len(FEATURES)
    wanted = range(-given, 0) if isinstance(given, int) else FEATURES if given is None else given
    if not wanted or any(not -count <= index < count for index in wanted):
        raise UserError(
            f"out_indices={given!r} names feature maps that are not there",
            f"allowed: a list of numbers from {-count} to {count - 1}, or the number of last maps",
        )
    return tuple(sorted({index % count for index in wanted}))
