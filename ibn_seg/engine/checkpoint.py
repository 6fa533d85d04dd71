"""Write checkpoints that survive a kill or a full disk, and find the one to resume from."""

import contextlib
import inspect
import os
import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from mmengine.dist import is_main_process
from mmengine.fileio import LocalBackend, register_backend
from mmengine.hooks import CheckpointHook
from mmengine.registry import HOOKS
from mmengine.runner import Runner

from ibn_seg.engine.distributed import average_buffers
from ibn_seg.engine.history import pack_history, unpack_history
from ibn_seg.errors import EnvError, UserError, unknown
from ibn_seg.io import load_checkpoint, write_bytes, write_text

_STEP = r"(?:iter|epoch)_(\d+)\.pth"
_BEST = "best_"
_NOTE = "last_checkpoint"
_STATE = frozenset(("meta", "state_dict", "optimizer"))
# Errors that the constructor of mmengine's hook raises for impossible settings.
_WRONG_SETTING = (AssertionError, KeyError, TypeError, ValueError)


@register_backend("atomic", force=True)
class AtomicBackend(LocalBackend):
    """Local files that are never half-written: mmengine's `backend_args=dict(backend='atomic')`."""

    def put(self, obj: bytes, filepath: str | os.PathLike) -> None:
        """Write bytes to a temporary file that then replaces `filepath`."""
        write_bytes(filepath, bytes(obj))

    def put_text(self, obj: str, filepath: str | os.PathLike, encoding: str = "utf-8") -> None:
        """Write text to a temporary file that then replaces `filepath`."""
        write_bytes(filepath, obj.encode(encoding))


class _LateRemoval(AtomicBackend):
    """A backend that does not remove files, but notes them."""

    def __init__(self) -> None:
        super().__init__()
        self.removed: list[str] = []

    def remove(self, filepath: str | os.PathLike) -> None:
        self.removed.append(os.fspath(filepath))


@HOOKS.register_module()
class AtomicCheckpointHook(CheckpointHook):
    """mmengine's `CheckpointHook`, with its steps in a safe order.

    It writes the new checkpoint to a temporary file, renames it, and only then removes old ones. So
    a complete checkpoint always exists, even if the process is killed or the disk is full. Before
    writing, it calls `before_checkpoint` on the hooks of every rank. Checkpoints hold only tensors
    and plain values, so `torch.load(weights_only=True)` reads them anywhere.

    Args:
        **kwargs: As for `CheckpointHook`, which checks some of them only at the first checkpoint.

    Raises:
        UserError: An argument does not exist, or its value is not allowed.
    """

    def __init__(self, **kwargs: object) -> None:
        known = inspect.signature(CheckpointHook.__init__).parameters
        for name in kwargs:
            if name not in known:
                allowed = [key for key in known if key not in ("self", "kwargs")]
                raise unknown("argument of default_hooks.checkpoint", name, allowed)
        try:
            super().__init__(**{**kwargs, "backend_args": {"backend": "atomic"}})
        except _WRONG_SETTING as error:
            reason = error.args[0] if error.args else error
            raise UserError(f"default_hooks.checkpoint: {reason}", "mend the config") from error
        if self.published_keys is not None and "state_dict" not in self.published_keys:
            raise UserError(
                f"default_hooks.checkpoint.published_keys={self.published_keys} leaves the weights"
                " out", "add 'state_dict'"
            )  # fmt: skip

    def before_train(self, runner: Runner) -> None:
        """Prepare the folder; remove the rest of an interrupted write."""
        super().before_train(runner)
        self._follow_move()
        if is_main_process():
            self._note_resumed(runner)
            for leftover in Path(self.out_dir).glob(".*.tmp*"):
                leftover.unlink(missing_ok=True)

    def _note_resumed(self, runner: Runner) -> None:
        """Note the checkpoint from which the run goes on.

        A kill may have come between a checkpoint and its note. If nothing is left to train, no
        other note follows, and the result would be that of an older checkpoint.
        """
        path = Path(runner._load_from or "")
        if runner._resume and path.resolve().parent == Path(self.out_dir).resolve():
            noted = os.path.join(self.out_dir, path.name)
            write_text(Path(runner.work_dir) / _NOTE, noted)

    def _follow_move(self) -> None:
        """Look for the best checkpoints in this run's folder, even if they were written elsewhere.

        A checkpoint names them with the folder of that time. That folder may now belong to a copied
        run, from which nothing may be removed.
        """
        if getattr(self, "best_ckpt_path", None):
            self.best_ckpt_path = self._moved(self.best_ckpt_path)
        paths = getattr(self, "best_ckpt_path_dict", {})
        paths.update({key: self._moved(path) for key, path in paths.items() if path})

    def _moved(self, path: str) -> str:
        return os.path.join(self.out_dir, os.path.basename(path))

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Turn mmengine's history objects into tensors, and leave out functions of schedulers."""
        pack_history(checkpoint["message_hub"])
        states = checkpoint.get("param_schedulers")
        if states is not None:
            checkpoint["param_schedulers"] = _without_functions(states)

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Turn them back."""
        if "message_hub" in checkpoint:
            unpack_history(checkpoint["message_hub"])

    def _save_checkpoint_with_step(self, runner: Runner, step: int, meta: dict) -> None:
        average_buffers(runner.model)
        runner.call_hook("before_checkpoint")
        outdated = self._outdated(runner, step)
        name = self.filename_tmpl.format(step)
        self.last_ckpt = self.file_backend.join_path(self.out_dir, name)
        runner.message_hub.update_info("last_ckpt", self.last_ckpt)
        runner.save_checkpoint(
            self.out_dir,
            name,
            save_optimizer=self.save_optimizer,
            save_param_scheduler=self.save_param_scheduler,
            meta=meta,
            by_epoch=self.by_epoch,
            backend_args=self.backend_args,
            **self.args,
        )
        if is_main_process():
            write_text(Path(runner.work_dir) / _NOTE, self.last_ckpt)
            for path in outdated:
                path.unlink(missing_ok=True)

    def _outdated(self, runner: Runner, step: int) -> list[Path]:
        """Note `step` as kept and return the checkpoints that are no longer needed.

        The list in the checkpoint itself still names them. If a run is killed before it removes
        them, it does so when it resumes.
        """
        if self.max_keep_ckpts <= 0:
            return []
        steps = [kept for kept in self.keep_ckpt_ids if kept != step] + [step]
        runner.message_hub.update_info("keep_ckpt_ids", steps)
        self.keep_ckpt_ids.clear()
        self.keep_ckpt_ids.extend(steps[-self.max_keep_ckpts :])
        names = (self.filename_tmpl.format(old) for old in steps[: -self.max_keep_ckpts])
        return [Path(self.out_dir) / name for name in names]

    def _save_best_checkpoint(self, runner: Runner, metrics: dict) -> None:
        with self._removed_afterwards():
            super()._save_best_checkpoint(runner, metrics)

    @contextlib.contextmanager
    def _removed_afterwards(self) -> Iterator[None]:
        """Carry out the block's removals only after it succeeds, except of files that it wrote."""
        backend, self.file_backend = self.file_backend, _LateRemoval()
        try:
            yield
            best = getattr(self, "best_ckpt_path", None)
            current = {best, *getattr(self, "best_ckpt_path_dict", {}).values()}
            for path in set(self.file_backend.removed) - current:
                Path(path).unlink(missing_ok=True)
        finally:
            self.file_backend = backend


def _without_functions(states: Any) -> Any:
    """Return the states of schedulers without functions, such as the shape of `OneCycleLR`.

    A new scheduler gets them from its settings, and a file of plain values cannot hold them.
    """
    if isinstance(states, Mapping):
        return {key: _without_functions(v) for key, v in states.items() if not callable(v)}
    return list(map(_without_functions, states)) if isinstance(states, list) else states


def find_checkpoint(work_dir: str | os.PathLike) -> Path | None:
    """Return the newest complete checkpoint of a work dir, or None if there is none.

    `last_checkpoint` names it, with two exceptions. That file may be missing or damaged. Or the
    process was killed between writing a checkpoint and noting its name. Files that cannot be loaded
    are skipped with a line on stderr.
    """
    found, passed_over = newest_checkpoint(work_dir)
    for reason in passed_over:
        print(f"not resumed from {reason}", file=sys.stderr)
    return found[0] if found else None


def checkpoint_to_resume(
    work_dir: str | os.PathLike, hook: Mapping[str, Any] | None = None
) -> tuple[Path, dict] | None:
    """Return the checkpoint from which a run resumes, and its content; None if there is none.

    Args:
        work_dir: The folder of the run.
        hook: `default_hooks.checkpoint` of its config, which may set other file names and folders.

    Raises:
        UserError: There are checkpoints, but none can be used. A new start would replace them.
        EnvError: A folder cannot be read.
    """
    found, passed_over = newest_checkpoint(work_dir, hook)
    if found:
        for reason in passed_over:
            print(f"not resumed from {reason}", file=sys.stderr)
        return found
    fix = "give another --work-dir, or leave --resume out to begin anew and replace them"
    if passed_over:
        more = f" (and {len(passed_over) - 1} more)" if len(passed_over) > 1 else ""
        raise UserError(f"cannot resume: {passed_over[0]}{more}", fix)
    for folder in _folders(work_dir, hook):
        if best := [path for path in _files(folder, hook) if path.name.startswith(_BEST)]:
            raise UserError(f"cannot resume: {best[0]} holds no training state", fix)
    noted = _noted(Path(work_dir))
    if noted is not None and noted.is_file():
        raise UserError(
            f"cannot resume: {Path(work_dir) / _NOTE} names {noted}, which lies elsewhere",
            f"copy it to {work_dir}, or delete {_NOTE} to begin anew",
        )
    return None


def newest_checkpoint(
    work_dir: str | os.PathLike, hook: Mapping[str, Any] | None = None
) -> tuple[tuple[Path, dict] | None, list[str]]:
    """Return the newest checkpoint that can be resumed, and why newer ones cannot.

    Args:
        work_dir: The folder of a run.
        hook: `default_hooks.checkpoint` of its config.

    Returns:
        (its file, its content) or None, and one text for each skipped file.

    Raises:
        EnvError: A folder cannot be read.
    """
    passed_over = []
    for folder in _folders(work_dir, hook):
        for path in _candidates(folder, _noted(Path(work_dir)), hook):
            try:
                checkpoint = load_checkpoint(path, stand_ins=False)
            except UserError as error:
                passed_over.append(error.line)
                continue
            except OSError as error:
                passed_over.append(f"{path}: cannot be read ({error.strerror or error})")
                continue
            if is_training_state(checkpoint):
                return (path, checkpoint), passed_over
            passed_over.append(f"{path}: it holds no training state")
    return None, passed_over


def is_training_state(checkpoint: Any) -> bool:
    """Tell whether a run can resume from a checkpoint's content.

    Args:
        checkpoint: The content of its file.
    """
    if not isinstance(checkpoint, Mapping) or not checkpoint.keys() >= _STATE:
        return False
    meta, optimiser = checkpoint["meta"], checkpoint["optimizer"]
    if not isinstance(meta, Mapping) or not isinstance(optimiser, Mapping):
        return False
    return all(type(meta.get(key)) is int and meta[key] >= 0 for key in ("epoch", "iter"))


def config_of_run(work_dir: str | os.PathLike, hook: Mapping[str, Any] | None = None) -> str | None:
    """Return the text of the config with which the newest checkpoint of a work dir was trained.

    Args:
        work_dir: The folder of a run.
        hook: `default_hooks.checkpoint` of its config.

    Returns:
        None if there is no readable checkpoint with the text.

    Raises:
        EnvError: A folder cannot be read.
    """
    for folder in _folders(work_dir, hook):
        best = [path for path in _files(folder, hook) if path.name.startswith(_BEST)]
        for path in [*_candidates(folder, _noted(Path(work_dir)), hook), *best]:
            with contextlib.suppress(UserError, OSError):
                checkpoint = load_checkpoint(path)
                meta = checkpoint.get("meta") if isinstance(checkpoint, Mapping) else None
                if isinstance(meta, Mapping) and isinstance(meta.get("cfg"), str):
                    return meta["cfg"]
    return None


def _folders(work_dir: str | os.PathLike, hook: Mapping[str, Any] | None) -> list[Path]:
    """Return the folders of a run's checkpoints: the work dir and the hook's `out_dir`."""
    work_dir, out_dir = Path(work_dir), (hook or {}).get("out_dir")
    return [work_dir, Path(out_dir) / work_dir.name] if out_dir else [work_dir]


def _step_pattern(hook: Mapping[str, Any] | None) -> re.Pattern:
    """Return the pattern of checkpoints' names, with the step as its first group that matches."""
    template = (hook or {}).get("filename_tmpl")
    own = "|" + re.sub(r"\\\{.*?\\\}", r"(\\d+)", re.escape(template)) if template else ""
    return re.compile(_STEP + own)


def _files(folder: Path, hook: Mapping[str, Any] | None) -> list[Path]:
    """Return the files with weights in a folder; empty if there is no folder.

    Some programs use the ending '.pt', as a hook's `filename_tmpl` may say.

    Raises:
        EnvError: It cannot be read.
    """
    suffixes = {".pth", Path((hook or {}).get("filename_tmpl") or "").suffix} - {""}
    try:
        return sorted(path for path in folder.iterdir() if path.suffix in suffixes)
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise EnvError(
            f"{folder}: cannot be read ({error.strerror})", "check its permissions"
        ) from error


def _candidates(folder: Path, noted: Path | None, hook: Mapping[str, Any] | None) -> list[Path]:
    """Return the checkpoints of a folder in the order in which to try them."""
    pattern = _step_pattern(hook)
    steps = {
        path: int(match[match.lastindex or 1])
        for path in _files(folder, hook)
        if (match := pattern.fullmatch(path.name))
    }
    ranked = sorted(steps, key=steps.__getitem__, reverse=True)
    # Wherever the folder was moved since.
    noted = folder / noted.name if noted is not None else None
    if noted not in steps:
        return ranked
    # A higher number alone may belong to an earlier run in the same folder.
    age = _age(noted)
    newer = [p for p in ranked if steps[p] > steps[noted] and _age(p) > age]
    return [*newer, noted, *(p for p in ranked if p not in {noted, *newer})]


def _age(path: Path) -> int:
    """Return when a file was written, in nanoseconds; 0 for a broken link."""
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return 0


def _noted(work_dir: Path) -> Path | None:
    """Return the checkpoint that `last_checkpoint` names, in the same spelling."""
    try:
        text = (work_dir / _NOTE).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError):
        return None
    return Path(text) if text and "\0" not in text else None
