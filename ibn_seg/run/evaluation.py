"""Scores other people's networks and predictions on the domains of our comparison."""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ibn_seg.datasets.labels import CLASSES, NUM_CLASSES, LabelTable
from ibn_seg.datasets.targets import check_source, target_configs
from ibn_seg.errors import UserError
from ibn_seg.io import write_json
from ibn_seg.run import setup
from ibn_seg.run.config_loading import load_named
from ibn_seg.run.preprocessing import check_one_normalisation
from ibn_seg.type_names import short_name

if TYPE_CHECKING:
    from mmengine.config import Config

    from ibn_seg.datasets.base import UrbanSceneDataset

DEFAULT_FOLDER = "evaluate"
RESULT_FILE = "test.json"
_MOST_WORKERS = 4
_META_KEYS = (
    "img_path", "seg_map_path", "ori_shape", "img_shape", "pad_shape", "scale_factor", "flip",
    "flip_direction", "reduce_zero_label", "target",
)  # fmt: skip
_PIPELINE = [
    {"type": "LoadImageFromFile"},
    {"type": "LoadUrbanLabels"},
    {"type": "PackSegInputs", "meta_keys": _META_KEYS},
]


def evaluate(
    config: "str | os.PathLike | Config",
    checkpoint: str | os.PathLike,
    targets: Sequence[str],
    *,
    source: str | None = None,
    method: str | None = None,
    backbone: str | None = None,
    segmentor: str | None = None,
    protocol: str = "native",
    work_dir: str | os.PathLike | None = None,
    out: str | os.PathLike | None = None,
    fuse: bool = False,
    amp: bool = False,
    cfg_options: Mapping[str, Any] | None = None,
    launcher: str = "none",
    quiet: bool = False,
    command: str | None = None,
) -> dict:
    """Evaluate any segmentor of mmseg with the 19 classes on our domains.

    From the config come the model, its preprocessing, `test_cfg` and any `experiment`. The
    protocol, not the config's own test pipeline, decides how images are prepared.

    Args:
        config: A path, `PACKAGE::folder/name`, or a config, which is not changed.
        checkpoint: A .pth file; every weight must fit.
        targets: Names of domains or of sets of domains, see `ibn_seg.datasets.targets`; NAME=ROOT.
        source: The training domain, or several joined by '+'. Default: the config's, else none.
        method: The network's name in tables. Default: the config's, else its file's name.
        backbone: Its backbone, for tables. Default: the config's, else class and depth.
        segmentor: Its segmentor, for tables. Default: the config's, else the head's class.
        protocol: Name of an evaluation protocol (`ibn_seg.evaluation.protocols`).
        work_dir: The folder for log and result; default `work_dirs/CONFIG_NAME/evaluate`.
        out: A folder for the predictions as trainId PNGs, `OUT/DOMAIN/NAME.png`, or
            `OUT/DOMAIN/D/NAME.png` for images in folders D whose name the domain has twice.
        fuse: Fold the network's norms into its convolutions first (`ibn_seg.fuse`).
        amp: Test in mixed precision; needs a GPU.
        cfg_options: Values that override the config's, by dotted key.
        launcher: 'none', or the launcher of the processes: 'pytorch' (torchrun), 'slurm', 'mpi'.
        quiet: Show progress bars in place of mmengine's log lines.
        command: The command line, for the record.

    Returns:
        The content of the result file, `WORK_DIR/test.json`.

    Raises:
        UserError: The config, a target, its data or the checkpoint is wrong.
        EnvError: Something cannot be written, or there is no GPU for `amp`.
    """
    from ibn_seg.run.segmentation import test

    datasets = target_configs(targets)
    check_source(source, [dataset["target"] for dataset in datasets], "--source")
    setup.register()
    cfg = load_named(config, cfg_options)
    _check_classes(cfg)
    check_one_normalisation(cfg, "evaluate")
    stem = Path(cfg.filename).stem if cfg.filename else "run"
    experiment = dict(cfg.get("experiment") or {})
    cfg.experiment = {
        **experiment,
        "method": method or experiment.get("method") or stem,
        "backbone": backbone or experiment.get("backbone") or _backbone(cfg.model),
        "segmentor": segmentor or experiment.get("segmentor") or _segmentor(cfg.model),
        "source": source or experiment.get("source"),
    }
    workers = min(_MOST_WORKERS, os.cpu_count() or 1) if _has_gpu() else 0
    cfg.test_dataloader = {
        "batch_size": 1,
        "num_workers": workers,
        "persistent_workers": workers > 0,
        "sampler": {"type": "DefaultSampler", "shuffle": False},
        "dataset": {"type": "MultiDomainDataset", "pipeline": _PIPELINE, "datasets": datasets},
    }
    cfg.test_evaluator = {"type": "MultiDomainIoU", "source": cfg.experiment["source"]}
    cfg.test_cfg = {"type": "TestLoop"}
    return test(
        cfg,
        checkpoint,
        work_dir=work_dir or Path("work_dirs", stem, DEFAULT_FOLDER),
        out=out,
        fuse=fuse,
        amp=amp,
        protocol=protocol,
        launcher=launcher,
        quiet=quiet,
        command=command,
    )


def evaluate_predictions(
    folder: str | os.PathLike,
    targets: Sequence[str],
    *,
    method: str,
    backbone: str | None = None,
    segmentor: str | None = None,
    source: str | None = None,
    seed: int = 0,
    protocol: str = "native",
    work_dir: str | os.PathLike | None = None,
    workers: int | None = None,
    progress: Callable[[int, int], None] | None = None,
    command: str | None = None,
) -> dict:
    """Score predictions in files from any program.

    `FOLDER/DOMAIN/NAME.png` holds the trainIds of the image NAME as an 8-bit grey or palette PNG at
    the label's native size. `ibn-seg test --out` writes such files. With one domain,
    `FOLDER/NAME.png` works too. Where two images have one name, use `FOLDER/DOMAIN/D/NAME.png`,
    with D the image's path below the folder of the images. Files of other images are ignored.

    Args:
        folder: The predictions.
        targets: Names of domains or of sets of them, see `ibn_seg.datasets.targets`; NAME=ROOT.
        method: The network's name in tables.
        backbone: Its backbone, for tables.
        segmentor: Its segmentor, for tables.
        source: Its training domain, or several joined by '+'.
        seed: Its training seed, for tables.
        protocol: Name of the evaluation protocol that made the predictions. Its classes apply. A
            protocol that scores a domain at another size than the label's is an error.
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

    configs = target_configs(targets)
    check_source(source, [config["target"] for config in configs], "--source")
    _check_sizes([config["target"] for config in configs], protocol)
    work_dir = Path(work_dir or Path("work_dirs", Path(method).name, DEFAULT_FOLDER))
    setup.check_writable(work_dir)
    pairs = _pairs(Path(folder), configs)
    counted: list[tuple[str, str, np.ndarray]] = []
    for batch in run_batches(_count, pairs, workers=workers or default_workers()):
        counted += batch
        if progress:
            progress(len(counted), len(pairs))
    roots = [config["data_root"] for config in configs]
    metrics, domains, images = _scores(counted, source, protocol, roots)
    write_confusions(work_dir / CONFUSION_FILES["test"], StoredConfusions(CLASSES, images))
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
        "domains": domains,
        "targets_mIoU": metrics.get("targets/mIoU"),
        "gap": metrics.get("gap"),
        "metrics": metrics,
        "confusions": CONFUSION_FILES["test"],
    }
    write_json(work_dir / RESULT_FILE, result)
    return result


@dataclass(frozen=True)
class _Pair:
    """A prediction and its label."""

    domain: str
    image: str
    prediction: Path
    label: str
    table: LabelTable
    segments: Mapping[int, int] | None


def _has_gpu() -> bool:
    import torch

    return torch.cuda.is_available()


def _check_classes(cfg: "Config") -> None:
    """Raise unless the model of a config has the 19 classes."""
    if not cfg.get("model"):
        raise UserError(f"{cfg.filename or 'config'}: model is missing")
    count = _head(cfg.model).get("num_classes", NUM_CLASSES)
    if count != NUM_CLASSES:
        raise UserError(
            f"{cfg.filename or 'config'}: model.decode_head.num_classes is {count}",
            f"only models of Cityscapes' {NUM_CLASSES} classes can be scored here",
        )


def _head(model: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the config of the decode head that counts: the last one of a cascade."""
    head = model.get("decode_head") or {}
    return head[-1] if isinstance(head, (list, tuple)) else head


def _backbone(model: Mapping[str, Any]) -> str | None:
    """Return a backbone's name in tables: class and depth."""
    backbone = model.get("backbone") or {}
    parts = (short_name(backbone.get("type")), str(backbone.get("depth") or ""))
    return "-".join(part for part in parts if part) or None


def _segmentor(model: Mapping[str, Any]) -> str | None:
    """Return a segmentor's name in tables: the class of its decode head."""
    return short_name(_head(model).get("type")) or None


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


def _pairs(folder: Path, configs: Sequence[Mapping[str, Any]]) -> list[_Pair]:
    """Return every label of the domains with its prediction."""
    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder of predictions")
    setup.register()
    from mmseg.registry import DATASETS

    pairs: list[_Pair] = []
    for config in configs:
        dataset = DATASETS.build(dict(config))
        place = folder / config["target"]
        if len(configs) == 1 and not place.is_dir():
            place = folder
        found = _found_predictions(dataset, place)
        infos = (dataset.get_data_info(index) for index in range(len(dataset)))
        pairs += [_pair(info, found[info["img_path"]], dataset.table) for info in infos]
    return pairs


def _found_predictions(dataset: "UrbanSceneDataset", folder: Path) -> dict[str, Path]:
    """Return the prediction of each image of a data set, by the image's file."""
    from ibn_seg.engine.predictions import images_of, prediction_names

    images = images_of(dataset)
    names = prediction_names(images)
    found = {
        file: [folder / name for name in spellings if (folder / name).is_file()]
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


def _pair(info: Mapping[str, Any], prediction: Path, table: LabelTable) -> _Pair:
    label, segments = info["seg_map_path"], info.get("segments")
    return _Pair(info["target"], info["img_path"], prediction, label, table, segments)


def _count(pairs: Sequence[_Pair]) -> list[tuple[str, str, np.ndarray]]:
    """Return domain, image and confusion matrix of some predictions."""
    from ibn_seg.datasets.formats import map_ids, read_values
    from ibn_seg.evaluation.confusion import confusion_matrix

    counted = []
    for pair in pairs:
        ids = read_values(pair.label, pair.table.encoding, pair.segments)
        label = map_ids(ids, pair.table, pair.label)
        predicted = read_values(pair.prediction)
        if predicted.shape != label.shape:
            sizes = ("x".join(map(str, shape[::-1])) for shape in (predicted.shape, label.shape))
            raise UserError(
                f"{pair.prediction}: {' pixels for a label of '.join(sizes)} ({pair.label})",
                "predict at the label's size",
            )
        try:
            confusion = confusion_matrix(predicted, label, NUM_CLASSES)
        except UserError as error:
            raise UserError(
                f"{pair.prediction}: {str(error).partition(';')[0]}",
                f"predictions are trainIds, 0..{NUM_CLASSES - 1}",
            ) from error
        counted.append((pair.domain, pair.image, confusion))
    return counted


def _scores(
    counted: Sequence[tuple[str, str, np.ndarray]],
    source: str | None,
    protocol: str,
    roots: Sequence[str],
) -> tuple[dict[str, float], dict[str, Any], dict[str, Any]]:
    """Return the metric's values, and for each domain its results and the images' matrices."""
    from ibn_seg.evaluation.metric import MultiDomainIoU

    metric = MultiDomainIoU(source=source, protocol=protocol)
    metric.dataset_meta = {"classes": CLASSES}
    metric.roots = roots
    metrics = metric.compute_metrics(list(counted))
    return metrics, metric.domain_results, metric.image_confusions
