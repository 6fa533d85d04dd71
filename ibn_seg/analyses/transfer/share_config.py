"""Makes the config of one transfer: training on a share of the target's data."""

import os
from collections.abc import Iterator, Mapping, MutableMapping
from typing import TYPE_CHECKING, Any

from ibn_seg.config import load_config
from ibn_seg.errors import UserError
from ibn_seg.type_names import is_named

if TYPE_CHECKING:
    from mmengine.config import Config

# The start of a training on the share, with its text for the reader.
STARTS = {"source": "fine-tuned from the source", "scratch": "without the source"}


def transfer_config(
    config: "Config", *, share: float, subset_seed: int, checkpoint: str | os.PathLike | None
) -> "Config":
    """Return the config that trains on a share of a config's training set.

    Nothing else in the config changes, so both starts have the same length and learning rate.
    Without the source, a network begins as the config says, from ImageNet if it names such weights.
    With the source, these weights are not loaded first.

    Args:
        config: A training config of the target domain, which is not changed. The share is taken of
            each of several data sets, also below wrappers.
        share: Percent of the training set, above 0 and up to 100.
        subset_seed: The seed that chooses the share (`share_seed` of `UrbanSceneDataset`).
        checkpoint: The source-trained network to begin from, or None to train without it. Every
            weight must fit.

    Raises:
        UserError: `share` is not allowed, or the config has no network or no training set.
    """
    check_percent(share)
    found = load_config(config)
    if not found.get("model"):
        raise UserError(f"{found.filename or 'config'}: model is missing", "give a training config")
    dataset = (found.get("train_dataloader") or {}).get("dataset")
    if not dataset:
        raise UserError(
            f"{found.filename or 'config'}: train_dataloader.dataset is missing",
            "give a training config of the target domain",
        )
    for part in data_sets(dataset):
        part["share"], part["share_seed"] = share / 100, subset_seed
    found.load_from, found.resume = None, False
    if checkpoint is not None:
        found.load_from = os.fspath(checkpoint)
        _drop_pretraining(found.model)
    found.experiment = {
        **(found.get("experiment") or {}),
        "share": float(share),
        "start": "scratch" if checkpoint is None else "source",
    }
    return found


def check_percent(share: Any) -> None:
    """Raise `UserError` unless a share is a number above 0 and up to 100."""
    number = isinstance(share, int | float) and not isinstance(share, bool)
    if not number or not 0 < share <= 100:
        shown = f"{share:g}" if number else repr(share)
        raise UserError(f"share {shown}", "allowed: percent, above 0 and up to 100")


def _drop_pretraining(model: MutableMapping[str, Any]) -> None:
    """Remove references to weights that a checkpoint of the whole network replaces."""
    model.pop("pretrained", None)
    for part in (model, *model.values()):
        start = part.get("init_cfg") if isinstance(part, Mapping) else None
        if isinstance(start, Mapping) and is_named(
            start.get("type"), "Pretrained", "PretrainedInit"
        ):
            part["init_cfg"] = None


def data_sets(dataset: MutableMapping[str, Any]) -> Iterator[MutableMapping[str, Any]]:
    """Yield the configs of data sets inside wrappers and concatenations."""
    inner = [*(dataset.get("datasets") or ()), dataset.get("dataset")]
    inner = [part for part in inner if part is not None]
    if not inner:
        yield dataset
    for part in inner:
        yield from data_sets(part)
