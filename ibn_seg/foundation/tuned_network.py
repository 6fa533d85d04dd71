"""A network of timm that gives feature maps to a segmentor, with its tuning."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import nn

from ibn_seg.errors import UserError, unknown
from ibn_seg.foundation.base_weights import base_state, load_base, read_weights, weights_hash
from ibn_seg.foundation.freezing import frozen_modules
from ibn_seg.foundation.pyramid import SCALES, bilinear_pyramid
from ibn_seg.foundation.resampling import CONVERSIONS, set_positions
from ibn_seg.foundation.timm_models import build_timm, check_image, is_plain
from ibn_seg.foundation.tuning import (
    add_adapters,
    hold,
    hold_norms,
    merged_state,
    read_tuning,
    start_adapters,
)

_LEVELS = 4
PYRAMIDS = ("bilinear",)


class TunedNetwork(nn.Module):
    """A network of timm whose feature maps any head of mmseg takes.

    Convolutional and hierarchical networks give the maps of their stages. A plain transformer gives
    the outputs of some blocks, without class token and registers, as a pyramid of strides 4, 8, 16
    and 32 (with patches of 16). `feature_channels` has the channels of the maps.

    Args:
        model: Name in timm, such as 'vit_small_patch14_dinov2.lvd142m'.
        out_indices: Stages or blocks, from 0. Default: the last four stages, or the last block of
            each quarter of a plain transformer.
        img_size: Height and width of the crops, in pixels; positions are converted to their grid
            when weights are loaded. Plain transformers take other sizes too. Default: timm's.
        patch_size: Side of the patches, in pixels. Default: timm's.
        pretrained: Weights to start from: a .pth or .safetensors file, or True for those that timm
            publishes. Every tensor must fit.
        tuning: What is trained: 'full', 'frozen', 'head', 'lora', 'soma' or 'rein', or a dict with
            `mode` and settings; see `ibn_seg.foundation.tuning.Tuning`.
        norm: Put each output of a plain transformer through its final norm.
        pyramid: 'bilinear', or None for maps of the transformer's own stride. 'auto': bilinear
            where a plain transformer gives four maps.
        positions: How positions are resampled for other sizes: 'timm', or 'dinov2' as DINOv2
            without registers does.
        conversion: How weights with other patches are converted: 'timm', or 'bicubic' as Rein and
            SoMA do.
        drop_path_rate: Share of dropped residual branches in training, 0 to 1.
        norm_eval: Keep the averages of batch norms in training.
        frozen_stages: Stages of a convolutional network, or blocks, that are not trained: 0 is the
            stem, 1 the first stage too. -1: none.
        with_cp: Store less for the backward pass and compute it again (activation checkpointing).
        timm_args: Further arguments of timm's network, such as dict(dynamic_img_pad=True).

    Raises:
        UserError: A name or argument is wrong, or the arguments do not fit each other.
        EnvError: timm is not installed.
    """

    def __init__(
        self,
        model: str,
        out_indices: Sequence[int] | None = None,
        img_size: int | Sequence[int] | None = None,
        patch_size: int | None = None,
        pretrained: str | bool | None = None,
        tuning: str | Mapping[str, Any] = "full",
        norm: bool = False,
        pyramid: str | None = "auto",
        positions: str = "timm",
        conversion: str = "timm",
        drop_path_rate: float | None = None,
        norm_eval: bool = False,
        frozen_stages: int = -1,
        with_cp: bool = False,
        timm_args: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__()
        if conversion not in CONVERSIONS:
            raise unknown("conversion", conversion, CONVERSIONS)
        self.model, self.pretrained, self.conversion = model, pretrained, conversion
        self.tuning = read_tuning(tuning)
        self.options = {
            "img_size": tuple(img_size) if isinstance(img_size, Sequence) else img_size,
            "patch_size": patch_size,
            "drop_path_rate": drop_path_rate,
            **(timm_args or {}),
        }
        self.network = build_timm(model, **self.options)
        self.out_indices = _indices(self.network, model, out_indices)
        self.norm, self.norm_eval = norm, norm_eval
        self.scales = _scales(self.network, model, pyramid, self.out_indices)
        keys = set(self.network.state_dict())
        self._prune(norm)
        self.removed = frozenset(keys - set(self.network.state_dict()))
        self.feature_channels = tuple(
            info["num_chs"] for info in _info(self.network, self.out_indices, norm)
        )
        set_positions(self.network, positions)
        if with_cp:
            self.network.set_grad_checkpointing(True)
        self.base_hash: str | None = None
        self.reins = add_adapters(self.network, model, self.tuning)
        self.held = frozen_modules(self.network, model, frozen_stages)
        self._changes: list[_Change] = []
        if self.reins is not None:
            for layer, block in enumerate(self.network.blocks):
                self._changes.append(_Change(self.reins, layer, self.prefix))
                block.register_forward_hook(self._changes[-1])

    @property
    def source(self) -> str:
        """Where the weights of the start come from, for messages; '' without."""
        if not self.pretrained:
            return ""
        return f"timm's {self.model}" if self.pretrained is True else str(self.pretrained)

    @property
    def tag(self) -> str:
        """The tag of the weights that timm publishes for it, such as 'lvd142m'; '' without."""
        return (self.network.pretrained_cfg or {}).get("tag") or ""

    @property
    def licence(self) -> str:
        """The licence of the weights that timm publishes for it; '' if timm gives none."""
        return (self.network.pretrained_cfg or {}).get("license") or ""

    @property
    def prefix(self) -> int:
        """Number of tokens before the patches: class token and registers."""
        return int(getattr(self.network, "num_prefix_tokens", 0))

    def start(self) -> None:
        """Load the weights of `pretrained`, then give the adapters their first values.

        Raises:
            UserError: The weights do not fit.
            EnvError: timm cannot fetch them.
        """
        if self.pretrained:
            self.load_base()
        start_adapters(self.network, self.reins, self.tuning)

    def load_base(self) -> None:
        """Load the weights of `pretrained`; adapters keep their values.

        Raises:
            UserError: They do not fit.
            EnvError: timm cannot fetch them.
        """
        weights = read_weights(self.pretrained, self.model, self.options)
        load_base(
            self.network,
            weights,
            where=self.source,
            removed=self.removed,
            conversion=self.conversion,
        )
        self.base_hash = weights_hash(base_state(self.network))

    def train(self, mode: bool = True) -> "TunedNetwork":
        """Set training or eval mode; what is not trained stays in eval mode."""
        super().train(mode)
        hold(self.network, self.tuning)
        if self.norm_eval:
            hold_norms(self.network)
        for module in self.held:
            module.eval()
        return self

    def trainable_names(self) -> list[str]:
        """Return the names of the parameters that are trained."""
        return [name for name, value in self.named_parameters() if value.requires_grad]

    def merge(self) -> dict[str, torch.Tensor]:
        """Return the weights of timm's plain network that computes the same.

        Raises:
            UserError: The network was tuned by Rein.
        """
        return merged_state(self.network, self.tuning)

    def queries(self) -> torch.Tensor | None:
        """Return queries of Rein's link for a head, shape (tokens, channels); None without link."""
        return self.reins.queries() if self.reins is not None and self.reins.link else None

    def expect_queries(self, blocks: int, count: int) -> None:
        """Let Rein leave queries alone that a head puts in front of all tokens.

        Args:
            blocks: Number of last blocks that the queries go through.
            count: Number of queries.
        """
        for change in self._changes[len(self._changes) - blocks :]:
            change.prefix = self.prefix + count

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Return the feature maps, shape (N, C, h, w) each."""
        check_image(self.network, self.model, images)
        with torch.set_grad_enabled(torch.is_grad_enabled() and self.tuning.mode != "frozen"):
            options = {"norm": True} if self.norm else {}
            maps = self.network.forward_intermediates(
                images, indices=list(self.out_indices), intermediates_only=True, **options
            )
        return tuple(maps) if self.scales is None else bilinear_pyramid(maps, self.scales)

    def _prune(self, norm: bool) -> None:
        """Take out what no map needs: later blocks, pooling heads, and the norm of raw maps.

        Parameters without a gradient stop a training in several processes.
        """
        self.network.prune_intermediate_layers(
            list(self.out_indices), prune_norm=not norm, prune_head=True
        )


class _Change:
    """A hook behind a block: Rein changes the patches alone, not the tokens before them."""

    def __init__(self, rein: nn.Module, layer: int, prefix: int) -> None:
        self.rein, self.layer, self.prefix = rein, layer, prefix

    def __call__(self, _: nn.Module, __: tuple, tokens: torch.Tensor) -> torch.Tensor:
        """Return the changed output of a block, shape (N, tokens, C) or (N, h, w, C)."""
        if tokens.dim() == 4:  # SAM's, without class token
            return self.rein(tokens.flatten(1, 2), self.layer).view(tokens.shape)
        first, patches = tokens[:, : self.prefix], tokens[:, self.prefix :]
        return torch.cat([first, self.rein(patches, self.layer)], dim=1)


def _indices(network: nn.Module, model: str, given: Sequence[int] | None) -> tuple[int, ...]:
    """Return the stages or blocks whose outputs are the maps."""
    if not hasattr(network, "forward_intermediates"):
        raise UserError(f"timm's {model} gives no feature maps", "take another network")
    count = len(network.feature_info)
    if given is None:
        if not is_plain(network):
            return tuple(range(max(0, count - _LEVELS), count))
        return tuple(count * quarter // _LEVELS - 1 for quarter in range(1, _LEVELS + 1))
    chosen = (given,) if isinstance(given, int) else tuple(given)
    numbers = [index + count if index < 0 else index for index in chosen]
    for index, number in zip(chosen, numbers, strict=True):
        if not 0 <= number < count:
            raise UserError(
                f"out_indices={tuple(chosen)}: {model} has 0 to {count - 1}, not {index}"
            )
    if list(numbers) != sorted(set(numbers)):
        raise UserError(f"out_indices={tuple(chosen)}", "name each once, in rising order")
    return tuple(numbers)


def _scales(
    network: nn.Module, model: str, pyramid: str | None, indices: tuple[int, ...]
) -> tuple[float, ...] | None:
    """Return the scales of the pyramid; None without one."""
    if pyramid not in ("auto", None, *PYRAMIDS):
        raise unknown("pyramid", pyramid, PYRAMIDS)
    fits = is_plain(network) and len(indices) == len(SCALES)
    if pyramid in PYRAMIDS and not fits:
        raise UserError(
            f"pyramid='bilinear' needs four blocks of a plain transformer, {model} gives"
            f" {len(indices)} maps" + ("" if is_plain(network) else " of its own strides"),
            "leave it out" if not is_plain(network) else "give four out_indices",
        )
    return SCALES if fits and pyramid is not None else None


def _info(network: nn.Module, indices: Sequence[int], norm: bool) -> list[Mapping[str, Any]]:
    """Return timm's entries on the maps; SAM's norm is a neck that changes the channels."""
    infos = [dict(network.feature_info[index]) for index in indices]
    for info in infos:
        if norm and "num_chs_norm" in info:
            info["num_chs"] = info["num_chs_norm"]
    return infos
