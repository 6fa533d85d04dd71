"""Measures the divergence of two domains in each layer of a trained network."""

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack

import numpy as np

from ibn_seg.analyses.divergence.domain_pairs import (
    RENDERED,
    Pair,
    halves,
    read_pairs,
    scene_shares,
)
from ibn_seg.analyses.divergence.measure import (
    MIN_IMAGES,
    VARIANCE_FLOOR,
    ChannelStatistics,
    layer_divergence,
)
from ibn_seg.errors import UserError, unknown
from ibn_seg.run.domains import domain_configs
from ibn_seg.run.measurement import Measurement, Progress, RunOptions, measurement

if TYPE_CHECKING:
    from mmengine.config import Config

SCENE_SEED = 1


@dataclass(frozen=True)
class Scenes:
    """The settings for rendering scenes.

    Attributes:
        folder: The folder of the scenes; default `WORK_DIR/scenes`.
        size: Width and height in pixels.
        seed: Chooses the series of scenes.
        workers: Number of rendering processes.
    """

    folder: str | os.PathLike | None = None
    size: tuple[int, int] = (256, 128)
    seed: int = SCENE_SEED
    workers: int = 1


class _Side:
    """One side of a pair: its pictures and their measurements."""

    def __init__(self, name: str, members: np.ndarray) -> None:
        self.name = name
        self.members = members
        self.layers: dict[str, ChannelStatistics] = {}

    def add(self, first: int, features: Mapping[str, np.ndarray]) -> None:
        """Add the features of a batch's pictures that belong to this side.

        Args:
            first: Position of the batch's first picture in its domain.
            features: (pictures, channels) by layer.
        """
        size = len(next(iter(features.values())))
        mine = np.isin(np.arange(first, first + size), self.members)
        for layer, values in features.items():
            self.layers.setdefault(layer, ChannelStatistics()).add(values[mine])


def divergence(
    config: "str | os.PathLike | Config",
    checkpoint: str | os.PathLike,
    *,
    pairs: Iterable[str] = (),
    images: int | None = None,
    min_images: int = MIN_IMAGES,
    scenes: Scenes | None = None,
    seed: int = 0,
    **run: Unpack[RunOptions],
) -> dict:
    """Measure the feature divergence of pairs of domains; write `WORK_DIR/divergence.json`.

    See the module `measure` for the definition; its F is recalled from the paper. Each picture goes
    once through the config's test pipeline and, uncut, through the backbone.

    Args:
        config: A path, an `ibn_seg::` name, or a config, which is not changed.
        checkpoint: A .pth file; every weight must fit.
        pairs: The pairs to compare, see `domain_pairs`. Default: 'appearance', 'content' and 'null'
            on rendered scenes.
        images: Pictures per side. Default: 200 rendered scenes, and all pictures of a data set.
        min_images: Fewer pictures on a side are an error.
        scenes: The settings for rendering scenes.
        seed: Decides the random halves of 'null'.
        run: See `ibn_seg.run.measurement.RunOptions`.

    Returns:
        The content of the result file.

    Raises:
        UserError: The config, the data, the checkpoint or a pair is wrong. Or a side has too few
            pictures.
        EnvError: Something cannot be written.
    """
    wanted = read_pairs(pairs)
    if min_images < 2:
        raise UserError(f"min_images = {min_images}", "give 2 or more, which a variance needs")
    with measurement("divergence", config, checkpoint, **run) as opened:
        cfg = opened.runner.cfg
        datasets = _datasets(cfg, wanted, images, scenes or Scenes(), opened.progress)
        compared = [
            (pair, _pair_sides(pair, datasets, images, seed, min_images)) for pair in wanted
        ]
        with opened.run_without_loop():
            for name, dataset in datasets.items():
                _measure(opened, name, dataset, [side for _, both in compared for side in both])
        return opened.write(lambda: _summary(cfg, compared, seed))


def _datasets(
    cfg: "Config",
    pairs: Sequence[Pair],
    images: int | None,
    scenes: Scenes,
    progress: Progress,
) -> dict[str, Any]:
    """Return the data set of each domain in the pairs, and render missing scenes."""
    from mmseg.registry import DATASETS

    given = domain_configs(cfg)
    counts = _wanted_counts(pairs, images)
    for name in counts:
        if not name.startswith(RENDERED) and name not in given:
            raise unknown("domain", name, [*given, f"{RENDERED}source", f"{RENDERED}target"])
    folders = _render(cfg, counts, scenes, progress)
    pipeline = next(iter(given.values())).get("pipeline")
    found = {}
    for name, count in counts.items():
        part = given.get(name) or {
            "type": "GTA5Dataset",
            "data_root": str(folders[name]),
            "split": "all",
            "target": name.removeprefix(RENDERED),
            "pipeline": pipeline,
        }
        dataset = DATASETS.build(part)
        if hasattr(dataset, "full_init"):
            dataset.full_init()
        if count is not None and count < len(dataset):
            dataset.get_subset_(_chosen(name, dataset, count).tolist())
        found[name] = dataset
    return found


def _wanted_counts(pairs: Sequence[Pair], images: int | None) -> dict[str, int | None]:
    """Return the number of pictures used from each domain; None is all."""
    counts: dict[str, int | None] = {}
    for pair in pairs:
        for name in pair.names:
            per_side = _per_side(name, images)
            count = per_side and per_side * (2 if pair.halves else 1)
            counts[name] = count and max(count, counts.get(name) or 0)
    return counts


def _per_side(name: str, images: int | None) -> int | None:
    """Return the number of pictures of a domain on one side; None is all."""
    return images or (MIN_IMAGES if name.startswith(RENDERED) else None)


def _chosen(name: str, dataset: Any, images: int | None) -> np.ndarray:
    """Return the positions of one side's pictures in a domain.

    Of scenes it takes the first ones, which are the same in every style. Of a data set it takes
    evenly spread ones, so that every part is seen.
    """
    total = len(dataset)
    count = min(_per_side(name, images) or total, total)
    return np.arange(count) if name.startswith(RENDERED) else np.arange(count) * total // count


def _render(
    cfg: "Config", counts: Mapping[str, int | None], scenes: Scenes, progress: Progress
) -> dict[str, Path]:
    """Render the scenes to compare; return the folder of each domain."""
    from ibn_seg.scenes import write_styles

    styles = {n.removeprefix(RENDERED): c for n, c in counts.items() if n.startswith(RENDERED)}
    if not styles:
        return {}
    written = write_styles(
        scenes.folder or Path(cfg.work_dir) / "scenes",
        styles,
        size=scenes.size,
        seed=scenes.seed,
        workers=scenes.workers,
        progress=lambda done, total: progress("scenes", done, total),
    )
    return {RENDERED + style: folder for style, folder in written.items()}


def _pair_sides(
    pair: Pair, datasets: Mapping[str, Any], images: int | None, seed: int, min_images: int
) -> tuple[_Side, _Side]:
    """Return the pictures on each side of a pair.

    Raises:
        UserError: A side has too few pictures.
    """
    parts = [datasets[name] for name in pair.names]
    shares = scene_shares(parts[0], pair.names[0]) if pair.kind == "content" else None
    if pair.halves:
        members = halves(pair, len(parts[0]), shares, seed)
    else:
        members = tuple(_chosen(name, datasets[name], images) for name in pair.names)
    names = pair.names * 2 if pair.halves else pair.names
    for name, chosen in zip(names, members, strict=True):
        if len(chosen) < min_images:
            raise UserError(
                f"pair {pair.label}: {len(chosen)} images of {name} on a side, and "
                f"{min_images} are needed",
                "use more images, or lower the limit by --min-images and take the result as rough",
            )
    return _Side(names[0], members[0]), _Side(names[1], members[1])


def _measure(opened: Measurement, name: str, dataset: Any, all_sides: Sequence[_Side]) -> None:
    """Run one domain's pictures through the backbone once, for all sides that need them."""
    import torch

    from ibn_seg.analyses.divergence.features import DepthFeatures

    runner, network = opened.runner, opened.network.eval()
    if not hasattr(network, "backbone"):
        raise UserError(
            f"{type(network).__name__} has no backbone", "give a segmentor with a backbone"
        )
    features = DepthFeatures(network.backbone)
    mine = [side for side in all_sides if side.name == name]
    loader = {**runner.cfg.test_dataloader, "dataset": dataset}
    loader["sampler"] = {"type": "DefaultSampler", "shuffle": False}
    done = 0
    for batch in runner.build_dataloader(loader, seed=runner.seed):
        with torch.inference_mode():
            inputs = network.data_preprocessor(batch, False)["inputs"]
        values = features(inputs)
        for side in mine:
            side.add(done, values)
        done += len(inputs)
        opened.progress(name, done, len(dataset))


def _summary(
    cfg: "Config", compared: Sequence[tuple[Pair, tuple[_Side, _Side]]], seed: int
) -> dict[str, Any]:
    """Return this task's own entries in the result."""
    experiment = dict(cfg.get("experiment") or {})
    return {
        "method": experiment.get("method"),
        "backbone": experiment.get("backbone"),
        "source": experiment.get("source"),
        "variance_floor": VARIANCE_FLOOR,
        "halves_seed": seed,
        "pairs": {pair.label: _pair_summary(pair, *both) for pair, both in compared},
    }


def _pair_summary(pair: Pair, a: _Side, b: _Side) -> dict[str, Any]:
    layers = [
        {"layer": layer, **layer_divergence(a.layers[layer], b.layers[layer]).to_dict()}
        for layer in a.layers
    ]
    images = {"a": len(a.members), "b": len(b.members)}
    return {
        "kind": pair.kind,
        "domains": list(pair.names),
        "images": images,
        "few_images": min(images.values()) < MIN_IMAGES,
        "layers": layers,
    }
