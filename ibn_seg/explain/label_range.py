"""Find labels without a class in the network, from the batch at which the loss failed."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch

from ibn_seg.errors import UserError
from ibn_seg.explain.blame import Frame, Place
from ibn_seg.explain.config_dicts import dicts

# PyTorch's messages on CPUs and on GPUs; the latter say nothing more.
_SAYINGS = ("is out of bounds", "device-side assert")
_IGNORED = 255


def labels_out_of_range(
    error: Exception, place: Place, frames: Sequence[Frame], config: Mapping
) -> UserError | None:
    """Return the line for labels beyond a head's classes, or None if the labels are not at fault.

    Args:
        error: The error that was raised.
        place: The part of the config that raised.
        frames: The frames of the error. One of them holds the batch as it came from the loader.
        config: The whole config.
    """
    if not any(saying in str(error) for saying in _SAYINGS):
        return None
    for path, head in _heads(config, place.path):
        key = "out_channels" if head.get("out_channels") is not None else "num_classes"
        classes, ignored = head[key], head.get("ignore_index", _IGNORED)
        for sample in _samples(frames):
            values = set(torch.unique(sample.gt_sem_seg.data).tolist()) - {ignored}
            wrong = sorted(value for value in values if value >= classes)
            if wrong:
                return UserError(
                    f"{path}.{key} = {classes} allows labels 0 to {classes - 1}, but "
                    f"{sample.metainfo.get('img_path', 'an image')} has "
                    f"{', '.join(map(str, wrong[:5]))}",
                    f"raise {key}, or give ignored pixels the value of ignore_index ({ignored})",
                )
    return None


def _heads(config: Mapping, raised: str) -> Iterator[tuple[str, Mapping]]:
    """Yield the heads of a config's network, the head that raised first."""
    found = [
        (path, part)
        for path, part in dicts(config.get("model"), "model")
        if isinstance(part.get("out_channels") or part.get("num_classes"), int)
    ]
    yield from sorted(found, key=lambda one: not raised.startswith(one[0]))


def _samples(frames: Sequence[Frame]) -> Iterator[Any]:
    """Yield the samples of the training batch, which are still on the CPU."""
    for frame in frames:
        for name in ("data_batch", "batch"):
            batch = frame.locals.get(name)
            samples = batch.get("data_samples") if isinstance(batch, Mapping) else None
            if isinstance(samples, (list, tuple)) and samples:
                yield from (s for s in samples if hasattr(s, "gt_sem_seg"))
                return
