"""Makes panels for reports: scenes with the predictions of several trained networks.

Pictures go through the config's own test data set, as in an evaluation. A panel therefore shows
what was scored, at the same size.
"""

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ibn_seg.config import scope_of
from ibn_seg.datasets.class_colors import ClassColors, class_colors
from ibn_seg.errors import UserError
from ibn_seg.run import setup

if TYPE_CHECKING:
    from mmengine.config import Config

    from ibn_seg.datasets.class_map import ClassMap
    from ibn_seg.report import Panel


@dataclass(frozen=True)
class Sample:
    """One image of a config's test data.

    Attributes:
        domain: Its domain.
        name: Its name in the stored confusion matrices.
        dataset: Its data set.
        index: Its position in the data set.
    """

    domain: str
    name: str
    dataset: Any
    index: int

    @property
    def path(self) -> str:
        """The file of the image."""
        return self.dataset.get_data_info(self.index)["img_path"]


@dataclass(frozen=True)
class _Scene:
    """An image at its scored size, its label, and the classes of the label."""

    image: np.ndarray
    label: np.ndarray
    classes: ClassColors


def samples_of(cfg: "Config") -> dict[str, dict[str, Sample]]:
    """Return the images of a config's test data by domain and name, in the data sets' order.

    Args:
        cfg: A config with `test_dataloader`; the components that it names are registered.

    Raises:
        UserError: The data are missing or wrong.
    """
    from mmengine.registry import init_default_scope
    from mmseg.registry import DATASETS

    from ibn_seg.evaluation.stored import image_names
    from ibn_seg.explain.explain import explained
    from ibn_seg.run.domains import domain_configs

    init_default_scope(scope_of(cfg))
    found: dict[str, dict[str, Sample]] = {}
    with explained(cfg):
        datasets = {name: DATASETS.build(part) for name, part in domain_configs(cfg).items()}
    roots = [one.data_root for one in datasets.values() if getattr(one, "data_root", None)]
    for domain, dataset in datasets.items():
        paths = [dataset.get_data_info(k)["img_path"] for k in range(len(dataset))]
        found[domain] = {
            name: Sample(domain, name, dataset, k)
            for k, name in enumerate(image_names(paths, roots))
        }
    return found


def evenly_spaced(samples: Iterable[Sample], count: int) -> list[Sample]:
    """Return `count` samples at even distances, or all if there are fewer."""
    listed = list(samples)
    if len(listed) <= count:
        return listed
    positions = np.linspace(0, len(listed) - 1, count + 2)[1:-1].round().astype(int)
    return [listed[at] for at in positions]


def make_panels(
    networks: "Mapping[str, tuple[Config, str | os.PathLike]]",
    images: Sequence[tuple[str, str]],
    captions: Sequence[str],
    progress: Callable[[int, int], None] | None = None,
    maps: "Mapping[tuple[str, str], ClassMap] | None" = None,
) -> "list[Panel]":
    """Return a panel for each image, with the prediction of each network.

    A panel shows the classes of its labels, merged as they were scored.

    Args:
        networks: Config and checkpoint by method; the components that the configs name are
            registered.
        images: Domain and name of each image, as in `samples_of`.
        captions: The page's caption of each image.
        progress: Called with (networks done, networks in all).
        maps: By method and domain the map from the network's classes to those of the labels, where
            they differ. Default: they differ nowhere.

    Raises:
        UserError: A config, its data or a checkpoint is wrong, or has no such image.
    """
    from ibn_seg.report import Panel

    scenes: list[_Scene] = []
    predictions: dict[str, list[np.ndarray]] = {}
    for method, (config, checkpoint) in networks.items():
        mine = {domain: one for (name, domain), one in (maps or {}).items() if name == method}
        scenes, predictions[method] = _predict(config, checkpoint, images, mine)
        if progress:
            progress(len(predictions), len(networks))
    return [
        Panel(
            image=scene.image,
            label=scene.label,
            predictions={method: found[k] for method, found in predictions.items()},
            caption=captions[k],
            domain=images[k][0],
            classes=scene.classes,
        )
        for k, scene in enumerate(scenes)
    ]


def _in_groups(result: Any, mapping: "ClassMap | None", softly: bool) -> np.ndarray:
    """Return a prediction in the groups of the labels; 255 for a class without one.

    Args:
        result: mmseg's `SegDataSample`.
        mapping: The map to the groups, or None if they are the network's classes.
        softly: Whether the probabilities of a group's classes are summed.
    """
    from ibn_seg.evaluation.soft_merge import logits_of, soft_merge

    if mapping is None:
        return _map_of(result.pred_sem_seg)
    if softly:
        return mapping.lookup[soft_merge(logits_of(result.to_dict()), mapping).cpu().numpy()]
    return mapping.lookup[_map_of(result.pred_sem_seg)]


def _merges_softly(cfg: "Config") -> bool:
    """Tell whether the scores of a network are by the sums of probabilities."""
    given = cfg.get("val_evaluator") or cfg.get("test_evaluator") or {}
    metrics = [given] if isinstance(given, Mapping) else given
    return any(metric.get("merge") == "soft" for metric in metrics)


def _predict(
    config: "Config",
    checkpoint: str | os.PathLike,
    images: Sequence[tuple[str, str]],
    maps: "Mapping[str, ClassMap]",
) -> tuple[list[_Scene], list[np.ndarray]]:
    """Return each scene, and one network's prediction in the classes of the scene's labels."""
    import torch
    from mmengine.device import get_device

    model, cfg, _ = setup.trained_network(config, checkpoint)
    model = model.to(get_device())
    samples = samples_of(cfg)
    scenes, found = [], []
    for domain, name in images:
        sample = samples.get(domain, {}).get(name)
        if sample is None:
            raise UserError(
                f"{cfg.filename or 'config'}: its test data have no image {name!r} of {domain}",
                "put the data back into their old place",
            )
        data = sample.dataset[sample.index]
        with torch.inference_mode():
            result = model.test_step({key: [value] for key, value in data.items()})[0]
        label = _map_of(result.gt_sem_seg)
        meta = sample.dataset.metainfo
        classes = class_colors(meta["classes"], meta.get("palette"))
        scenes.append(_Scene(_picture(sample, data, label.shape), label, classes))
        found.append(_in_groups(result, maps.get(domain), _merges_softly(cfg)))
    return scenes, found


def _map_of(pixels: Any) -> np.ndarray:
    """Return class indices, (H, W) uint8, from mmseg's (1, H, W)."""
    return pixels.data.squeeze(0).cpu().numpy().astype(np.uint8)


def _picture(sample: Sample, data: Mapping[str, Any], size: tuple[int, int]) -> np.ndarray:
    """Return the image as (H, W, 3) uint8 RGB, at the scored size."""
    import cv2

    from ibn_seg.datasets.formats import read_image

    picture = read_image(sample.path)[..., ::-1]
    if picture.shape[:2] == size:
        return np.ascontiguousarray(picture)
    # If the protocol crops or resizes, the picture is the network's input, (3, H, W) BGR.
    seen = data["inputs"].cpu().numpy().transpose(1, 2, 0)[..., ::-1].astype(np.uint8)
    return cv2.resize(np.ascontiguousarray(seen), size[::-1], interpolation=cv2.INTER_LINEAR)
