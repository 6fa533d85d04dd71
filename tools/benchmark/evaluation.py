"""Evaluation of full-size images by mmseg's test loop and by ours, as Markdown tables.

    python tools/benchmark/evaluation.py work_dirs/evaluation [--images 2] [--rounds 3]
        [--size 2048x1024] [--threads 2] [--cpu-time] [--config CONFIG --checkpoint FILE]

renders frames into the folder once. All rows have the same weights and take turns, so that what
else the machine does meets them alike; ratios are medians of the ratios within the turns. mmseg's
row is mmengine's `TestLoop` with mmseg's data set and `IoUMetric`; ours is `ibn-seg test`. Each is
a process of its own, which treats freed memory as the programs do; peak memory is its largest
resident set (Linux). The default network is a DeepLabV3+ on a ResNet-18 with random weights, scaled
so that it predicts every class. Where there is a GPU, networks run on it. Where others use the
machine, --cpu-time with --threads 1 counts the processor's time.
"""

import argparse
import contextlib
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import mmcv
import numpy as np
import torch
from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.registry import init_default_scope
from mmengine.runner import Runner
from row_processes import take_turns
from timing import clock
from torch import nn

from ibn_seg.command_options import Size
from ibn_seg.config import config_folder, load_config
from ibn_seg.datasets.labels import CLASSES
from ibn_seg.evaluation.confusion import confusion_matrix, scores
from ibn_seg.heap import keep_freed_memory
from ibn_seg.io import atomic_path
from ibn_seg.run.runners import trained_runner
from ibn_seg.run.setup import fuse_network, register, without_pretraining
from ibn_seg.scenes import cityscapes_frames, write_frames

BASE = "mmseg"
# What is changed in ours, by the name of the row.
ROWS = {
    BASE: {},
    "ours": {},
    "ours, channels_last": dict(channels_last=True),
    "ours, --fuse": dict(fuse=True),
    "ours, channels_last, --fuse": dict(channels_last=True, fuse=True),
}
STEPS = ("decode", "network", "upsampling + argmax", "metric")
META = ("img_path", "ori_shape", "img_shape", "target")


def network(config: str | None) -> dict:
    """Return a model's config without the sources of its weights and for one process."""
    if config is not None:
        model = load_config(config).model
    else:
        path = config_folder() / "_base_/models/deeplabv3plus_r50-d16.py"
        model = Config.fromfile(path).model
        model.backbone.depth = 18
        model.decode_head.update(in_channels=512, c1_in_channels=64)
        for part in (model.backbone, model.decode_head):
            part.norm_cfg = dict(type="BN")
        model.auxiliary_head = None
    without_pretraining(model)
    return model


def loader(dataset: dict, labels: str) -> dict:
    """Return the data loader of a data set, in the process itself."""
    steps = ("LoadImageFromFile", labels)
    pipeline = [*(dict(type=step) for step in steps), dict(type="PackSegInputs", meta_keys=META)]
    return dict(
        batch_size=1,
        num_workers=0,
        sampler=dict(type="DefaultSampler", shuffle=False),
        dataset=dict(dataset, pipeline=pipeline),
    )


@contextlib.contextmanager
def runner_of(name: str, model: dict, checkpoint: Path, work: Path) -> Iterator[Runner]:
    """Yield the runner of a row, weights loaded."""
    root, folder = str(work / "cityscapes"), str(work / "runs" / name.replace(" ", "_"))
    common = dict(model=model, test_cfg=dict(type="TestLoop"), default_scope="mmseg")
    if name == BASE:
        prefix = dict(img_path="leftImg8bit/val", seg_map_path="gtFine/val")
        dataset = dict(type="CityscapesDataset", data_root=root, data_prefix=prefix)
        cfg = Config(
            dict(
                common,
                work_dir=folder,
                log_level="ERROR",
                load_from=str(checkpoint),
                experiment_name=f"mmseg_{time.time_ns()}",
                test_dataloader=loader(dataset, "LoadAnnotations"),
                test_evaluator=dict(type="IoUMetric"),
            )
        )
        yield Runner.from_cfg(cfg)
        return
    options = dict(ROWS[name])
    fuse = options.pop("fuse", False)
    dataset = dict(type="RawCityscapesDataset", data_root=root, split="val")
    cfg = Config(
        dict(
            common,
            **options,
            test_dataloader=loader(dataset, "LoadUrbanLabels"),
            test_evaluator=dict(type="MultiDomainIoU"),
        )
    )
    with trained_runner(
        cfg, checkpoint, default_folder="test", work_dir=folder, quiet=True
    ) as runner:
        if fuse:
            fuse_network(runner.model)
        yield runner


class Row(Hook):
    """A runner whose parts are timed, and the labels that it predicted.

    Args:
        runner: The runner; parts of it are replaced by timed ones.
        now: The clock.
    """

    needs_logits = False
    priority = "LOWEST"

    def __init__(self, runner: Runner, now: Callable[[], float]) -> None:
        self.runner, self.now = runner, now
        self.spent: dict[str, float] = {}
        self.labels: list[np.ndarray] = []
        self.pairs: list[np.ndarray] = []
        self.images = len(runner.test_dataloader.dataset)
        model, loop = runner.model, runner.test_loop
        for part, method, step in (
            (loop.dataloader.dataset, "prepare_data", "decode"),
            (model, "test_step", "whole step"),
            (model.data_preprocessor, "forward", "network"),
            (model, "extract_feat", "network"),
            (model.decode_head, "forward", "network"),
            (loop.evaluator, "process", "metric"),
            (loop.evaluator, "evaluate", "metric"),
        ):
            setattr(part, method, self._timed(getattr(part, method), step))
        runner.register_hook(self)

    def _timed(self, action: Callable, step: str) -> Callable:
        def run(*args: Any, **kwargs: Any) -> Any:
            start = self.now()
            result = action(*args, **kwargs)
            self.spent[step] = self.spent.get(step, 0.0) + self.now() - start
            return result

        return run

    def after_test_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Any = None
    ) -> None:
        """Keep the labels of the first turn."""
        if len(self.labels) < self.images:
            (sample,) = outputs
            predicted = sample.pred_sem_seg.data.cpu().numpy().astype(np.uint8)
            truth = sample.gt_sem_seg.data.cpu().numpy().astype(np.uint8)
            self.labels.append(predicted)
            self.pairs.append(confusion_matrix(predicted, truth, len(CLASSES)))

    def turn(self) -> dict[str, float]:
        """Evaluate all images once; return seconds per image by step, and in all."""
        self.spent.clear()
        start = self.now()
        self.runner.test()
        spent = {"all": self.now() - start, **self.spent}
        spent["upsampling + argmax"] = spent.pop("whole step") - spent["network"]
        return {step: seconds / self.images for step, seconds in spent.items()}

    @property
    def miou(self) -> float:
        """Mean IoU of the first turn in percent."""
        return scores(np.sum(self.pairs, axis=0), CLASSES).mIoU


def synchronised(clock: Callable[[], float]) -> Callable[[], float]:
    """Return a clock that is read after the GPU has done what it was given."""

    def now() -> float:
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        return clock()

    return now


def own_peak() -> float:
    """Return the largest resident set of this process so far in MiB; NaN where it is unknown."""
    # Not `resource.getrusage`, which begins with what the parent had.
    status = Path("/proc/self/status")
    lines = status.read_text().splitlines() if status.exists() else []
    sizes = [int(line.split()[1]) / 2**10 for line in lines if line.startswith("VmHWM:")]
    return sizes[0] if sizes else float("nan")


@dataclass(frozen=True)
class Outcome:
    """What a row's process found: labels (images, H, W), mIoU in percent, peak memory in MiB."""

    labels: np.ndarray
    miou: float
    peak: float


def serve(pipe: Connection, args: argparse.Namespace, name: str, checkpoint: Path) -> None:
    """Take turns until the outcome is asked for."""
    if name != BASE:
        keep_freed_memory()
    register()
    init_default_scope("mmseg")
    with runner_of(name, network(args.config), checkpoint, args.work_dir) as runner:
        row = Row(runner, synchronised(clock(args.cpu_time, args.threads)))
        # mmengine may set it while it builds a runner.
        torch.set_num_threads(args.threads)
        while pipe.recv() == "turn":
            pipe.send(row.turn())
        pipe.send(Outcome(np.stack(row.labels), row.miou, own_peak()))


def print_times(turns: dict[str, list[dict[str, float]]], outcomes: dict[str, Outcome]) -> None:
    """Print the table of times."""
    print(f"| row | {', ms | '.join(STEPS)}, ms | images/s | times mmseg | peak memory, MiB |")
    print(f"| --- |{' ---: |' * (len(STEPS) + 3)}")
    for name, rows in turns.items():
        spent = [f"{1e3 * statistics.median(row[step] for row in rows):.1f}" for step in STEPS]
        each = statistics.median(row["all"] for row in rows)
        pairs = zip(rows, turns[BASE], strict=True)
        ratio = statistics.median(base["all"] / row["all"] for row, base in pairs)
        peak = outcomes[name].peak
        print(f"| {name} | {' | '.join(spent)} | {1 / each:.3f} | {ratio:.2f} | {peak:.0f} |")


def print_differences(outcomes: dict[str, Outcome]) -> None:
    """Print how far the labels of each row are from mmseg's."""
    print("\n| row | share of pixels that differ | mIoU - mmseg's, points |")
    print("| --- | ---: | ---: |")
    base = outcomes[BASE]
    for name, found in outcomes.items():
        if name != BASE:
            share = (found.labels != base.labels).mean()
            print(f"| {name} | {share:.1e} | {found.miou - base.miou:+.4f} |")


def main() -> None:
    """Render what is missing, measure, and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("work_dir", type=Path)
    parser.add_argument("--images", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--size", default="2048x1024")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--cpu-time", action="store_true")
    parser.add_argument("--config")
    parser.add_argument("--checkpoint", type=Path)
    args = parser.parse_args()
    clock(args.cpu_time, args.threads)  # refuses what it cannot count
    register()
    init_default_scope("mmseg")
    checkpoint = args.checkpoint or args.work_dir / "random.pth"
    write_inputs(args, network(args.config), checkpoint)
    turns, outcomes = take_turns(ROWS, serve, lambda name: (args, name, checkpoint), args.rounds)
    device = "GPU" if torch.cuda.is_available() else "CPU"
    print(f"PyTorch {torch.__version__}, {device}, {args.threads} threads, {args.images} images of")
    print(f"{args.size}, {args.rounds} turns; times are of one image\n")
    print_times(turns, outcomes)
    print_differences(outcomes)
    if device == "CPU":
        print("\nGPU: not measured, there is none.")


def write_inputs(args: argparse.Namespace, model: dict, checkpoint: Path) -> None:
    """Write the frames and, where none are given, random weights, unless they are there."""
    frames = cityscapes_frames(args.work_dir / "cityscapes", "val", args.images)
    write_frames(frames, size=Size().convert(args.size, None, None))
    if args.checkpoint is None:
        from mmseg.registry import MODELS

        torch.manual_seed(0)
        built = MODELS.build(model)
        built.init_weights()
        frame = mmcv.imread(str(frames[0].image))[::2, ::2]
        scale(built, torch.from_numpy(frame.copy()).permute(2, 0, 1))
        with atomic_path(checkpoint) as temporary:
            torch.save({"state_dict": built.state_dict()}, temporary)


@torch.no_grad()
def scale(segmentor: nn.Module, image: torch.Tensor) -> None:
    """Let every norm see its own statistics, and every class have the same mean and deviation."""
    norms = [part for part in segmentor.modules() if isinstance(part, nn.BatchNorm2d)]
    for norm in norms:
        norm.momentum = 1.0
    batch = segmentor.data_preprocessor({"inputs": [image, image.flip(2)]})["inputs"]
    segmentor.train().decode_head(segmentor.extract_feat(batch))
    logits = segmentor.eval().decode_head(segmentor.extract_feat(batch))
    deviations, means = torch.std_mean(logits, dim=(0, 2, 3))
    last = segmentor.decode_head.conv_seg
    last.weight /= deviations[:, None, None, None]
    last.bias.sub_(means).div_(deviations)


if __name__ == "__main__":
    main()
