"""Resumes an earlier training in a work dir, and protects it from another network's run."""

import contextlib
import os
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ibn_seg.errors import UserError
from ibn_seg.io import read_json
from ibn_seg.run.result_file import recorder, result_name
from ibn_seg.run.setup import set_seed

if TYPE_CHECKING:
    from mmengine.config import Config

    from ibn_seg.engine import StrictRunner

# The runner itself reports differences in these settings, after it has checked the optimiser.
_TOLD_BY_RUNNER = ("optim_wrapper.optimizer.", "optim_wrapper.paramwise_cfg", "param_scheduler")


@dataclass(frozen=True)
class Beginning:
    """The start of a training.

    Attributes:
        asked: The config's `load_from`, by a path or a URL, and `resume`. The latter is True only
            if the config sets both.
        before: The settings of the work dir's run that is resumed; empty if none is.
    """

    asked: Mapping[str, Any]
    before: Mapping[str, Any]

    def note(self, runner: "StrictRunner") -> None:
        """Let a runner record how its settings differ from the run that it resumes.

        Its config gets back the `load_from` and `resume` that were asked for. Otherwise a config
        based on the written one would resume from this run's checkpoint.

        Args:
            runner: The runner, already built.
        """
        from mmengine.dist import is_main_process

        from ibn_seg.engine.settings import changed_settings, join_changes, read_settings

        path = runner.cfg.load_from
        runner.cfg.update(self.asked)
        if not self.before:
            return
        changed = changed_settings(self.before, read_settings(runner.cfg.pretty_text))
        recorder(runner).changed = changed
        shown = [text for text in changed if not text.startswith(_TOLD_BY_RUNNER)]
        if shown and is_main_process():
            print(
                f"{path}: the run began with other settings; the config's settings hold from now: "
                f"{join_changes(shown)}",
                file=sys.stderr,
            )


@contextlib.contextmanager
def occupied(
    cfg: "Config", *, resume: bool, seed: int | None, config_seed: int | None = None
) -> Iterator[Beginning]:
    """Lock the work dir of a training for the block, and find out where the training begins.

    It writes nothing but the lock file.

    Args:
        cfg: A prepared config; it gets the checkpoint to resume from, see `set_resume`.
        resume: Resume from the newest checkpoint of the work dir, if there is one.
        seed: The seed that was asked for, if one was.
        config_seed: The config's own seed, if it has one.

    Raises:
        UserError: Another training runs there. Or as `set_resume`.
        EnvError: The folder cannot be read or written.
    """
    from ibn_seg.engine.folder_lock import folder_lock

    with folder_lock(cfg.work_dir):
        yield set_resume(cfg, resume, seed, config_seed)


def set_resume(
    cfg: "Config", resume: bool, seed: int | None = None, config_seed: int | None = None
) -> Beginning:
    """Name the checkpoint that training starts from: a path or a URL.

    A resumed run keeps the seed of its checkpoint. A new run replaces an earlier run of the same
    network in the folder, as mmengine does. It reports the differences on stderr.

    Args:
        cfg: A prepared config, changed in place. If it sets both `resume` and `load_from`, that
            checkpoint is resumed, as in mmengine. `resume` alone is as the argument.
        resume: Resume from the newest checkpoint of the work dir. Only if there is none, begin from
            `load_from`.
        seed: The seed that was asked for, if one was.
        config_seed: The config's own seed, if it has one. If it differs from the checkpoint's, a
            line on stderr says that it has no effect.

    Raises:
        UserError: There are checkpoints, but none can be resumed. Or the newest usable one has
            another seed than was asked for. Or the folder holds a run of another network. Or
            `load_from` has an unknown scheme or names no published weights.
        EnvError: The folder or the checkpoint of `load_from` cannot be read.
    """
    from ibn_seg.engine.distributed import on_main_process
    from ibn_seg.engine.settings import read_settings
    from ibn_seg.plugins.checkpoint_names import resolve

    start = resolve(cfg.load_from) if cfg.get("load_from") else None
    named = bool(cfg.get("resume") and start is not None)
    cfg.load_from, cfg.resume = start, named
    asked = {"load_from": start, "resume": named}
    newest = None
    if resume or (cfg.get("resume") and start is None):
        newest = on_main_process(lambda: _newest(cfg))
    if newest is None:
        on_main_process(lambda: _check_replaced(cfg))
        if named and (seed is not None or config_seed is not None):
            _keep_seed(cfg, start, on_main_process(lambda: _seed_of(start)), seed, config_seed)
        return Beginning(asked, {})
    path, began, text = newest
    _keep_seed(cfg, path, began, seed, config_seed)
    cfg.load_from, cfg.resume = path, True
    return Beginning(asked, read_settings(text))


def _keep_seed(
    cfg: "Config", path: str, began: int | None, seed: int | None, config_seed: int | None
) -> None:
    """Let a run keep the seed that it began with, and report any other seed.

    Args:
        cfg: The config, which gets the seed.
        path: The checkpoint.
        began: The checkpoint's seed, if it records one.
        seed: As for `set_resume`.
        config_seed: As for `set_resume`.

    Raises:
        UserError: Another seed was asked for.
    """
    from mmengine.dist import is_main_process

    if began is None:
        return
    if seed is not None and seed != began:
        raise UserError(
            f"{path}: began with seed {began}, now it is {seed}",
            f"resume with --seed {began}, or give another --work-dir",
        )
    if seed is None and config_seed not in (None, began) and is_main_process():
        print(
            f"{path}: goes on with the run's own seed {began}; "
            f"randomness.seed={config_seed} has no effect",
            file=sys.stderr,
        )
    set_seed(cfg, began)


def _seed_of(path: str) -> int | None:
    """Return the seed of a checkpoint that a config names; None if it records none."""
    from ibn_seg.models.sources import read_checkpoint

    checkpoint = read_checkpoint(path, stand_ins=False)
    meta = checkpoint.get("meta") if isinstance(checkpoint, Mapping) else None
    seed = meta.get("seed") if isinstance(meta, Mapping) else None
    return seed if isinstance(seed, int) else None


def _newest(cfg: "Config") -> tuple[str, Any, Any] | None:
    """Return file, seed and config text of the checkpoint to resume from; None without one."""
    from ibn_seg.engine.checkpoint import checkpoint_to_resume

    found = checkpoint_to_resume(cfg.work_dir, _checkpoint_hook(cfg))
    if found is None:
        return None
    path, checkpoint = found
    return str(path), checkpoint["meta"].get("seed"), checkpoint["meta"].get("cfg")


def _checkpoint_hook(cfg: "Config") -> Any:
    return (cfg.get("default_hooks") or {}).get("checkpoint")


def _check_replaced(cfg: "Config") -> None:
    """Raise if a training would replace a run of another network; print other differences."""
    from ibn_seg.engine.settings import (
        changed_settings,
        describe_network,
        join_changes,
        network_changes,
        read_settings,
    )

    before = read_settings(_earlier_config(cfg))
    if not before.get("model"):
        return
    now = read_settings(cfg.pretty_text)
    if changes := network_changes(before["model"], now.get("model") or {}):
        old, new = (_name(settings, describe_network(settings)) for settings in (before, now))
        raise UserError(
            f"{cfg.work_dir}: holds a run of {old}, the config is of {new}"
            f" ({join_changes(changes)})",
            "give another --work-dir, or delete the folder",
        )
    changes = changed_settings(before, now)
    seeds = [(settings.get("randomness") or {}).get("seed") for settings in (before, now)]
    if seeds[0] != seeds[1]:
        changes.append(f"seed {seeds[0]} -> {seeds[1]}")
    if changes:
        print(
            f"{cfg.work_dir}: holds a run with other settings, which this one replaces: "
            f"{join_changes(changes)}",
            file=sys.stderr,
        )


def _name(settings: Mapping[str, Any], network: str) -> str:
    """Return the name of a run's network, with the method first if the config names one."""
    method = (settings.get("experiment") or {}).get("method")
    return f"{method}: {network}" if method else network


def _earlier_config(cfg: "Config") -> Any:
    """Return the config text of the run in a work dir; None if there is no run."""
    from ibn_seg.engine.checkpoint import config_of_run

    text = config_of_run(cfg.work_dir, _checkpoint_hook(cfg))
    result = Path(os.fspath(cfg.work_dir)) / result_name("train")
    if text is None and result.is_file():
        with contextlib.suppress(UserError):  # a damaged result holds no config
            found = read_json(result)
            text = found.get("config") if isinstance(found, Mapping) else None
    return text
