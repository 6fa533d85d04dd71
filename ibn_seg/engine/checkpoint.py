"""Checkpoints that survive a kill or a full disk, and finding the one to resume from."""

import contextlib
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path

from mmengine.dist import is_main_process
from mmengine.fileio import LocalBackend, register_backend
from mmengine.hooks import CheckpointHook
from mmengine.registry import HOOKS
from mmengine.runner import Runner

from ibn_seg.engine.distributed import average_buffers
from ibn_seg.engine.history import pack_history, unpack_history
from ibn_seg.errors import UserError
from ibn_seg.io import load_checkpoint, write_bytes, write_text

_STEP = re.compile(r"(?:iter|epoch)_(\d+)\.pth")


@register_backend("atomic", force=True)
class AtomicBackend(LocalBackend):
    """Local files that are never half-written: mmengine's `backend_args=dict(backend='atomic')`."""

    def put(self, obj: bytes, filepath: str | os.PathLike) -> None:
        """Write bytes to a temporary file that then takes the place of `filepath`."""
        write_bytes(filepath, bytes(obj))

    def put_text(self, obj: str, filepath: str | os.PathLike, encoding: str = "utf-8") -> None:
        """Write text to a temporary file that then takes the place of `filepath`."""
        write_bytes(filepath, obj.encode(encoding))


class _LateRemoval(AtomicBackend):
    """A backend that only notes what is to be removed."""

    def __init__(self) -> None:
        super().__init__()
        self.removed: list[str] = []

    def remove(self, filepath: str | os.PathLike) -> None:
        self.removed.append(os.fspath(filepath))


@HOOKS.register_module()
class AtomicCheckpointHook(CheckpointHook):
    """mmengine's `CheckpointHook`, with the order of its steps made safe.

    It writes the new checkpoint to a temporary file, renames it, and only then removes old ones:
    at every moment there is a complete checkpoint, whatever kills the process or fills the disk.
    Before writing, `before_checkpoint` is called on the hooks of every rank. Checkpoints hold
    tensors and plain values only, so that `torch.load(weights_only=True)` reads them anywhere.

    Args:
        **kwargs: As for `CheckpointHook`.
    """

    def __init__(self, **kwargs: object) -> None:
        super().__init__(**{**kwargs, "backend_args": {"backend": "atomic"}})

    def before_train(self, runner: Runner) -> None:
        """Prepare the folder; remove what an interrupted write left."""
        super().before_train(runner)
        if is_main_process():
            for leftover in Path(self.out_dir).glob(".*.tmp*"):
                leftover.unlink(missing_ok=True)

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Turn mmengine's history objects into tensors."""
        pack_history(checkpoint["message_hub"])

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
            write_text(Path(runner.work_dir) / "last_checkpoint", self.last_ckpt)
            for path in outdated:
                path.unlink(missing_ok=True)

    def _outdated(self, runner: Runner, step: int) -> list[Path]:
        """Note `step` as kept and return the checkpoints that it makes superfluous.

        The list that the checkpoint itself carries still names them: a run that is killed before
        they are removed does it when it resumes.
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
        """Carry out the removals of the block when it has succeeded, except of what it wrote."""
        backend, self.file_backend = self.file_backend, _LateRemoval()
        try:
            yield
            best = getattr(self, "best_ckpt_path", None)
            current = {best, *getattr(self, "best_ckpt_path_dict", {}).values()}
            for path in set(self.file_backend.removed) - current:
                Path(path).unlink(missing_ok=True)
        finally:
            self.file_backend = backend


def find_checkpoint(work_dir: str | os.PathLike) -> Path | None:
    """Return the newest complete checkpoint of a work dir, or None if there is none.

    `last_checkpoint` names it, unless that file is missing or damaged, or the process was killed
    after it wrote a checkpoint and before it noted the name. Files that cannot be loaded are
    passed over with a line on stderr.
    """
    for path in _candidates(Path(work_dir)):
        try:
            checkpoint = load_checkpoint(path, stand_ins=False)
        except UserError as error:
            print(f"not resumed from {error.line}", file=sys.stderr)
            continue
        if isinstance(checkpoint, dict) and {"meta", "state_dict", "optimizer"} <= set(checkpoint):
            return path
        print(f"not resumed from {path}: it holds no training state", file=sys.stderr)
    return None


def _candidates(work_dir: Path) -> list[Path]:
    """Return the checkpoints of a work dir in the order in which to try them."""
    steps = {
        path: int(match[1])
        for path in work_dir.glob("*.pth")
        if (match := _STEP.fullmatch(path.name))
    }
    ranked = sorted(steps, key=steps.__getitem__, reverse=True)
    noted = _noted_checkpoint(work_dir)
    if noted not in steps:
        return ranked
    # A higher number alone may be of an earlier run in the same folder.
    age = noted.stat().st_mtime_ns
    newer = [p for p in ranked if steps[p] > steps[noted] and p.stat().st_mtime_ns > age]
    return [*newer, noted, *(p for p in ranked if p not in {noted, *newer})]


def _noted_checkpoint(work_dir: Path) -> Path | None:
    """Return the checkpoint that `last_checkpoint` names, wherever the folder was moved since."""
    try:
        text = (work_dir / "last_checkpoint").read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError):
        return None
    return work_dir / Path(text).name if text and "\0" not in text else None
