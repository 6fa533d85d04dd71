"""Scores other people's networks on the domains of our comparison."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ibn_seg.datasets.known_classes import space_of
from ibn_seg.datasets.targets import check_maps, check_source, target_configs
from ibn_seg.errors import UserError
from ibn_seg.run import setup
from ibn_seg.run.config_loading import load_named
from ibn_seg.run.gpu_settings import Precision
from ibn_seg.run.preprocessing import check_one_normalisation
from ibn_seg.type_names import short_name

if TYPE_CHECKING:
    from mmengine.config import Config

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
    folder_arguments: Mapping[str, Any] | None = None,
    source: str | None = None,
    method: str | None = None,
    backbone: str | None = None,
    segmentor: str | None = None,
    protocol: str = "native",
    classes: Any = None,
    maps: Mapping[str, Any] | None = None,
    merge: str = "hard",
    work_dir: str | os.PathLike | None = None,
    out: str | os.PathLike | None = None,
    fuse: bool = False,
    amp: Precision = False,
    cfg_options: Mapping[str, Any] | None = None,
    launcher: str = "none",
    quiet: bool = False,
    command: str | None = None,
) -> dict:
    """Evaluate any segmentor of mmseg on our domains.

    From the config come the model, its preprocessing, `test_cfg` and any `experiment`. The
    protocol, not the config's own test pipeline, decides how images are prepared.

    Args:
        config: A path, `PACKAGE::folder/name`, or a config, which is not changed.
        checkpoint: A .pth file; every weight must fit.
        targets: Names of domains or of sets of domains, see `ibn_seg.datasets.targets`; NAME=ROOT.
        folder_arguments: Arguments of `FolderDataset` for targets named `folder` or `folder-NAME`.
        source: The training domain, or several joined by '+'. Default: the config's, else none.
        method: The network's name in tables. Default: the config's, else its file's name.
        backbone: Its backbone, for tables. Default: the config's, else class and depth.
        segmentor: Its segmentor, for tables. Default: the config's, else the head's class.
        protocol: Name of an evaluation protocol (`ibn_seg.evaluation.protocols`).
        classes: The network's classes: a name or a file, see `ibn_seg.datasets.known_classes`.
            Default: those that the checkpoint names, else Cityscapes' for 19 or 20 outputs.
        maps: The map from these to the classes of a domain: a file or its content, by domain; '*'
            is for all others. Default: the maps that are known by name.
        merge: 'hard' or 'soft', see `ibn_seg.evaluation.metric.MultiDomainIoU`.
        work_dir: The folder for log and result; default `work_dirs/CONFIG_NAME/evaluate`.
        out: A folder for the predictions as trainId PNGs, `OUT/DOMAIN/NAME.png`, or
            `OUT/DOMAIN/D/NAME.png` for images in folders D whose name the domain has twice.
            `OUT/classes.yaml` says what their values mean. They are the most probable classes,
            also with `merge='soft'`.
        fuse: Fold the network's norms into its convolutions first (`ibn_seg.fuse`).
        amp: Test in mixed precision, 'bf16' or 'fp16', which is True too; needs a GPU.
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

    datasets = target_configs(targets, folder_arguments)
    names = [dataset["target"] for dataset in datasets]
    check_source(source, names, "--source")
    check_maps(maps, names)
    setup.register()
    cfg = load_named(config, cfg_options)
    if not cfg.get("model"):
        raise UserError(f"{cfg.filename or 'config'}: model is missing")
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
    cfg.test_evaluator = {
        "type": "MultiDomainIoU",
        "source": cfg.experiment["source"],
        "classes": None if classes is None else list(space_of(classes, "--classes").classes),
        "maps": dict(maps or {}),
        "merge": merge,
    }
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


def _has_gpu() -> bool:
    import torch

    return torch.cuda.is_available()


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
