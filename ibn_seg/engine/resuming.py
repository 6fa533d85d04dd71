"""Resume from a checkpoint's weights and history, with the config's optimiser and schedule.

A checkpoint holds the settings of the optimiser and the state of every scheduler. mmengine
overwrites the config's settings with both. Here they are used only if they agree with the config.
Otherwise schedulers are brought to the checkpoint's iteration, as if they had run from the
beginning.
"""

import copy
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

from mmengine.hooks import EMAHook
from mmengine.optim import OptimWrapperDict, _ParamScheduler
from mmengine.runner import EpochBasedTrainLoop, Runner

from ibn_seg.engine.checkpoint import is_training_state
from ibn_seg.engine.settings import join_changes, optimiser_of, read_settings
from ibn_seg.errors import UserError

# Parts of a scheduler's state that record its progress, not its settings.
_PROGRESS = frozenset((
    "last_step", "_global_step", "_last_value", "verbose", "best", "num_bad_epochs",
    "cooldown_counter",
))  # fmt: skip
# The part that is the optimiser's initial setting, for each group of parameters.
_START = "base_values"
_ELSEWHERE = "begin elsewhere with --work-dir, and load_from for its weights"
# Entries of an optimiser's group that change no numbers: its parameters and some settings.
_SPEED = frozenset(("params", "foreach", "fused", "capturable", "differentiable"))

Groups = list[dict[str, Any]]


def resume(runner: Runner, filename: str) -> list[str]:
    """Let a runner, whose optimiser and schedulers are built, continue from a checkpoint.

    Args:
        runner: The runner.
        filename: The checkpoint.

    Returns:
        The optimiser settings and parts of the schedule that have changed.

    Raises:
        UserError: It holds no training state, or belongs to another optimiser, other groups of
            parameters or a longer training.
    """
    planned = {
        name: settings_of(wrapper.optimizer.param_groups)
        for name, wrapper in _wrappers(runner).items()
    }
    starts = {name: settings_of(w.param_groups) for name, w in _wrappers(runner).items()}
    checkpoint = runner.load_checkpoint(filename)
    _check(runner, checkpoint, planned, filename)
    meta = checkpoint["meta"]
    runner.train_loop._epoch, runner.train_loop._iter = meta["epoch"], meta["iter"]
    _take_seed(runner, meta.get("seed"))
    if "message_hub" in checkpoint:
        runner.message_hub.load_state_dict(checkpoint["message_hub"])
    changed = _changed_groups(checkpoint, planned)
    schedule = _changed_schedule(runner, checkpoint)
    if schedule:
        _advance(runner, meta["iter"], meta["epoch"], filename)
        reached = {n: settings_of(w.param_groups) for n, w in _wrappers(runner).items()}
    runner.optim_wrapper.load_state_dict(checkpoint["optimizer"])
    for name, wrapper in _wrappers(runner).items():
        if schedule:
            _set_groups(wrapper.param_groups, reached[name])
        else:
            _set_groups(wrapper.optimizer.param_groups, planned[name], set(changed))
    if not schedule:
        _load_schedulers(runner, checkpoint.get("param_schedulers"))
    runner._has_loaded = True
    runner.logger.info(f"resumed epoch: {runner.epoch}, iter: {runner.iter}")
    changes = [*_told_changes(schedule, _changed_starts(checkpoint, starts)), *changed.values()]
    if changes:
        runner.logger.info(
            f"{filename}: resumed with the optimiser and schedule of the config; changed "
            f"since the beginning: {join_changes(changes)}",
            extra={"notice": True},
        )
    return changes


def settings_of(groups: Sequence[Mapping[str, Any]]) -> Groups:
    """Return a copy of an optimiser's groups: settings, and the number of their parameters."""
    return [
        {**{k: copy.deepcopy(v) for k, v in group.items() if k != "params"},
         "params": len(group["params"])}
        for group in groups
    ]  # fmt: skip


def _wrappers(runner: Runner) -> Mapping[str, Any]:
    """Return the optimiser wrappers of a runner by name; '' for the only one."""
    wrapper = runner.optim_wrapper
    return dict(wrapper.items()) if isinstance(wrapper, OptimWrapperDict) else {"": wrapper}


def _check(runner: Runner, checkpoint: Any, planned: Mapping[str, Groups], filename: str) -> None:
    """Raise unless a runner can resume from a checkpoint."""
    state = checkpoint if isinstance(checkpoint, Mapping) else {}
    if not is_training_state(state):
        raise UserError(
            f"{filename}: holds no training state to resume from",
            "set resume=False to begin from its weights",
        )
    meta, limit = state["meta"], runner.train_loop.max_iters
    if meta["iter"] > limit:
        raise UserError(
            f"{filename}: is at iteration {meta['iter']}, past the {limit} of train_cfg",
            "train longer, or begin elsewhere with --work-dir",
        )
    before = optimiser_of(read_settings(meta.get("cfg")))
    now = optimiser_of(read_settings(runner.cfg.pretty_text))
    if before and now and before != now:
        raise UserError(
            f"{filename}: was trained with {before}, optim_wrapper.optimizer is {now}", _ELSEWHERE
        )
    for name, groups in planned.items():
        saved = state["optimizer"].get(name) if name else state["optimizer"]
        _check_groups(saved, groups, filename)
    averaged = any(isinstance(hook, EMAHook) for hook in runner.hooks)
    if "ema_state_dict" in state and not averaged:
        raise UserError(
            f"{filename}: holds averaged weights, and the config has no EMAHook", _ELSEWHERE
        )


def _check_groups(saved: Any, groups: Groups, filename: str) -> None:
    """Raise unless a checkpoint has this optimiser's groups, with as many parameters."""
    before = saved.get("param_groups") if isinstance(saved, Mapping) else None
    if before is None:
        raise UserError(f"{filename}: holds no state of this optimiser", _ELSEWHERE)
    counts = [len(group["params"]) for group in before], [group["params"] for group in groups]
    if counts[0] != counts[1]:
        shown = (f"{len(c)} groups of {sum(c)} parameters" for c in counts)
        raise UserError(
            f"{filename}: was trained with {next(shown)}, optim_wrapper makes {next(shown)}",
            f"keep optimizer and paramwise_cfg, or {_ELSEWHERE}",
        )


def _take_seed(runner: Runner, seed: int | None) -> None:
    """Use the seed of the checkpoint, whatever the config says."""
    if seed is not None and seed != runner._randomness_cfg.get("seed"):
        runner._randomness_cfg.update(seed=seed)
        runner.set_randomness(**runner._randomness_cfg)


def _changed_groups(checkpoint: Mapping, planned: Mapping[str, Groups]) -> dict[str, str]:
    """Return the optimiser settings that differ in a checkpoint, each as text for the user.

    Changes by schedulers are reported elsewhere (`_changed_schedule`).
    """
    changed: dict[str, str] = {}
    for name, groups in planned.items():
        saved = checkpoint["optimizer"][name] if name else checkpoint["optimizer"]
        for before, now in zip(saved["param_groups"], groups, strict=True):
            for key in now.keys() & before.keys() - _SPEED - _scheduled(before) - _scheduled(now):
                if _plain(before[key]) != _plain(now[key]):
                    changed.setdefault(key, f"{key} {before[key]} -> {now[key]}")
    return changed


def _changed_starts(checkpoint: Mapping, starts: Mapping[str, Groups]) -> list[str]:
    """Return, as text, the initial settings of schedules that differ in a checkpoint.

    Args:
        checkpoint: The checkpoint.
        starts: The settings of each optimiser's groups. If single parameters have their own
            settings, the optimiser's own settings come last.
    """
    changed: dict[str, str] = {}
    for name, groups in starts.items():
        saved = checkpoint["optimizer"][name] if name else checkpoint["optimizer"]
        own = saved.get("base_param_settings")
        before = [*saved["param_groups"], *([own] if own else [])]
        for pair in reversed([*zip(before, groups, strict=False)]):
            for key in sorted(_initial(pair[0]) | _initial(pair[1])):
                old, new = (group.get(f"initial_{key}", group.get(key)) for group in pair)
                if None not in (old, new) and old != new:
                    changed.setdefault(key, f"{key} {old} -> {new}")
    return list(changed.values())


def _initial(group: Mapping[str, Any]) -> set[str]:
    """Return the settings of a group that schedulers change."""
    return {key.removeprefix("initial_") for key in group if key.startswith("initial_")}


def _scheduled(group: Mapping[str, Any]) -> set[str]:
    """Return the settings of a group that schedulers change, and those that they store there."""
    names = _initial(group)
    # For Adam and similar optimisers, a schedule of the momentum changes the first beta.
    betas = {"betas"} if "momentum" in names else set()
    return (
        names | betas | {f"{word}_{name}" for name in names for word in ("initial", "max", "min")}
    )


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, (list, tuple)) else value


def all_schedulers(schedulers: Any) -> list[_ParamScheduler]:
    """Return the schedulers of every optimiser in one list."""
    if isinstance(schedulers, Mapping):
        return [scheduler for some in schedulers.values() for scheduler in some]
    return list(schedulers or ())


def _states(saved: Any) -> list[Mapping[str, Any]]:
    """Return a checkpoint's states of schedulers, in the order of `all_schedulers`."""
    if isinstance(saved, Mapping):
        return [state for some in saved.values() for state in some]
    return list(saved or ())


def _changed_schedule(runner: Runner, checkpoint: Mapping) -> list[tuple[str, str]]:
    """Return the parts of the schedule that differ in a checkpoint; empty if there are none.

    Returns:
        For each scheduler the setting, or '' if several differ, and a text for the user.
    """
    now = [_told(s.state_dict()) for s in all_schedulers(runner.param_schedulers)]
    before = [_told(state) for state in _states(checkpoint.get("param_schedulers"))]
    if len(now) != len(before):
        return [("", f"{len(before)} schedulers -> {len(now)}")]
    found = []
    for index, (old, new) in enumerate(zip(before, now, strict=True)):
        if old != new:
            key, text = _first_difference(old, new)
            found.append((key, f"param_scheduler.{index} {text}"))
    return found


def _told_changes(schedule: list[tuple[str, str]], starts: list[str]) -> list[str]:
    """Return the changes of a schedule, and of the settings that it begins with, as text."""
    return [*starts, *(text for key, text in schedule if not (starts and key == _START))]


def _told(state: Mapping[str, Any]) -> dict[str, Any]:
    """Return a scheduler's settings, from its state."""
    return {
        key: _plain(value)
        for key, value in state.items()
        if key not in _PROGRESS and not callable(value)
    }


def _first_difference(before: Mapping[str, Any], now: Mapping[str, Any]) -> tuple[str, str]:
    """Return a setting that differs in two states of a scheduler, with both values."""
    if before.keys() != now.keys():
        return "", "is of another kind"
    # Report another difference first; `_changed_starts` reports the initial settings.
    key = min((key for key in now if before[key] != now[key]), key=lambda key: key == _START)
    return key, f"{key} {before[key]} -> {now[key]}"


def _load_schedulers(runner: Runner, saved: Any) -> None:
    """Load the checkpoint's state into every scheduler; the schedule must be the same."""
    pairs = zip(all_schedulers(runner.param_schedulers), _states(saved), strict=True)
    for scheduler, state in pairs:
        scheduler.load_state_dict(dict(state))


def _advance(runner: Runner, iterations: int, epochs: int, filename: str) -> None:
    """Bring new schedulers to their state after so many iterations.

    Raises:
        UserError: A scheduler depends on the scores of the run, or ends before that.
    """
    schedulers = all_schedulers(runner.param_schedulers)
    if any(getattr(scheduler, "need_val_args", False) for scheduler in schedulers):
        raise UserError(
            f"{filename}: the schedule has changed; one that follows a score cannot be moved to "
            "the checkpoint's iteration",
            "keep param_scheduler and the optimiser's settings, or " + _ELSEWHERE,
        )
    by_epoch = isinstance(runner.train_loop, EpochBasedTrainLoop)
    every = max(1, iterations // max(1, epochs))
    with warnings.catch_warnings():
        # Ignore the warning that no step of the optimiser came between.
        warnings.simplefilter("ignore", UserWarning)
        try:
            for step in range(1, iterations + 1):
                _step(schedulers, by_epoch=False)
                if by_epoch and step % every == 0 and step // every <= epochs:
                    _step(schedulers, by_epoch=True)
        except ValueError as error:  # of OneCycleLR
            raise UserError(
                f"{filename}: param_scheduler ends before iteration {iterations} ({error})",
                "let it end with train_cfg.max_iters",
            ) from error


def _step(schedulers: Sequence[_ParamScheduler], *, by_epoch: bool) -> None:
    for scheduler in schedulers:
        if scheduler.by_epoch == by_epoch:
            scheduler.step()


def _set_groups(
    groups: Sequence[dict[str, Any]], settings: Groups, keys: set[str] | None = None
) -> None:
    """Overwrite the settings that came with an optimiser's state.

    Args:
        groups: The optimiser's groups.
        settings: The result of `settings_of` for them.
        keys: The settings to overwrite; None means all.
    """
    for group, given in zip(groups, settings, strict=True):
        wanted = given.keys() - {"params"} if keys is None else given.keys() & keys
        group.update({key: given[key] for key in wanted})
