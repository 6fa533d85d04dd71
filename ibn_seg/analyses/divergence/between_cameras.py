"""The feature divergence between the pictures of two re-identification data sets."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ibn_seg.analyses.divergence.measure import (
    MIN_IMAGES,
    ChannelStatistics,
    layer_divergence,
)
from ibn_seg.errors import UserError
from ibn_seg.io import write_json
from ibn_seg.provenance import record

if TYPE_CHECKING:
    from ibn_seg.reid.searched_network import Opened
    from ibn_seg.reid.sets.picture_set import PictureSet
    from ibn_seg.retrieval.run_retrieval import Searcher

Progress = Callable[[str, int, int], None]


def between_cameras(
    searcher: "Searcher",
    first: "PictureSet",
    second: "PictureSet",
    out: str | os.PathLike,
    *,
    part: str = "gallery",
    images: int | None = None,
    seed: int = 0,
    command: str | None = None,
    say: Callable[[str], None] = print,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Measure how far apart two data sets are in each layer of a network, and write it.

    Pictures of people alone count, without junk and distractors. Beside the two sets, random halves
    of the first are compared. Their divergence is that of chance.

    Args:
        searcher: The network.
        first: A data set, such as the source.
        second: Another one.
        out: The JSON file.
        part: The part of both that is looked at: 'train', 'query' or 'gallery'.
        images: Pictures of each, drawn at random; default all.
        seed: Of the draw and of the halves.
        command: The command line, for the record.
        say: Called with a line about a data set, such as that its authors withdrew it.
        progress: Called with (step, pictures done, pictures in all).

    Returns:
        The content of the file; "layers" has for each layer "between" and "halves".

    Raises:
        UserError: There are fewer than 200 pictures, or the network does not fit.
        EnvError: The file cannot be written.
    """
    from ibn_seg.reid.sets.picture_set import say_notes

    say_notes((first, second), say)
    random = np.random.default_rng(seed)
    sides = [_drawn(data, part, images, random) for data in (first, second)]
    opened = searcher.open()
    statistics = [
        _statistics(searcher, opened, paths, data.CARD.title, progress)
        for paths, data in zip(sides, (first, second), strict=True)
    ]
    layers = {
        name: {
            "between": layer_divergence(one.whole, statistics[1][name].whole).to_dict(),
            "halves": layer_divergence(*one.halves).to_dict(),
        }
        for name, one in statistics[0].items()
    }
    result = {
        "kind": "reid divergence",
        **searcher.facts(opened),
        "data_sets": [data.CARD.title for data in (first, second)],
        "part": part,
        "images": [len(paths) for paths in sides],
        "seed": seed,
        "layers": layers,
        "command": command,
        **record(),
    }
    write_json(out, result)
    return result


class _Layer:
    """The statistics of a layer over all pictures, and over every second one.

    The pictures come in random order, so these are random halves.
    """

    def __init__(self) -> None:
        self.whole = ChannelStatistics()
        self.halves = ChannelStatistics(), ChannelStatistics()

    def add(self, values: np.ndarray) -> None:
        """Add the values of more pictures, (pictures, channels)."""
        start = self.whole.count
        self.whole.add(values)
        for k, half in enumerate(self.halves):
            half.add(values[(k + start) % 2 :: 2])


def _drawn(
    data: "PictureSet", part: str, images: int | None, random: np.random.Generator
) -> list[Path]:
    """Return pictures of people in random order.

    Raises:
        UserError: There are fewer than the least number.
    """
    found = [one.path for one in data.people(part)]
    order = random.permutation(len(found))[:images]
    if len(order) < MIN_IMAGES:
        raise UserError(
            f"{data.root}: {len(order)} pictures of people in {part}",
            f"a divergence needs {MIN_IMAGES}",
        )
    return [found[place] for place in order]


def _statistics(
    searcher: "Searcher",
    opened: "Opened",
    paths: Sequence[Path],
    step: str,
    progress: Progress | None,
) -> dict[str, _Layer]:
    """Return the statistics of each layer of a network's backbone."""
    from ibn_seg.analyses.divergence.features import DepthFeatures
    from ibn_seg.retrieval.crops import network_input, read_crop

    device = str(next(opened.network.parameters()).device)
    features, layers = DepthFeatures(opened.network.base), {}
    size = searcher.input_size(opened)
    for start in range(0, len(paths), searcher.batch_size):
        batch = paths[start : start + searcher.batch_size]
        crops = [read_crop(path, size) for path in batch]
        for name, values in features(network_input(crops, device)).items():
            layers.setdefault(name, _Layer()).add(values)
        if progress:
            progress(step, start + len(batch), len(paths))
    return layers
