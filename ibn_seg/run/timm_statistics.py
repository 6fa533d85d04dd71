"""Compares a config's mean and deviation with those that a network of timm was trained with."""

import logging
from typing import TYPE_CHECKING

from ibn_seg.errors import UserError
from ibn_seg.foundation.small_checkpoint import tuned_part
from ibn_seg.foundation.timm_models import preprocessing
from ibn_seg.run.preprocessing import channel_statistics

if TYPE_CHECKING:
    from mmengine.config import Config
    from torch import nn

# Grey levels. Papers round these values in several ways.
_TOLERANCE = 0.5


def tell_statistics(network: "nn.Module", cfg: "Config", logger: logging.Logger) -> None:
    """Say what to set if a pretrained network of timm gets pictures of another scale.

    The config's values hold all the same: some papers train with ImageNet's on purpose.

    Args:
        network: A segmentor.
        cfg: The config that it was built from.
        logger: Gets one line at most, which a quiet run shows too.
    """
    found = tuned_part(network)
    if found is None or not found[1].pretrained:
        return
    try:
        mean, std, rgb = channel_statistics(network, cfg)
    except UserError:  # a preprocessor of one's own, whose scale is not known
        return
    model = found[1].model
    own = preprocessing(model)
    pairs = (*zip(mean, own.mean, strict=True), *zip(std, own.std, strict=True))
    if rgb and all(abs(given - wanted) <= _TOLERANCE for given, wanted in pairs):
        return
    wanted = f"mean={list(own.mean)}, std={list(own.std)}, bgr_to_rgb=True"
    given = f"mean={mean}, std={std}, bgr_to_rgb={rgb}"
    logger.warning(
        f"model.data_preprocessor has {given}, but {model} was trained with {wanted}: set these",
        extra={"notice": True},
    )
