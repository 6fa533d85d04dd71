"""Scores a trained network after test-time methods have adapted it to each domain."""

import os
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Unpack

from ibn_seg.analyses.adaptation.conditions import Condition, check_methods, conditions
from ibn_seg.errors import UserError
from ibn_seg.run.measurement import RunOptions, check_tested, measurement
from ibn_seg.run.result_file import recorder
from ibn_seg.run.segmentation import measured
from ibn_seg.type_names import is_named

if TYPE_CHECKING:
    from mmengine.config import Config

    from ibn_seg.engine import StrictRunner


def adaptation(
    config: "str | os.PathLike | Config",
    checkpoint: str | os.PathLike,
    *,
    adaptations: Iterable[str] = (),
    batch_sizes: Iterable[int] = (),
    domains: Iterable[str] = (),
    seed: int = 0,
    protocol: str | None = None,
    **run: Unpack[RunOptions],
) -> dict:
    """Score a checkpoint as it is and adapted to each domain; write `WORK_DIR/adaptation.json`.

    Every domain begins from the trained network. Data, metric and protocol are as in
    `ibn_seg.run.segmentation.test`.

    Args:
        config: A path, an `ibn_seg::` name, or a config, which is not changed.
        checkpoint: A .pth file; every weight must fit.
        adaptations: Names in `ibn_seg.analyses.adaptation.conditions.ADAPTATIONS`; default all.
        batch_sizes: Images that a method sees at once; default 1 and 8.
        domains: Names of domains of the config's test data; default all.
        seed: Seed of the order of images.
        protocol: Name of an evaluation protocol (`ibn_seg.evaluation.protocols`).
        run: See `ibn_seg.run.measurement.RunOptions`.

    Returns:
        The content of the result file.

    Raises:
        UserError: The config, the data, the checkpoint, a name or a size is wrong. Or the network
            has no batch norm. Or images of a domain differ in size, and a batch has several.
        EnvError: Something cannot be written.
    """
    tried = list(conditions(check_methods(adaptations), batch_sizes))

    def adapt(cfg: "Config") -> None:
        check_tested("adaptation", cfg, domains)
        _check_hooks(cfg)

    with measurement("adaptation", config, checkpoint, adapt, protocol=protocol, **run) as opened:
        runner, steps = opened.runner, len(tried) + 1
        runner.test()
        # Keep the scores of the network as it is before the next test replaces them in the record.
        clean = measured(runner)
        adapted = []
        for done, condition in enumerate(tried, start=1):
            opened.progress("adaptation", done, steps)
            adapted.append(_score(runner, condition, seed))
        opened.progress("adaptation", steps, steps)
        return opened.write(
            lambda: {
                **clean,
                "confusions": None,  # the file has those of the last test
                "order_seed": seed,
                "adapted": _with_gains(adapted, clean),
            }
        )


def _check_hooks(cfg: "Config") -> None:
    for hook in cfg.get("custom_hooks") or ():
        if is_named(hook.get("type"), "TargetAdaptationHook"):
            raise UserError(
                "adaptation: the config adapts at test time itself",
                "leave TargetAdaptationHook out of custom_hooks",
            )


def _score(runner: "StrictRunner", condition: Condition, seed: int) -> dict[str, Any]:
    """Return the scores by domain of the runner's network, adapted in one way."""
    import copy

    loader = copy.deepcopy(runner.cfg.test_dataloader)
    loader.batch_size = condition.batch_size or 1
    loader.sampler = {"type": "DefaultSampler", "shuffle": False}
    loader.batch_sampler = {"type": "DomainBatchSampler", "seed": seed}
    before = list(runner.hooks)
    runner.register_hook(condition.hook)
    runner.test_loop.dataloader = runner.build_dataloader(loader, seed=runner.seed)
    try:
        runner.test()
    except AssertionError as error:  # how mmseg refuses to stack images of several sizes
        if "size in a batch" not in str(error):
            raise
        raise UserError(
            f"adaptation: {condition.name}: images of a domain differ in size",
            "give --batch-sizes 1",
        ) from error
    finally:
        (added,) = (hook for hook in runner.hooks if hook not in before)
        runner.hooks.remove(added)
    return {
        "method": condition.method,
        "batch_size": condition.batch_size,
        "domains": recorder(runner).validations[-1]["domains"],
    }


def _with_gains(
    adapted: Sequence[Mapping[str, Any]], clean: Mapping[str, Any]
) -> list[dict[str, Any]]:
    """Return the scores with their differences to those of the network as it is, in points."""
    reference = {domain: scores["mIoU"] for domain, scores in clean["domains"].items()}
    return [
        {**one, "gain": {d: one["domains"][d]["mIoU"] - reference[d] for d in reference}}
        for one in adapted
    ]
