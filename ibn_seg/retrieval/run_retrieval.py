"""Tests a checkpoint on a re-identification data set, and searches one's own pictures."""

# ruff: noqa: PT028 - `test` is a task here, not a test

import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ibn_seg.errors import UserError
from ibn_seg.io import write_json
from ibn_seg.provenance import record

if TYPE_CHECKING:
    import numpy as np

    from ibn_seg.reid.ranking import Matches
    from ibn_seg.reid.searched_network import Opened
    from ibn_seg.reid.sets.picture_set import PictureSet

Progress = Callable[[str, int, int], None]
SIZE = (128, 256)
RANKS = (1, 5, 10)
WORK_DIR = Path("work_dirs", "reid")


@dataclass(frozen=True)
class Searcher:
    """How features are computed.

    Attributes:
        model: The name of the network.
        checkpoint: Its weights.
        size: Width and height of the input; None for that of the training if the checkpoint has
            it, else 128x256.
        batch_size: Pictures of a batch.
        flip: Average the features of a picture and of its mirror image.
        last_stride: Stride of the last stage; None for that of the checkpoint or its tool.
        stem_relu: Whether there is a ReLU after the stem's norm; None for that of the tool.
    """

    model: str
    checkpoint: str
    size: tuple[int, int] | None = None
    batch_size: int = 64
    flip: bool = False
    last_stride: int | None = None
    stem_relu: bool | None = None

    def open(self) -> "Opened":
        """Load the network onto the GPU, or the CPU without one.

        Raises:
            UserError: The checkpoint does not fit.
        """
        import torch

        from ibn_seg.reid.searched_network import open_network

        opened = open_network(self.model, self.checkpoint, self.last_stride, self.stem_relu)
        opened.network.to("cuda" if torch.cuda.is_available() else "cpu")
        return opened

    def input_size(self, opened: "Opened") -> tuple[int, int]:
        """Return width and height of the input."""
        return self.size or opened.size or SIZE

    def features(
        self, opened: "Opened", paths: Sequence[Path], step: str, progress: Progress | None
    ) -> "np.ndarray":
        """Return the features of pictures, (N, D) float32, of length 1.

        Raises:
            UserError: A picture cannot be read, or its features are not finite.
        """
        import numpy as np

        from ibn_seg.reid.distances import check_features, normalised
        from ibn_seg.retrieval.crops import feature_batches

        device = str(next(opened.network.parameters()).device)
        batches, done = [], 0
        for batch in feature_batches(
            opened.network, paths, self.input_size(opened), self.batch_size, self.flip, device
        ):
            batches.append(batch)
            done += len(batch)
            if progress:
                progress(step, done, len(paths))
        return normalised(check_features(np.concatenate(batches), step))

    def facts(self, opened: "Opened") -> dict[str, Any]:
        """Return what a result records of the network."""
        return {
            "model": self.model,
            "checkpoint": str(self.checkpoint),
            "tool": opened.tool,
            "stem_relu": opened.stem_relu,
            "last_stride": opened.last_stride,
            "dropped": list(opened.dropped),
            "size": list(self.input_size(opened)),
            "flip": self.flip,
        }


def test(
    searcher: Searcher,
    name: str,
    root: str | os.PathLike,
    *,
    options: Mapping[str, Any] | None = None,
    rerank: bool = False,
    work_dir: str | os.PathLike | None = None,
    command: str | None = None,
    say: Callable[[str], None] = print,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Search the queries of a data set in its gallery; write `test.json` and `ranks.npz`.

    Args:
        searcher: The network.
        name: A key of `PICTURE_SETS`.
        root: Its root.
        options: Its choices, such as boxes='labeled'.
        rerank: Also re-rank, which is transductive.
        work_dir: The folder of the result; default `work_dirs/reid/MODEL_NAME`.
        command: The command line, for the record.
        say: Called with a line about what is to come.
        progress: Called with (step, pictures done, pictures in all).

    Returns:
        The content of `test.json`; scores are in percent.

    Raises:
        UserError: Data set, network or pictures are wrong.
        EnvError: The work dir cannot be written.
    """
    from ibn_seg.reid.sets.all_sets import picture_set
    from ibn_seg.reid.sets.picture_set import say_notes

    data = picture_set(name, root, **(options or {}))
    say_notes([data], say)
    folder = Path(work_dir or WORK_DIR / f"{searcher.model}_{name}")
    found = searched(
        searcher, data, folder / "ranks.npz", rerank=rerank, say=say, progress=progress
    )
    result = {
        "kind": "reid test",
        "data_set": name,
        "root": str(data.root),
        "options": data.options,
        **found,
        "command": command,
        **record(),
    }
    write_json(folder / "test.json", result)
    return result


def searched(
    searcher: Searcher,
    data: "PictureSet",
    ranks: Path,
    *,
    rerank: bool = False,
    say: Callable[[str], None] = print,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Search the queries of a data set in its gallery, and write the ranks of all matches.

    Args:
        searcher: The network.
        data: The data set.
        ranks: The file of the ranks; its folder is made.
        rerank: Also re-rank.
        say: Called with a line about what is to come.
        progress: Called with (step, pictures done, pictures in all).

    Returns:
        What was searched with, and "scores" in percent.

    Raises:
        UserError: The data set cannot be searched, or the network does not fit.
        EnvError: The file cannot be written.
    """
    from ibn_seg.reid.distances import distance_blocks
    from ibn_seg.reid.kept_ranks import write_ranks
    from ibn_seg.reid.ranking import rank_matches
    from ibn_seg.reid.reranking import NAME, Reranking, needed_memory, reranked_blocks
    from ibn_seg.reid.set_numbers import searchable

    query, gallery, labels = searchable(data)
    opened = searcher.open()
    sides = {
        step: searcher.features(opened, [one.path for one in pictures], step, progress)
        for step, pictures in (("query", query), ("gallery", gallery))
    }
    matches = rank_matches(distance_blocks(*sides.values()), labels)
    # Whether any query has a match is known here; nothing is written for a search without one.
    result = {
        **searcher.facts(opened),
        "gallery": len(gallery),
        "scores": _scores(matches),
        "ranks": ranks.name,
    }
    write_ranks(ranks, matches)
    if rerank:
        parameters = Reranking()
        memory = needed_memory(len(query), len(gallery), sides["query"].shape[1], parameters)
        say(f"re-ranking takes about {memory / 2**20:,.0f} MiB")
        ranked = rank_matches(reranked_blocks(*sides.values(), parameters), labels)
        result[NAME] = _scores(ranked)
    return result


def _scores(matches: "Matches") -> dict[str, Any]:
    """Return the measures, percent, each with its interval over identities."""
    from ibn_seg.reid.identity_bootstrap import score_interval
    from ibn_seg.reid.measures import scores

    found = scores(matches)
    values = {f"rank-{k}": float(found.cmc[min(k, len(found.cmc)) - 1]) for k in RANKS}
    values |= {
        "mAP": found.mean_precision,
        "mAP (trapezoid)": found.trapezoid,
        "mINP": found.mean_inverse,
    }
    measured = {}
    for name, value in values.items():
        interval = score_interval([matches], name)
        measured[name] = {"value": value, "low": interval.low, "high": interval.high}
    return {"queries": found.queries, "dropped": found.dropped, "measures": measured}


@dataclass(frozen=True)
class Found:
    """A gallery picture of a query's ranking.

    Attributes:
        path: The file.
        distance: 1 - cosine.
        verdict: 'right', 'wrong', 'same camera' (of the query's person), or '' where a name says
            nothing.
    """

    path: Path
    distance: float
    verdict: str


@dataclass(frozen=True)
class Ranking:
    """The first gallery pictures of a query.

    Attributes:
        query: The query.
        found: The pictures, nearest first.
    """

    query: Path
    found: list[Found] = field(default_factory=list)


def search(
    searcher: Searcher,
    query: str | os.PathLike,
    gallery: str | os.PathLike,
    *,
    count: int = 10,
    progress: Progress | None = None,
) -> list[Ranking]:
    """Rank the pictures of a folder by their likeness to one or more queries.

    The query itself is left out if it lies in the gallery. Identity and camera are read from names
    such as `12_c3_anything.jpg`.

    Args:
        searcher: The network.
        query: A picture, or a folder of pictures.
        gallery: A folder of pictures, at any depth.
        count: Pictures to return for each query.
        progress: Called with (step, pictures done, pictures in all).

    Raises:
        UserError: There are no pictures, or one cannot be read.
    """
    import numpy as np

    from ibn_seg.reid.distances import distance_blocks

    queries, others = _pictures(query), _pictures(gallery, folder=True)
    opened = searcher.open()
    sides = [
        searcher.features(opened, paths, step, progress)
        for step, paths in (("query", queries), ("gallery", others))
    ]
    files = [other.resolve() for other in others]
    rankings = []
    rows = (row for block in distance_blocks(*sides, "cosine") for row in block)
    for path, row in zip(queries, rows, strict=True):
        file = path.resolve()
        places = [place for place in np.argsort(row, kind="stable") if files[place] != file]
        found = [
            Found(others[place], float(row[place]), verdict(path.name, others[place].name))
            for place in places[:count]
        ]
        rankings.append(Ranking(path, found))
    return rankings


def verdict(query: str, found: str) -> str:
    """Return what two file names say: 'right', 'wrong', 'same camera' or ''."""
    from ibn_seg.reid.sets.picture_set import MARKET_NAME

    pair = [re.match(MARKET_NAME, name) for name in (query, found)]
    if None in pair:
        return ""
    (mine, my_camera), (other, camera) = (
        (int(match["identity"]), int(match["camera"])) for match in pair
    )
    if mine != other or mine <= 0:
        return "wrong"
    return "same camera" if my_camera == camera else "right"


def _pictures(place: str | os.PathLike, folder: bool = False) -> list[Path]:
    """Return the pictures of a folder, or the picture itself unless a folder is asked for.

    Raises:
        UserError: There is no such file or folder, or no picture in it.
    """
    from ibn_seg.reid.sets.picture_set import pictures_in

    path = Path(place).expanduser()
    if path.is_file() and not folder:
        return [path]
    if not path.is_dir():
        raise UserError(f"{path}: no such folder" if folder else f"{path}: no such picture")
    found = pictures_in(one for one in path.rglob("*") if one.is_file())
    if not found:
        raise UserError(f"{path}: no pictures in it")
    return found
