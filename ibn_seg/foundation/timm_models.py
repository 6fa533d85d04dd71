"""Networks of timm by name: how they are built, and what their own configuration says."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from ibn_seg.errors import EnvError, UserError, nearest

_ANY_SIZE = "dynamic_img_size"


@dataclass(frozen=True)
class Preprocessing:
    """What a network of timm was trained with.

    Attributes:
        mean: Of red, green and blue, in grey levels from 0 to 255.
        std: The same for standard deviations.
        licence: The licence of its weights as timm gives it, or ''.
        side: The side of the square images of its training, in pixels.
    """

    mean: tuple[float, ...]
    std: tuple[float, ...]
    licence: str
    side: int


def timm_package() -> Any:
    """Return the module timm.

    Raises:
        EnvError: It is not installed.
    """
    try:
        import timm
    except ImportError as error:
        raise EnvError(
            f"TimmBackbone needs timm 1.0 or newer ({error})", "pip install 'ibn_seg[timm]'"
        ) from error
    return timm


def check_name(name: str) -> None:
    """Raise unless timm has a network of this name.

    Args:
        name: With or without the tag of its weights, such as
            'vit_small_patch14_dinov2.lvd142m'.

    Raises:
        UserError: It has none. The line names the most similar one.
        EnvError: timm is not installed.
    """
    timm = timm_package()
    architecture, _, tag = str(name).partition(".")
    if not timm.is_model(architecture):
        guess = nearest(architecture, timm.list_models(), cutoff=0.0)
        raise UserError(f"timm {timm.__version__} has no network {name!r}", f"nearest: {guess!r}")
    tags = {known.partition(".")[2] for known in timm.list_pretrained(f"{architecture}.*")}
    if tag and tag not in tags:
        raise UserError(
            f"timm has no weights {tag!r} of {architecture}",
            f"known: {', '.join(sorted(tags)) or 'none'}",
        )


def preprocessing(name: str) -> Preprocessing:
    """Return mean, standard deviation, licence and image size of timm's configuration.

    Args:
        name: A name of timm. Without a tag it means timm's default weights.

    Raises:
        UserError: timm has no such network.
        EnvError: timm is not installed.
    """
    check_name(name)
    config = timm_package().get_pretrained_cfg(name)
    mean, std = (
        tuple(round(255 * value, 3) for value in values) for values in (config.mean, config.std)
    )
    return Preprocessing(mean, std, config.license or "", config.input_size[-1])


def has_weights(name: str) -> bool:
    """Tell whether timm publishes weights of a network.

    Args:
        name: A name of timm.
    """
    return bool(timm_package().get_pretrained_cfg(name).has_weights)


def build_timm(name: str, pretrained: bool = False, **options: Any) -> nn.Module:
    """Build a network of timm without a classifier.

    Plain transformers of timm take images of any size then: `dynamic_img_size` is set where the
    network knows it.

    Args:
        name: A name of timm.
        pretrained: Load the weights that timm publishes.
        options: Further arguments of `timm.create_model`; None means its default.

    Raises:
        UserError: timm has no such network, or an option does not fit it.
        EnvError: timm is not installed, or cannot fetch the weights.
    """
    check_name(name)
    given = {key: value for key, value in options.items() if value is not None}
    given = {"num_classes": 0, "pretrained": pretrained, **given}
    try:
        try:
            return _create(name, {_ANY_SIZE: True, **given})
        except TypeError as error:  # other families than plain transformers
            if _ANY_SIZE in given or _ANY_SIZE not in str(error):
                raise
        return _create(name, given)
    except (TypeError, AssertionError) as error:
        raise UserError(
            f"timm's {name} does not take these options ({error})",
            "mend img_size, patch_size, drop_path_rate or timm_args of the backbone",
        ) from error


def _create(name: str, given: Mapping[str, Any]) -> nn.Module:
    """Call timm. Its own errors are for files that cannot be fetched or do not fit."""
    timm = timm_package()
    if not given["pretrained"]:
        return timm.create_model(name, **given)
    try:
        return timm.create_model(name, **given)
    except (OSError, RuntimeError) as error:
        line = next(iter(str(error).strip().splitlines()), type(error).__name__)
        raise EnvError(
            f"timm cannot load the weights of {name} ({line})", "give pretrained a local file"
        ) from error


def is_plain(network: nn.Module) -> bool:
    """Tell whether a network is a plain transformer: blocks in a row, all of one stride."""
    blocks = getattr(network, "blocks", None)
    if not isinstance(blocks, nn.Sequential | nn.ModuleList) or not transformer_blocks(network):
        return False
    return len({info["reduction"] for info in network.feature_info}) == 1


def transformer_blocks(network: nn.Module) -> list[tuple[str, nn.Module]]:
    """Return the blocks with attention and their names, in the order of the network.

    In timm, the attention of every such block has the name `attn`.
    """
    return [
        (name, module)
        for name, module in network.named_modules()
        if isinstance(getattr(module, "attn", None), nn.Module)
    ]


def patch_size(network: nn.Module) -> tuple[int, int]:
    """Return height and width of the patches of a plain transformer, in pixels."""
    height, width = network.patch_embed.patch_size
    return int(height), int(width)


def check_image(network: nn.Module, name: str, images: torch.Tensor) -> None:
    """Raise unless a network takes images of this size.

    Args:
        network: Of timm.
        name: Its name, for the message.
        images: Shape (N, C, H, W).

    Raises:
        UserError: Their sides are no multiples of the patch, or the network takes one size alone.
            The line names sizes that fit.
    """
    embed = getattr(network, "patch_embed", None)
    size = tuple(int(side) for side in images.shape[-2:])
    fixed = getattr(embed, "img_size", None)
    if fixed is not None and getattr(embed, "strict_img_size", False):
        if size != tuple(fixed):
            raise UserError(
                f"{name} takes images of {fixed[0]}x{fixed[1]} pixels alone, not {_text(size)}",
                f"set img_size={size} in the backbone, and test in windows of this size",
            )
        return
    if not is_plain(network) or getattr(embed, "dynamic_img_pad", False):
        return
    patch = patch_size(network)
    if any(side % step for side, step in zip(size, patch, strict=True)):
        pairs = list(zip(size, patch, strict=True))
        smaller = tuple(max(1, side // step) * step for side, step in pairs)
        larger = tuple(math.ceil(side / step) * step for side, step in pairs)
        fitting = dict.fromkeys((_text(smaller), _text(larger)))
        raise UserError(
            f"{name}: images of {_text(size)} pixels are no multiple of its patch {_text(patch)}",
            f"give {' or '.join(fitting)}, or timm_args=dict(dynamic_img_pad=True)",
        )


def _text(size: tuple[int, ...]) -> str:
    return "x".join(map(str, size))
