"""What a training learnt from, for its result file."""

import hashlib
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ibn_seg.engine import StrictRunner


def trained_on(runner: "StrictRunner") -> dict[str, Any]:
    """Return which images a network was trained on, and its start if the config names it.

    Returns:
        'training_set': the number of 'images' and the SHA-256 of their sorted 'names'. Names do not
        depend on the location of the data. It is None for data sets that name no files. 'share' is
        the percentage of the training set. 'share' and 'start' are as the analysis `transfer` sets
        them, or None.
    """
    from ibn_seg.engine.record import training_images

    experiment = dict(runner.cfg.get("experiment") or {})
    names = training_images(runner.train_loop.dataloader.dataset)
    return {
        "training_set": None if names is None else {
            "images": len(names), "names": hash_of_names(names)
        },
        "share": experiment.get("share"),
        "start": experiment.get("start"),
    }  # fmt: skip


def hash_of_names(names: Iterable[str]) -> str:
    """Return the SHA-256 of names in sorted order, each on a line."""
    text = "\n".join(sorted(names))
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()
