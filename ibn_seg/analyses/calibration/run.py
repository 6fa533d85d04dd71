"""Measures the confidence of a trained network on each domain."""

import dataclasses
import os
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack

from ibn_seg.run.measurement import Measurement, RunOptions, check_tested, measurement
from ibn_seg.run.segmentation import measured

if TYPE_CHECKING:
    from mmengine.config import Config

    from ibn_seg.trust.stored_temperature import StoredTemperature

CONFIDENCE_FILE = "calibration_confidences.npz"
TEMPERED_FILE = "calibration_confidences_tempered.npz"


def calibration(
    config: "str | os.PathLike | Config",
    checkpoint: str | os.PathLike,
    *,
    domains: Iterable[str] = (),
    temperature: str | None = None,
    protocol: str | None = None,
    **run: Unpack[RunOptions],
) -> dict:
    """Test a checkpoint and measure its confidence; write `WORK_DIR/calibration.json`.

    Data, metric and protocol are as in `ibn_seg.run.segmentation.test`. Beside the result, the
    histograms of each image go to `calibration_confidences.npz`.

    Args:
        config: A path, an `ibn_seg::` name, or a config, which is not changed.
        checkpoint: A .pth file; every weight must fit.
        domains: Names of domains of the config's test data; default all.
        temperature: 'global' or 'class': measure once more with logits divided by temperatures that
            were fitted on the source. They are read from the file beside the checkpoint, or fitted
            and written there (`ibn_seg.run.fit_temperature`).
        protocol: Name of an evaluation protocol (`ibn_seg.evaluation.protocols`).
        run: See `ibn_seg.run.measurement.RunOptions`.

    Returns:
        The content of the result file. `trust` has, by domain, what
        `ibn_seg.trust.trust_measures.trust_measures` returns. `tempered` has, by domain, what
        `tempered_measures` returns, if there is a temperature. `trust_classes` and
        `trust_intervals` have what `class_measures` and `image_intervals` return.

    Raises:
        UserError: The config, the data, the checkpoint or a name is wrong. Or the network gives no
            logits, or one is NaN.
        EnvError: Something cannot be written.
    """

    def adapt(cfg: "Config") -> None:
        check_tested("calibration", cfg, domains)

    stored = None
    if temperature is not None:
        stored = _temperatures(config, checkpoint, temperature, run)
    with measurement("calibration", config, checkpoint, adapt, protocol=protocol, **run) as opened:
        return _measured(opened, stored)


def _measured(opened: Measurement, temperature: "StoredTemperature | None") -> dict:
    """Test the runner's network, and write result and histograms."""
    from ibn_seg.engine.confidence_hook import ConfidenceHook
    from ibn_seg.trust.confidence_bins import LOG_ODDS
    from ibn_seg.trust.image_confidences import stack_images
    from ibn_seg.trust.image_intervals import image_intervals
    from ibn_seg.trust.stored_confidences import StoredConfidences, write_confidences
    from ibn_seg.trust.tempered_measures import tempered_measures
    from ibn_seg.trust.trust_measures import class_measures, trust_measures

    runner, metric = opened.runner, opened.metric
    values = None if temperature is None else temperature.values
    hook = ConfidenceHook(metric.map_of, metric.ignore_index, metric.domain, values)
    runner.register_hook(hook)
    opened.count_batches()
    runner.test()
    found, tempered = (
        {
            name: stack_images(metric.image_confusions[name].images, LOG_ODDS, histograms)
            for name, histograms in by_domain.items()
        }
        for by_domain in (hook.histograms, hook.tempered)
    )
    for file, domains in ((CONFIDENCE_FILE, found), (TEMPERED_FILE, tempered)):
        if domains:
            stored = StoredConfidences(metric.network_classes, domains)
            write_confidences(Path(runner.work_dir) / file, stored)
    entries: dict[str, Any] = {
        "trust": {name: trust_measures(one) for name, one in found.items()},
        "trust_classes": {
            name: class_measures(one, metric.network_classes) for name, one in found.items()
        },
        "trust_intervals": {name: image_intervals(one) for name, one in found.items()},
        "confidences": CONFIDENCE_FILE,
    }
    if temperature is not None:
        entries["temperature"] = dataclasses.asdict(temperature)
        entries["tempered"] = {
            name: tempered_measures(found[name], one, _fitted_on(temperature, name))
            for name, one in tempered.items()
        }
    return opened.write(lambda: {**measured(runner), **entries})


def _temperatures(
    config: "str | os.PathLike | Config",
    checkpoint: str | os.PathLike,
    kind: str,
    run: RunOptions,
) -> "StoredTemperature":
    """Return the temperatures beside the checkpoint; fit them first if there are none.

    Args:
        config: As for `fit_temperature_of`.
        checkpoint: As for `fit_temperature_of`.
        kind: 'global' or 'class'.
        run: The options of the calibration.
    """
    from ibn_seg.run.fit_temperature import fit_temperature_of
    from ibn_seg.trust.stored_temperature import read_temperature, temperature_file

    if not temperature_file(checkpoint).exists():
        given = run.get("work_dir")
        folder = None if given is None else Path(given) / "temperature"
        own = {key: run[key] for key in ("cfg_options", "quiet") if key in run}
        fit_temperature_of(config, checkpoint, work_dir=folder, **own)
    return read_temperature(checkpoint, kind)


def _fitted_on(temperature: "StoredTemperature", domain: str) -> tuple[str, ...]:
    """Return the images of a domain that a temperature was fitted on."""
    return temperature.images if domain == temperature.domain else ()
