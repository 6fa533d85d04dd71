"""Fits the temperatures of a trained network on validation images of its source."""

import os
from typing import TYPE_CHECKING, Unpack

from ibn_seg.errors import UserError
from ibn_seg.run.domains import check_domain, domain_configs, keep_domains
from ibn_seg.run.measurement import RunOptions, check_tested, measurement
from ibn_seg.run.segmentation import measured

if TYPE_CHECKING:
    from mmengine.config import Config

# All pixels of the fit: 152 MB of float32 logits for 19 classes.
_MOST_PIXELS = 2_000_000
_ORACLE = "oracle: fitted on labels of the target, which nobody has who needs it"


def fit_temperature_of(
    config: "str | os.PathLike | Config",
    checkpoint: str | os.PathLike,
    *,
    oracle: str | None = None,
    **run: Unpack[RunOptions],
) -> dict:
    """Fit temperatures on half of the source's validation images; write them beside CHECKPOINT.

    The images are those of the source in `test_dataloader`. The record is `temperature.json` in the
    work dir, as `ibn_seg.trust.stored_temperature.fit` returns it, under `temperature`. Up to 2
    million pixels are used, equally many of each image.

    Args:
        config: A path, an `ibn_seg::` name, or a config, which is not changed.
        checkpoint: A .pth file; every weight must fit.
        oracle: A target on whose labels to fit instead. Then nothing is written beside the
            checkpoint, and the record has a mark, `oracle`.
        run: See `ibn_seg.run.measurement.RunOptions`.

    Returns:
        The content of the record, with the `file` beside the checkpoint, or None.

    Raises:
        UserError: The config, the data, the checkpoint or a name is wrong. Or the fit ran to its
            bound, or the network gives no logits or other classes than the labels.
        EnvError: Something cannot be written.
    """
    from ibn_seg.engine.logit_samples import LogitSampleHook
    from ibn_seg.trust.stored_temperature import fit, write_temperature

    chosen: list[str] = []

    def adapt(cfg: "Config") -> None:
        check_tested("temperature", cfg)
        chosen.append(oracle or _source(cfg))
        if oracle is not None and oracle == (cfg.get("experiment") or {}).get("source"):
            raise UserError(f"--oracle {oracle}: it is the source", "leave --oracle out")
        keep_domains(cfg, chosen)

    with measurement("temperature", config, checkpoint, adapt, **run) as opened:
        (domain,) = chosen
        runner, metric = opened.runner, opened.metric
        total = len(runner.test_dataloader.dataset)
        hook = LogitSampleHook(max(1, _MOST_PIXELS // total), metric.ignore_index)
        runner.register_hook(hook)
        opened.count_batches()
        runner.test()
        if metric.map_of(domain) is not None:
            raise UserError(
                f"temperature: the labels of {domain!r} have other classes than the network",
                "fit on labels of the network's classes",
            )
        names = metric.image_confusions[domain].images
        pixels = dict(zip(names, hook.pixels, strict=True))
        found = fit(pixels, metric.network_classes, domain)
        if oracle is not None:
            found = {"oracle": _ORACLE, **found}
        file = None if oracle is not None else str(write_temperature(checkpoint, found))
        return opened.write(lambda: {**measured(runner), "temperature": found, "file": file})


def _source(cfg: "Config") -> str:
    """Return the source among the tested domains.

    Raises:
        UserError: The config names no source, or several, or does not test on it.
    """
    source = (cfg.get("experiment") or {}).get("source") or (cfg.test_evaluator or {}).get("source")
    if not source or "+" in source:
        raise UserError(
            f"temperature: the config's source is {source!r}",
            "name one domain by experiment=dict(source='NAME')",
        )
    check_domain(source, domain_configs(cfg))
    return source
