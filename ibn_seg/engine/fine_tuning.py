"""Start a training from another segmentor: of batch norms, or with heads for other classes."""

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import nn

from ibn_seg.engine.fit import differences, load_strictly
from ibn_seg.errors import UserError
from ibn_seg.evaluation.network_classes import HEADS, head_widths
from ibn_seg.models.backbone import Backbone
from ibn_seg.models.state_dicts import all_weights, below
from ibn_seg.models.weight_rules import some
from ibn_seg.models.weights import adapt_state_dict

Weights = dict[str, torch.Tensor]


def load_start(network: nn.Module, checkpoint: Any, path: object) -> str | None:
    """Load the weights that a training starts from.

    Weights that fit are loaded as they are. Else three differences are allowed. The backbone of the
    checkpoint may have batch norms where ours has instance norms; see `adapt_state_dict`. The
    outputs of a head may be for another number of classes. And a head may be missing on either
    side.

    Args:
        network: The segmentor, changed in place.
        checkpoint: The content of a checkpoint.
        path: Its file, for messages.

    Returns:
        What was split, and which heads begin at random; None if everything fits.

    Raises:
        UserError: Something else does not fit; see `load_strictly`.
    """
    found = _fitted(network, checkpoint)
    if found is None:
        load_strictly(network, checkpoint, path)
        return None
    weights, said = found
    load_strictly(network, weights, path)
    return f"{path}: {'; '.join(said)}"


def as_mmengines(checkpoint: Any) -> Mapping[str, Any] | None:
    """Return a checkpoint with the parts that hooks of mmengine take for granted.

    Args:
        checkpoint: The content of a file of any program.

    Returns:
        The checkpoint itself if it has `state_dict` and `meta`. Else a dict with its weights as
        `state_dict`, and with `meta`. None if it holds no weights; loading it says so.
    """
    parts = checkpoint if isinstance(checkpoint, Mapping) else {}
    if all(isinstance(parts.get(key), Mapping) for key in ("state_dict", "meta")):
        return checkpoint
    try:
        weights, _ = all_weights(checkpoint)
    except UserError:
        return None
    meta = parts.get("meta")
    return {**parts, "state_dict": weights, "meta": meta if isinstance(meta, Mapping) else {}}


def _fitted(network: nn.Module, checkpoint: Any) -> tuple[Weights, list[str]] | None:
    """Return weights that fit, and what was changed; None if nothing is to be changed or can be."""
    wanted = network.state_dict()
    try:
        weights, others = all_weights(checkpoint)
        if not differences(weights, wanted):
            return None
        said = [*_fit_backbones(network, weights), *_fit_heads(network, weights, wanted)]
    except UserError:  # `load_strictly` tells what is wrong with the file as a whole
        return None
    if others and said:
        said.append(f"left out {some(others)}")
    return (weights, said) if said else None


def _fit_backbones(network: nn.Module, weights: Weights) -> Iterator[str]:
    """Fit the weights of our backbones in a network; yield what was done to each."""
    for name, part in network.named_modules():
        prefix = f"{name}."
        theirs = below(prefix, weights)
        if not isinstance(part, Backbone) or not theirs:
            continue
        if not differences(theirs, part.state_dict()):
            continue
        adapted, report = adapt_state_dict(part, theirs)
        for key in theirs:
            del weights[f"{prefix}{key}"]
        weights.update({f"{prefix}{key}": value for key, value in adapted.items()})
        yield f"{name}: {report}"


def _fit_heads(
    network: nn.Module, weights: Weights, wanted: Mapping[str, torch.Tensor]
) -> Iterator[str]:
    """Give heads that do not fit their own values; yield what was done to each."""
    widths = head_widths(network)
    for head, width in widths.items():
        # The list of a cascade: 'decode_head[1]' has the tensors 'decode_head.1.…'.
        prefix = f"{head.replace('[', '.').rstrip(']')}."
        own = [key for key in wanted if key.startswith(prefix)]
        if own and not any(key in weights for key in own):
            weights.update({key: wanted[key] for key in own})
            yield f"{head} begins at random, the checkpoint has none"
        elif outputs := _outputs(own, weights, wanted):
            keys, theirs = outputs
            weights.update({key: wanted[key] for key in keys})
            layers = ", ".join(dict.fromkeys(key.rpartition(".")[0] for key in keys))
            yield f"{layers} begins at random, it is for {theirs} classes there and {width} here"
    for name in HEADS:
        if not hasattr(network, name):
            unused = [key for key in weights if key.startswith(f"{name}.")]
            for key in unused:
                del weights[key]
            if unused:
                yield f"left out {name}"


def _outputs(
    keys: list[str], weights: Weights, wanted: Mapping[str, torch.Tensor]
) -> tuple[list[str], int] | None:
    """Return the tensors of a head's outputs if only they have another shape, and their number."""
    shapes = {
        key: (weights[key].shape, wanted[key].shape)
        for key in keys
        if key in weights and weights[key].shape != wanted[key].shape
    }
    if not all(theirs[1:] == ours[1:] for theirs, ours in shapes.values()):
        return None
    counts = {(theirs[:1], ours[:1]) for theirs, ours in shapes.values()}
    if len(counts) != 1:
        return None
    ((theirs, _),) = counts
    return (list(shapes), theirs[0]) if theirs else None
