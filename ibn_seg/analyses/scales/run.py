"""Tests a trained network at several scales of its input."""

import os
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Unpack

from ibn_seg.analyses.scales.numbers import ENSEMBLE
from ibn_seg.run.measurement import RunOptions, check_tested, measurement
from ibn_seg.run.runners import network_of
from ibn_seg.run.segmentation import measured

if TYPE_CHECKING:
    from mmengine.config import Config

    from ibn_seg.engine import StrictRunner
    from ibn_seg.engine.confidence_hook import ConfidenceHook

SCALES = (0.5, 0.75, 1.0, 1.25)


def scale_sweep(
    config: "str | os.PathLike | Config",
    checkpoint: str | os.PathLike,
    *,
    scales: Iterable[float] = (),
    domains: Iterable[str] = (),
    **run: Unpack[RunOptions],
) -> dict:
    """Test a checkpoint at scales and with their ensemble; write `WORK_DIR/scales.json`.

    See `ibn_seg.engine.input_scales.at_scales` for what is resized and how.

    Args:
        config: A path, an `ibn_seg::` name, or a config, which is not changed.
        checkpoint: A .pth file; every weight must fit.
        scales: Factors of both sides of the prepared input. Default: `SCALES`.
        domains: Names of domains of the config's test data; default all.
        run: See `ibn_seg.run.measurement.RunOptions`.

    Returns:
        The content of the result file. `scales` has for each scale, and last for the ensemble of
        several: `name`, `scales`, `milliseconds` of the network for one picture, and by domain
        `mIoU`, `ECE` and `AUROC` in percent, None where undefined.

    Raises:
        UserError: The config, the data, the checkpoint or a name is wrong. Or the config tests in
            sliding windows, or the network gives no logits.
        EnvError: Something cannot be written.
    """
    from ibn_seg.engine.confidence_hook import ConfidenceHook

    chosen = tuple(scales) or SCALES
    conditions = [(one,) for one in chosen] + ([chosen] if len(chosen) > 1 else [])

    def adapt(cfg: "Config") -> None:
        check_tested("scales", cfg, domains)

    with measurement("scales", config, checkpoint, adapt, **run) as opened:
        runner, metric = opened.runner, opened.metric
        hook = ConfidenceHook(metric.map_of, metric.ignore_index, metric.domain)
        runner.register_hook(hook)
        opened.count_batches(len(conditions))
        found = [_measured_at(runner, hook, one) for one in conditions]
        # The scores of the record are those of the ensemble, the last test.
        return opened.write(lambda: {**measured(runner), "scales": found})


def _measured_at(
    runner: "StrictRunner", hook: "ConfidenceHook", scales: tuple[float, ...]
) -> dict[str, Any]:
    """Return the scores at one scale, or of the mean over several."""
    from ibn_seg.engine.input_scales import at_scales
    from ibn_seg.trust.confidence_bins import LOG_ODDS
    from ibn_seg.trust.image_confidences import stack_images
    from ibn_seg.trust.trust_measures import trust_measures

    with at_scales(network_of(runner.model), scales) as spent:
        runner.test()
    domains = {}
    for name, scored in measured(runner)["domains"].items():
        histograms = hook.histograms[name]
        images = [str(at) for at in range(len(histograms))]
        pooled = trust_measures(stack_images(images, LOG_ODDS, histograms))["pooled"]
        shares = {"ECE": pooled["ece"], "AUROC": pooled["auroc"]}
        domains[name] = {
            "mIoU": scored["mIoU"],
            **{key: None if share is None else 100 * share for key, share in shares.items()},
        }
    return {
        "name": ENSEMBLE if len(scales) > 1 else f"{scales[0]:g}",
        "scales": list(scales),
        "milliseconds": 1000 * spent.seconds / max(spent.inputs, 1),
        "domains": domains,
    }
