"""Tests a trained network at several scales of its input."""

import os
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from ibn_seg.errors import UserError
from ibn_seg.run.domains import keep_domains
from ibn_seg.run.protocol import is_metric_of_ours
from ibn_seg.run.result_file import finish
from ibn_seg.run.segmentation import measured, network_of, trained_runner

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
    work_dir: str | os.PathLike | None = None,
    cfg_options: Mapping[str, Any] | None = None,
    quiet: bool = False,
    command: str | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> dict:
    """Test a checkpoint at scales and with their ensemble; write `WORK_DIR/scales.json`.

    See `ibn_seg.engine.input_scales.at_scales` for what is resized and how.

    Args:
        config: A path, an `ibn_seg::` name, or a config, which is not changed.
        checkpoint: A .pth file; every weight must fit.
        scales: Factors of both sides of the prepared input. Default: `SCALES`.
        domains: Names of domains of the config's test data; default all.
        work_dir: The folder for log and result. Default: `scales` in the config's `work_dir`, else
            in `work_dirs/CONFIG_NAME`.
        cfg_options: Values that override the config's, by dotted key.
        quiet: Keep mmengine's log lines off the console.
        command: The command line, for the record.
        progress: Called with (batches done, batches in all).

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
    from ibn_seg.engine.progress_hook import BatchCallbackHook

    chosen = tuple(scales) or SCALES
    conditions = [(one,) for one in chosen] + ([chosen] if len(chosen) > 1 else [])

    def adapt(cfg: "Config") -> None:
        if not is_metric_of_ours(cfg.test_evaluator):
            raise UserError("scales: test_evaluator is not MultiDomainIoU", "use that metric")
        keep_domains(cfg, domains)

    with trained_runner(
        config,
        checkpoint,
        default_folder="scales",
        adapt=adapt,
        work_dir=work_dir,
        cfg_options=cfg_options,
        quiet=quiet,
    ) as runner:
        (metric,) = (one for one in runner.test_evaluator.metrics if hasattr(one, "map_of"))
        hook = ConfidenceHook(metric.map_of, metric.ignore_index, metric.domain)
        runner.register_hook(hook)
        if progress is not None:
            total = len(runner.test_dataloader) * len(conditions)
            runner.register_hook(BatchCallbackHook(lambda done: progress(done, total)))
        found = [_measured_at(runner, hook, one) for one in conditions]
        return finish(
            runner,
            "scales",
            # The scores of the record are those of the ensemble, the last test.
            lambda: {**measured(runner), "scales": found},
            command=command,
            checkpoint=str(checkpoint),
        )


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
        "name": "ensemble" if len(scales) > 1 else f"{scales[0]:g}",
        "scales": list(scales),
        "milliseconds": 1000 * spent.seconds / max(spent.inputs, 1),
        "domains": domains,
    }
