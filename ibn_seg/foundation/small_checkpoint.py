"""Checkpoints that hold what a training changed, beside the hash of the weights it began from."""

from collections.abc import Mapping
from typing import Any

from torch import nn

from ibn_seg.errors import UserError
from ibn_seg.foundation.sharding import whole_tensor
from ibn_seg.foundation.tuned_network import TunedNetwork

# The key of a checkpoint that makes it a small one.
BASE = "base"
_NETWORK = "network."


def tuned_part(model: nn.Module) -> tuple[str, TunedNetwork] | None:
    """Return the tuned network in a segmentor, and its name; None if there is none."""
    found = (item for item in model.named_modules() if isinstance(item[1], TunedNetwork))
    return next(found, None)


def small_checkpoint(model: nn.Module, meta: Mapping[str, Any]) -> dict[str, Any]:
    """Return the content of a small checkpoint; processes that share a network all call it.

    Args:
        model: A trained segmentor.
        meta: What else belongs to a checkpoint, such as the classes.

    Raises:
        UserError: Its backbone is no `TimmBackbone`, trains all, or began at random.
    """
    name, part = _named_part(model)
    if part.base_hash is None:
        raise UserError(
            "a small checkpoint needs the weights that the backbone began from",
            "give model.backbone.pretrained",
        )
    if part.tuning.mode == "full":
        raise UserError(
            "a small checkpoint of a backbone with tuning 'full' would hold all of it",
            "leave SmallCheckpointHook out",
        )
    kept, state = _kept(model, name, part), model.state_dict()
    state = {key: whole_tensor(value.detach()).cpu() for key, value in state.items() if key in kept}
    base = {"hash": part.base_hash, "model": part.model, "source": part.source}
    return {"state_dict": state, BASE: base, "meta": dict(meta)}


def completed(model: nn.Module, checkpoint: Any, path: object) -> Any:
    """Return a whole checkpoint for a small one, and any other as it is.

    The backbone's base is loaded from its `pretrained`.

    Args:
        model: The segmentor that the checkpoint is for. Its base is loaded in place.
        checkpoint: The content of a checkpoint.
        path: Its file, for messages.

    Raises:
        UserError: The small checkpoint is of another base, or does not fit.
    """
    if not isinstance(checkpoint, Mapping) or not _is_small(checkpoint):
        return checkpoint
    name, part = _named_part(model)
    theirs = checkpoint[BASE]
    if not part.pretrained:
        raise UserError(
            f"{path}: holds the tuned part of {theirs['model']} alone",
            f"give model.backbone.pretrained, the file of its base ({theirs['source']})",
        )
    part.start()
    if part.base_hash != theirs["hash"]:
        raise UserError(
            f"{path}: is of the base {theirs['hash'][:8]} ({theirs['source']}), the config's is"
            f" {part.base_hash[:8]} ({part.source})",
            "give model.backbone.pretrained that base",
        )
    kept, given = _kept(model, name, part), checkpoint["state_dict"]
    if set(given) != kept:
        odd = sorted(set(given) ^ kept)
        raise UserError(
            f"{path}: does not fit the config: {len(odd)} tensors differ, such as {odd[0]}",
            "give the config it was trained with",
        )
    return {**checkpoint, "state_dict": {**model.state_dict(), **given}}


def _is_small(checkpoint: Mapping) -> bool:
    base = checkpoint.get(BASE)
    return isinstance(base, Mapping) and isinstance(base.get("hash"), str)


def _named_part(model: nn.Module) -> tuple[str, TunedNetwork]:
    found = tuned_part(model)
    if found is None:
        raise UserError(
            "a small checkpoint needs a backbone of type TimmBackbone", "give one in model.backbone"
        )
    return found


def _kept(model: nn.Module, name: str, part: TunedNetwork) -> set[str]:
    """Return the keys of a small checkpoint: all but what the base holds unchanged."""
    below = f"{name}.{_NETWORK}" if name else _NETWORK
    trained = {f"{name}.{key}" if name else key for key in part.trainable_names()}
    return {key for key in model.state_dict() if not key.startswith(below) or key in trained}
