"""Scores predictions in files, from any program."""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ibn_seg.datasets.class_colors import CLASSES_FILE
from ibn_seg.datasets.class_space import ClassSpace
from ibn_seg.datasets.known_classes import space_of
from ibn_seg.datasets.labels import LabelTable
from ibn_seg.datasets.targets import check_maps, check_source, target_configs
from ibn_seg.errors import UserError
from ibn_seg.io import write_json
from ibn_seg.run import setup
from ibn_seg.run.confidence_scores import (
    CountedImage,
    DomainTrust,
    count_confidence,
    found_confidences,
)
from ibn_seg.run.evaluation import DEFAULT_FOLDER, RESULT_FILE
from ibn_seg.trust.confidence_files import PREDICTION, paired_name

if TYPE_CHECKING:
    from ibn_seg.datasets.base import UrbanSceneDataset
    from ibn_seg.datasets.class_map import ClassMap
    from ibn_seg.evaluation.metric import MultiDomainIoU


def evaluate_predictions(
    folder: str | os.PathLike,
    targets: Sequence[str],
    *,
    folder_arguments: Mapping[str, Any] | None = None,
    method: str,
    backbone: str | None = None,
    segmentor: str | None = None,
    source: str | None = None,
    seed: int = 0,
    protocol: str = "native",
    classes: Any = None,
    maps: Mapping[str, Any] | None = None,
    work_dir: str | os.PathLike | None = None,
    workers: int | None = None,
    progress: Callable[[int, int], None] | None = None,
    command: str | None = None,
) -> dict:
    """Score predictions in files from any program.

    `FOLDER/DOMAIN/NAME.png` holds the classes of the image NAME as an 8-bit grey or palette PNG at
    the label's native size. The values are indices of `classes`: 0 for the first, and so on.
    `ibn-seg test --out` writes such files. With one domain, `FOLDER/NAME.png` works too. Where two
    images have one name, use `FOLDER/DOMAIN/D/NAME.png`, with D the image's path below the folder
    of the images. Files of other images are ignored.

    With `NAME_conf.png` beside it, a prediction has a confidence, and may be `NAME_pred.png`; see
    `ibn_seg.trust.confidence_files`. Then the result has `trust`, by domain: calibration, and how
    well confidence finds wrong pixels. Histograms of each image go to `test_confidences.npz`.

    Args:
        folder: The predictions.
        targets: Names of domains or of sets of them, see `ibn_seg.datasets.targets`; NAME=ROOT.
        folder_arguments: Arguments of `FolderDataset` for targets named `folder` or `folder-NAME`.
        method: The network's name in tables.
        backbone: Its backbone, for tables.
        segmentor: Its segmentor, for tables.
        source: Its training domain, or several joined by '+'.
        seed: Its training seed, for tables.
        protocol: Name of the evaluation protocol that made the predictions. Its classes apply. A
            protocol that scores a domain at another size than the label's is an error.
        classes: The classes of the predictions: a name or a file, see
            `ibn_seg.datasets.known_classes`. Default: `FOLDER/classes.yaml` if it exists, else
            Cityscapes' 19.
        maps: As in `evaluate`.
        work_dir: The folder for the result; default `work_dirs/METHOD/evaluate`.
        workers: Number of processes; default the number of cores.
        progress: Called with (files done, files in all).
        command: The command line, for the record.

    Returns:
        The content of the result file, `WORK_DIR/test.json`. The confusion matrices of all images
        lie beside it, as with `ibn-seg test`.

    Raises:
        UserError: A target, its data or a prediction is missing or wrong.
        EnvError: The result cannot be written.
    """
    from ibn_seg.evaluation.stored import CONFUSION_FILES, StoredConfusions, write_confusions
    from ibn_seg.provenance import record
    from ibn_seg.run.result_file import SCHEMA
    from ibn_seg.worker_pool import default_workers, run_batches

    configs = target_configs(targets, folder_arguments)
    names = [config["target"] for config in configs]
    check_source(source, names, "--source")
    check_maps(maps, names)
    _check_sizes(names, protocol)
    work_dir = Path(work_dir or Path("work_dirs", Path(method).name, DEFAULT_FOLDER))
    setup.check_writable(work_dir)
    datasets = _datasets(configs)
    metric = _metric(datasets, source, protocol, _predicted_space(Path(folder), classes), maps)
    pairs = _pairs(Path(folder), datasets, metric)
    counted: list[tuple[str, str, np.ndarray]] = []
    trust = DomainTrust()
    for batch in run_batches(_count, pairs, workers=workers or default_workers()):
        counted += [(one.domain, one.image, one.confusion) for one in batch]
        trust.add(batch)
        if progress:
            progress(len(counted), len(pairs))
    metric.roots = [config["data_root"] for config in configs]
    metrics = metric.score(counted)
    stored = StoredConfusions(metric.network_classes, metric.image_confusions)
    write_confusions(work_dir / CONFUSION_FILES["test"], stored)
    measured = trust.finish(stored, work_dir)
    result = {
        "schema": SCHEMA,
        "kind": "test",
        "name": work_dir.name,
        "seed": seed,
        "method": method,
        "backbone": backbone,
        "segmentor": segmentor,
        "source": source,
        "protocol": protocol,
        "predictions": str(folder),
        "command": command,
        **record(),
        "domains": metric.domain_results,
        "targets_mIoU": metrics.get("targets/mIoU"),
        "gap": metrics.get("gap"),
        "metrics": metrics,
        "confusions": CONFUSION_FILES["test"],
        **measured,
    }
    write_json(work_dir / RESULT_FILE, result)
    return result


@dataclass(frozen=True)
class _Pair:
    """A prediction and its label."""

    domain: str
    image: str
    prediction: Path
    confidence: Path | None
    label: str
    table: LabelTable
    segments: Mapping[int, int] | None
    classes: int
    mapping: "ClassMap | None"


def _check_sizes(domains: Sequence[str], name: str) -> None:
    """Raise if a protocol scores a domain at another size than its labels have."""
    from ibn_seg.evaluation.protocols import NATIVE, get_protocol

    protocol = get_protocol(name)
    for domain in domains:
        view = protocol.view(domain)
        if view.label != NATIVE or view.square is not None:
            raise UserError(
                f"protocol {name!r} scores {domain} at another size than its labels have",
                "predictions in files can only be scored at the labels' size",
            )


def _datasets(configs: Sequence[Mapping[str, Any]]) -> "list[UrbanSceneDataset]":
    """Build the data sets of configs."""
    setup.register()
    from mmseg.registry import DATASETS

    # Another library may have set its own scope.
    return [DATASETS.build({"_scope_": "mmseg", **config}) for config in configs]


def _predicted_space(folder: Path, classes: Any) -> ClassSpace:
    """Return the classes of predictions: those given, else those of the file beside them.

    Raises:
        UserError: They are no space, or a class has another value than its place.
    """
    beside = folder / CLASSES_FILE
    where = "--classes"
    if classes is None:
        classes, where = (beside, str(beside)) if beside.is_file() else ("cityscapes", where)
    space = space_of(classes, where)
    for at, (name, values) in enumerate(zip(space.classes, space.values, strict=True)):
        # The values of labels: whether predictions have them too, nobody can tell.
        if values != (at,):
            raise UserError(
                f"{where}: class {at} ({name}) has the label values {list(values)}",
                f"the predictions hold {at} for it; name their classes in a file without values",
            )
    return space


def _metric(
    datasets: "Sequence[UrbanSceneDataset]",
    source: str | None,
    protocol: str,
    space: ClassSpace,
    maps: Mapping[str, Any] | None,
) -> "MultiDomainIoU":
    """Return the metric for predictions of classes on data sets."""
    from ibn_seg.evaluation.metric import MultiDomainIoU

    metric = MultiDomainIoU(source, protocol=protocol, classes=space.classes, maps=maps)
    metric.dataset_meta = {
        **datasets[0].metainfo,
        "domain_classes": {one.target: one.metainfo["classes"] for one in datasets},
    }
    return metric


def _pairs(
    folder: Path, datasets: "Sequence[UrbanSceneDataset]", metric: "MultiDomainIoU"
) -> list[_Pair]:
    """Return every label of the domains with its prediction."""
    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder of predictions")
    pairs: list[_Pair] = []
    for dataset in datasets:
        place = folder / dataset.target
        if len(datasets) == 1 and not place.is_dir():
            place = folder
        mapping = metric.map_of(dataset.target)
        sizes = len(metric.network_classes)
        found = _found_predictions(dataset, place)
        confidences = found_confidences(dataset, place)
        infos = [dataset.get_data_info(index) for index in range(len(dataset))]
        for info in infos:
            file = info["img_path"]
            pairs.append(_pair(info, found[file], confidences.get(file), mapping, sizes))
    return pairs


def _found_predictions(dataset: "UrbanSceneDataset", folder: Path) -> dict[str, Path]:
    """Return the prediction of each image of a data set, by the image's file."""
    from ibn_seg.engine.predictions import images_of, prediction_names

    images = images_of(dataset)
    names = prediction_names(images)
    found = {
        file: [
            folder / name
            for name in (*spellings, *(paired_name(one, PREDICTION) for one in spellings))
            if (folder / name).is_file()
        ]
        for file, spellings in names.items()
    }
    missing = [file for file, paths in found.items() if not paths]
    if missing:
        _refuse_shared(missing[0], names, folder)
        more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
        raise UserError(
            f"{folder / names[missing[0]][0]}{more}: no such prediction ({len(images)} images of "
            f"{dataset.target})",
            "every image needs one, named as the image, in FOLDER/DOMAIN",
        )
    for file, (path, *others) in found.items():
        if others and path.read_bytes() != others[0].read_bytes():
            raise UserError(
                f"{path} and {others[0]}: two predictions of {images[file]}", "keep one of them"
            )
    return {file: paths[0] for file, paths in found.items()}


def _refuse_shared(file: str, names: Mapping[str, Sequence[str]], folder: Path) -> None:
    """Raise an error if a prediction could belong to several images."""
    shared = folder / f"{Path(file).stem}.png"
    alike = [other for other in names if Path(other).stem == shared.stem]
    if len(alike) > 1 and shared.is_file():
        more = f" and {len(alike) - 2} more" if len(alike) > 2 else ""
        raise UserError(
            f"{shared}: could be of {alike[0]} or {alike[1]}{more}, which have the same name",
            f"name the predictions {names[alike[0]][0]} and {names[alike[1]][0]}, in FOLDER/DOMAIN",
        )


def _pair(
    info: Mapping[str, Any],
    prediction: Path,
    confidence: Path | None,
    mapping: "ClassMap | None",
    classes: int,
) -> _Pair:
    return _Pair(
        info["target"], info["img_path"], prediction, confidence, info["seg_map_path"],
        info["label_table"], info.get("segments"), classes, mapping,
    )  # fmt: skip


def _count(pairs: Sequence[_Pair]) -> list[CountedImage]:
    """Return the counts of some predictions."""
    from ibn_seg.datasets.formats import map_ids, read_values
    from ibn_seg.evaluation.confusion import confusion_matrix, group_matrix

    counted = []
    for pair in pairs:
        ids = read_values(pair.label, pair.table, pair.segments)
        label = map_ids(ids, pair.table, pair.label)
        predicted = read_values(pair.prediction)
        if predicted.shape != label.shape:
            sizes = ("x".join(map(str, shape[::-1])) for shape in (predicted.shape, label.shape))
            raise UserError(
                f"{pair.prediction}: {' pixels for a label of '.join(sizes)} ({pair.label})",
                "predict at the label's size",
            )
        try:
            confusion = (
                confusion_matrix(predicted, label, pair.classes)
                if pair.mapping is None
                else group_matrix(predicted, label, len(pair.mapping.groups), pair.classes)
            )
        except UserError as error:
            raise UserError(
                f"{pair.prediction}: {error.problem}",
                f"predictions are class indices, 0..{pair.classes - 1}; see --classes",
            ) from error
        made = CountedImage(pair.domain, pair.image, confusion)
        if pair.confidence is not None:
            made = count_confidence(
                made, pair.confidence, predicted, label, pair.classes, pair.mapping
            )
        counted.append(made)
    return counted
