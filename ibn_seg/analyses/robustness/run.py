"""Measures how much of its score a trained network keeps when appearance changes."""

import os
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Unpack

from ibn_seg.analyses.robustness.degradation import performance, scores_of
from ibn_seg.errors import UserError
from ibn_seg.run.measurement import RunOptions, check_tested, measurement
from ibn_seg.run.protocol import insert_step
from ibn_seg.run.result_file import recorder
from ibn_seg.run.segmentation import measured
from ibn_seg.type_names import is_named

if TYPE_CHECKING:
    from mmengine.config import Config

    from ibn_seg.engine import StrictRunner

LOADER = "LoadImageFromFile"


def robustness(
    config: "str | os.PathLike | Config",
    checkpoint: str | os.PathLike,
    *,
    corruptions: Iterable[str] = (),
    severities: Iterable[int] = (),
    domains: Iterable[str] = (),
    seed: int = 0,
    frost: str | os.PathLike | None = None,
    launcher: str = "none",
    protocol: str | None = None,
    **run: Unpack[RunOptions],
) -> dict:
    """Evaluate a checkpoint on clean and on corrupted pictures; write `WORK_DIR/robustness.json`.

    The network is built and loaded once. Data, metric and protocol are as in
    `ibn_seg.run.segmentation.test`. Retention is the corrupted mIoU divided by the clean one.

    Args:
        config: A path, an `ibn_seg::` name, or a config, which is not changed.
        checkpoint: A .pth file; every weight must fit.
        corruptions: Corruptions and sets of them, or one protocol, see
            `ibn_seg.transforms.corruption_sets`; default the set `ours`.
        severities: From 1 to 5; default all. A protocol has its own.
        domains: Names of domains of the config's test data; default all.
        seed: Seed of the noise, see `ibn_seg.transforms.corruptions.generator`.
        frost: The folder of the pictures of frost, see
            `ibn_seg.transforms.imagenet_c.weathers.frost_folder`.
        launcher: 'none', or what started the processes: 'pytorch' (torchrun), 'slurm', 'mpi'.
        protocol: Name of an evaluation protocol (`ibn_seg.evaluation.protocols`).
        run: See `ibn_seg.run.measurement.RunOptions`.

    Returns:
        The content of the result file.

    Raises:
        UserError: The config, the data, the checkpoint, a name or a severity is wrong.
        EnvError: Something cannot be written.
    """
    from ibn_seg.transforms.corruption_sets import planned_conditions

    named = tuple(corruptions) or ("ours",)
    conditions = planned_conditions(named, severities, frost)

    def adapt(cfg: "Config") -> None:
        check_tested("robustness", cfg, domains)
        _check_loaders(cfg.test_dataloader.dataset)

    with measurement(
        "robustness", config, checkpoint, adapt, launcher=launcher, protocol=protocol, **run
    ) as opened:
        runner = opened.runner
        opened.count_batches(len(conditions) + 1)
        runner.test()
        # Keep the clean scores before the next test replaces them in the record.
        clean = measured(runner)
        corrupted = [
            {
                "corruption": name,
                "severity": severity,
                **_score(runner, name, severity, seed, frost),
            }
            for name, severity in conditions
        ]
        return opened.write(lambda: _summary(clean, corrupted, seed, named))


def _check_loaders(part: Any) -> None:
    """Raise `UserError` if a pipeline does not load pictures by the step before corruptions."""
    if isinstance(part, Mapping):
        for key, value in part.items():
            if key != "pipeline":
                _check_loaders(value)
            elif not any(is_named(step.get("type"), LOADER) for step in value):
                raise UserError(
                    f"a pipeline of test_dataloader has no {LOADER}",
                    "corruptions are put right after that step; use it",
                )
    elif isinstance(part, (list, tuple)):
        for item in part:
            _check_loaders(item)


def _score(
    runner: "StrictRunner", name: str, severity: int, seed: int, frost: str | os.PathLike | None
) -> dict[str, Any]:
    """Evaluate the runner's network under one corruption; return the scores by domain."""
    import copy

    step = {"type": "CorruptImage", "corruption": name, "severity": severity, "seed": seed}
    if frost is not None:
        step["frost"] = str(frost)
    loader = copy.deepcopy(runner.cfg.test_dataloader)
    insert_step(loader.dataset, step, after=(LOADER,))
    runner.test_loop.dataloader = runner.build_dataloader(loader, seed=runner.seed)
    runner.test()
    return {"domains": recorder(runner).validations[-1]["domains"]}


def _summary(
    clean: Mapping[str, Any],
    corrupted: Sequence[Mapping[str, Any]],
    seed: int,
    named: Sequence[str],
) -> dict[str, Any]:
    """Return this task's own entries in the result."""
    reference = {domain: scores["mIoU"] for domain, scores in clean["domains"].items()}
    graded = [
        {**one, "retention": {d: retention(one["domains"][d]["mIoU"], reference[d])
                              for d in reference}}
        for one in corrupted
    ]  # fmt: skip
    names = list(dict.fromkeys(one["corruption"] for one in graded))
    return {
        **clean,
        "confusions": None,  # the file has those of the last test
        "noise_seed": seed,
        "corruption_sets": list(named),
        "corruptions": names,
        "severities": sorted({one["severity"] for one in graded}),
        "conditions": [[one["corruption"], one["severity"]] for one in graded],
        "corrupted": graded,
        "retention": {domain: _means(graded, domain, names) for domain in reference},
        "performance": {
            domain: performance(score, scores_of(graded, domain))
            for domain, score in reference.items()
        },
    }


def retention(corrupted: float, clean: float) -> float | None:
    """Return the retained share of a score, or None if the clean score is 0."""
    return corrupted / clean if clean > 0 else None


def _means(graded: Sequence[Mapping], domain: str, names: Sequence[str]) -> dict[str, Any]:
    """Return each corruption's mean over severities on a domain, and the mean of these."""
    means = {
        name: mean_of([one["retention"][domain] for one in graded if one["corruption"] == name])
        for name in names
    }
    return {"mean": mean_of(list(means.values())), "corruptions": means}


def mean_of(values: Sequence[float | None]) -> float | None:
    """Return the mean, or None if a value is missing."""
    if any(value is None for value in values):
        return None
    return float(sum(values) / len(values))
