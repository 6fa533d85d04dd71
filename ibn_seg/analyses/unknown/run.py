"""Tests how well a network's confidence finds unknown things."""

import os
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Unpack

from ibn_seg.analyses.unknown.data_sets import dataset_configs
from ibn_seg.errors import UserError
from ibn_seg.run.measurement import RunOptions, measurement
from ibn_seg.run.segmentation import measured
from ibn_seg.type_names import is_named

if TYPE_CHECKING:
    from mmengine.config import Config

_LABEL_LOADERS = ("LoadAnnotations", "LoadUrbanLabels")
# What the metric needs of each sample besides what mmseg needs.
_META = ("target", "unknown_path", "unknown_layout")
_DEFAULT_META = (
    "img_path", "seg_map_path", "ori_shape", "img_shape", "pad_shape", "scale_factor", "flip",
    "flip_direction", "reduce_zero_label",
)  # fmt: skip


def find_unknown(
    config: "str | os.PathLike | Config",
    checkpoint: str | os.PathLike,
    data: Iterable[str],
    **run: Unpack[RunOptions],
) -> dict:
    """Test on pictures with unknown things; write `WORK_DIR/unknown.json`.

    Args:
        config: A path, an `ibn_seg::` name, or a config, which is not changed. Its test pipeline
            prepares the pictures.
        checkpoint: A .pth file; every weight must fit.
        data: LAYOUT=ROOT or NAME:LAYOUT=ROOT, at least one; see
            `ibn_seg.datasets.unknown_things.LAYOUTS` and `data_sets.read_data`.
        run: See `ibn_seg.run.measurement.RunOptions`.

    Returns:
        The content of the result file. `unknown_things` has, by name, what
        `ibn_seg.trust.unknown_summary.unknown_summary` returns.

    Raises:
        UserError: The config, the data or the checkpoint is wrong. Or the network gives no logits,
            or one is NaN.
        EnvError: Something cannot be written.
    """
    from ibn_seg.engine.pixel_confidence import check_gives_logits

    parts = dataset_configs(data)

    def adapt(cfg: "Config") -> None:
        # Registers what the config then names.
        import ibn_seg.engine.unknown_metric  # noqa: F401

        pipeline = _pipeline(cfg.test_dataloader.dataset)
        cfg.test_dataloader.dataset = (
            {**parts[0], "pipeline": pipeline}
            if len(parts) == 1
            else {"type": "MultiDomainDataset", "pipeline": pipeline, "datasets": parts}
        )
        cfg.test_evaluator = {"type": "UnknownThingsMetric"}

    with measurement("unknown", config, checkpoint, adapt, **run) as opened:
        check_gives_logits(opened.network)
        opened.count_batches()
        opened.runner.test()
        (metric,) = opened.runner.test_evaluator.metrics
        return opened.write(lambda: {**measured(opened.runner), "unknown_things": metric.domains})


def _pipeline(dataset: Mapping[str, Any]) -> list[dict]:
    """Return the config's test pipeline without labels, and with what the metric needs."""
    parts = [dataset, *(dataset.get("datasets") or ())]
    steps = next((part["pipeline"] for part in parts if part.get("pipeline")), None)
    if not steps:
        raise UserError("test_dataloader.dataset has no pipeline", "write one")
    kept = [dict(step) for step in steps if not is_named(step.get("type"), *_LABEL_LOADERS)]
    for step in kept:
        if is_named(step.get("type"), "PackSegInputs"):
            step["meta_keys"] = (*dict.fromkeys((*step.get("meta_keys", _DEFAULT_META), *_META)),)
    return kept
