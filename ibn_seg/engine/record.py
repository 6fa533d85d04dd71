"""Keep a run's measurements, so that an interrupted run ends with the same record."""

import time
from pathlib import Path
from typing import Any

from mmengine.dist import is_main_process
from mmengine.hooks import Hook
from mmengine.registry import HOOKS
from mmengine.runner import Runner

from ibn_seg.engine.class_checks import classes_of, tell_classes
from ibn_seg.engine.sampling import members
from ibn_seg.errors import UserError
from ibn_seg.evaluation.stored import (
    CONFUSION_FILES,
    StoredConfusions,
    image_names,
    read_step,
    write_confusions,
)
from ibn_seg.io import read_json, write_json
from ibn_seg.provenance import peak_memory_mib, reset_peak_memory

VALIDATIONS = "validations.json"
# What an ended training leaves (`ibn_seg.run.result_file`).
_RESULT = "result.json"
_CURVE_POINTS = 1000


@HOOKS.register_module()
class RunRecordHook(Hook):
    """Keep all validations, the time and the memory of a run across interruptions.

    Every validation is written to `WORK_DIR/validations.json` when it ends. So none is repeated or
    lost if the process is killed. The confusion matrices per image of the last validation, and of a
    test, go to separate files (`ibn_seg.evaluation.stored`). Checkpoints carry the time and memory.
    Time after the last checkpoint of an interrupted part is unknown and not counted.

    Attributes:
        validations: One dict per validation: "iter", "metrics" (flat, unrounded), "domains" (nested
            results per domain, from the metric), and "confusions". The last is the file of the
            matrices per image, which later validations replace, or None.
        resumed_at: The iterations at which the run was resumed.
        changed: Settings that differ from the config with which the resumed run began.
        resumed_with: "iter" and "changed" of every resumption with changes.
    """

    # Before checkpoints and before progress.
    priority = "BELOW_NORMAL"

    def __init__(self) -> None:
        self.validations: list[dict] = []
        self.resumed_at: list[int] = []
        self.changed: list[str] = []
        self.resumed_with: list[dict] = []
        self._started = time.monotonic()
        self._earlier = {"wall_time_s": 0.0, "peak_memory_mib": 0.0}
        self._loaded: dict = {}
        # The classes that the loaded weights were trained on and their colours, if they say.
        self.trained_classes: list[str] | None = None
        self.trained_palette: list[list[int]] | None = None
        # One process may run several networks one after the other.
        reset_peak_memory()

    @property
    def wall_time_s(self) -> float:
        """Seconds of this process and of the earlier ones of a resumed run."""
        return self._earlier["wall_time_s"] + time.monotonic() - self._started

    @property
    def peak_memory_mib(self) -> float:
        """The largest resident memory of any of these processes."""
        return max(self._earlier["peak_memory_mib"], peak_memory_mib())

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Keep the record until it is clear whether the run is resumed."""
        self._loaded = checkpoint.get("meta", {}).get("run", {})

    def before_train(self, runner: Runner) -> None:
        """Continue the record of the run, or begin a new one; remove an earlier result."""
        path = Path(runner.work_dir) / VALIDATIONS
        self.trained_classes = classes_of(runner.train_loop.dataloader.dataset)
        if runner.iter == 0:
            self.validations = []
        else:
            self._earlier.update({key: self._loaded.get(key, 0.0) for key in self._earlier})
            self.resumed_at = [*self._loaded.get("resumed_at", []), runner.iter]
            self.resumed_with = list(self._loaded.get("resumed_with", []))
            if changed := self.changed or getattr(runner, "schedule_changes", []):
                self.resumed_with.append({"iter": runner.iter, "changed": list(changed)})
            self.validations = [v for v in _read(path, runner) if v["iter"] <= runner.iter]
        last = self.validations[-1]["iter"] if self.validations else 0
        runner.message_hub.update_info("validated_iter", last)
        if is_main_process():
            # Of an earlier end of a training here; this one may be interrupted.
            (Path(runner.work_dir) / _RESULT).unlink(missing_ok=True)
            write_json(path, self.validations)

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Put the record into the checkpoint, with the config's description of the run."""
        checkpoint["meta"]["experiment"] = runner.cfg.to_dict().get("experiment")
        checkpoint["meta"]["run"] = {
            "wall_time_s": self.wall_time_s,
            "peak_memory_mib": self.peak_memory_mib,
            "resumed_at": self.resumed_at,
        }
        if self.resumed_with:
            checkpoint["meta"]["run"]["resumed_with"] = self.resumed_with

    def before_val(self, runner: Runner) -> None:
        """Tell the metrics about classes and data; ranks exchange results in the work dir."""
        self._tell_metrics(runner, runner.val_evaluator.metrics, runner.val_dataloader.dataset)

    def before_test(self, runner: Runner) -> None:
        """Tell the metrics about classes and data; ranks exchange results in the work dir."""
        self._tell_metrics(runner, runner.test_evaluator.metrics, runner.test_dataloader.dataset)

    def after_val_epoch(self, runner: Runner, metrics: dict[str, float] | None = None) -> None:
        """Record a validation."""
        self._record(runner, metrics, "train", runner.iter)
        runner.message_hub.update_info("validated_iter", runner.iter)
        if is_main_process():
            write_json(Path(runner.work_dir) / VALIDATIONS, self.validations)

    def after_test_epoch(self, runner: Runner, metrics: dict[str, float] | None = None) -> None:
        """Record a test."""
        self._record(runner, metrics, "test", 0)

    def validated(self, runner: Runner) -> bool:
        """Tell, on the first rank, whether the last validation and its file are for these weights.

        The file is replaced before the validation is noted. A kill in between therefore leaves a
        validation to repeat, never a note without its file.
        """
        last = self.validations[-1] if self.validations else None
        if last is None or last["iter"] != runner.iter:
            return False
        try:
            # Without scores by domain there would be no such file.
            path = Path(runner.work_dir) / CONFUSION_FILES["train"]
            return not last["domains"] or read_step(path) == runner.iter
        except UserError:
            return False

    def _tell_metrics(self, runner: Runner, metrics: list, dataset: Any) -> None:
        for metric in metrics:
            if runner.world_size > 1 and getattr(metric, "collect_device", None) == "cpu":
                metric.collect_dir = str(Path(runner.work_dir) / ".collected")
            if hasattr(metric, "roots"):
                metric.roots = _data_roots(dataset)
        tell_classes(runner.model, metrics, dataset, self.trained_classes)

    def _record(self, runner: Runner, metrics: dict | None, kind: str, step: int) -> None:
        evaluator = runner.val_evaluator if kind == "train" else runner.test_evaluator
        domains: dict[str, dict] = {}
        for metric in evaluator.metrics:
            domains.update(getattr(metric, "domain_results", None) or {})
        entry = {
            "iter": step,
            "metrics": {key: plain_number(value) for key, value in (metrics or {}).items()},
            "domains": domains,
            "confusions": _store_confusions(runner, evaluator.metrics, kind, step),
        }
        self.validations = [*(v for v in self.validations if v["iter"] < step), entry]


def curves(runner: Runner, validations: list[dict]) -> dict:
    """Return the training curves.

    Returns:
        "iter", "loss" and "lr" of equal length, at most a thousand points, and "val". Each point
        has the mean loss of the `every` iterations that end at `iter`, and the learning rate at
        `iter`. "val" has the flat metrics of each validation with its "iter".
    """
    scalars = runner.message_hub.log_scalars
    loss = scalars["train/loss"].data[0] if "train/loss" in scalars else []
    rate = scalars["train/lr"].data[0] if "train/lr" in scalars else [0.0] * len(loss)
    every = max(1, -(-len(loss) // _CURVE_POINTS))
    ends = [*range(every, len(loss), every), len(loss)] if len(loss) else []
    starts = [0, *ends[:-1]]
    return {
        "every": every,
        "iter": ends,
        "loss": [plain_number(loss[a:b].mean()) for a, b in zip(starts, ends, strict=True)],
        "lr": [plain_number(rate[end - 1]) for end in ends],
        "val": [{"iter": v["iter"], **v["metrics"]} for v in validations],
    }


def plain_number(value: Any) -> Any:
    """Return a number as JSON can hold it: NumPy's as Python's, not-a-number as None."""
    if hasattr(value, "item"):
        value = value.item()
    if isinstance(value, float) and value - value != 0.0:
        return None
    return value


def _data_roots(dataset: Any) -> list[str]:
    """Return the data roots of a data set and of its members."""
    inner = [*getattr(dataset, "datasets", ()), getattr(dataset, "dataset", None)]
    roots = [root for part in inner if part is not None for root in _data_roots(part)]
    own = getattr(dataset, "data_root", None)
    return [str(own), *roots] if own else roots


def training_images(dataset: Any) -> list[str] | None:
    """Return names of a data set's images that do not depend on where the data lie.

    Several data sets in one may have images with the same name.

    Args:
        dataset: Data sets below wrappers and concatenations.

    Returns:
        None if one of them does not name the files it reads.
    """
    names: list[str] = []
    for member in members(dataset):
        if not hasattr(member, "get_data_info"):
            return None
        infos = [member.get_data_info(index) for index in range(len(member))]
        names += image_names([info.get("img_path") for info in infos], _data_roots(member))
    return names


def _store_confusions(runner: Runner, metrics: list, kind: str, step: int) -> str | None:
    """Write the confusion matrices per image on the first rank; return the file's name, if any."""
    domains, classes = {}, ()
    for metric in metrics:
        if counted := getattr(metric, "image_confusions", None):
            domains.update(counted)
            classes = metric.network_classes
    if not domains or not is_main_process():
        return None
    name = CONFUSION_FILES[kind]
    write_confusions(Path(runner.work_dir) / name, StoredConfusions(classes, domains, step))
    return name


def _read(path: Path, runner: Runner) -> list[dict]:
    """Return the recorded validations of a resumed run.

    Raises:
        UserError: They cannot be read, so they would be replaced.
    """
    if not path.is_file():
        runner.logger.info(
            f"{path}: no such file, so validations before iteration {runner.iter} are not recorded",
            extra={"notice": True},
        )
        return []
    try:
        found = read_json(path)
        if all(isinstance(entry["iter"], int) for entry in found):
            return found
    except (OSError, TypeError, KeyError, UserError) as error:
        raise _unreadable(path) from error
    raise _unreadable(path)


def _unreadable(path: Path) -> UserError:
    return UserError(
        f"{path}: no list of validations", "delete it to go on without those that it held"
    )
