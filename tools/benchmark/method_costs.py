"""What each method costs over batch norm alone, as JSON and a Markdown table.

    python tools/benchmark/method_costs.py work_dirs/costs [--repeats 15] [--methods BN,IBN-a,ISW]
        [--config ibn_seg::demo/mlp_r18_1xb8-600_scenes-128x128] [--json FILE]

trains every method for a few steps in one process. The methods take turns, so that what else the
machine does meets them alike; ratios are medians of the ratios to BN within the turns. They read a
batch, learn from it, and segment one picture of noise. Losses that begin late begin at once.
Methods at test time are left out: they train as the network that they adapt. Scenes are rendered
into the folder first. Saved memory is what autograd keeps for the backward pass.
"""

import argparse
import functools
import os
import platform
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from mmengine.runner import BaseLoop
from timing import options, ratio, start, turns

from ibn_seg.analyses.speed.measure import noise, predictor
from ibn_seg.config import load_config
from ibn_seg.engine.runner import StrictRunner
from ibn_seg.io import write_json
from ibn_seg.methods.all_methods import BASELINE, METHODS, find_method
from ibn_seg.provenance import cpu, git_commit, versions
from ibn_seg.run import setup
from ibn_seg.scenes import write_pair

CONFIG = "ibn_seg::demo/mlp_r18_1xb8-600_scenes-128x128"
PARTS = ("read", "learn", "predict")
PICTURE = (256, 128)


class SteppingRunner(StrictRunner):
    """A runner whose training does nothing, so that single steps can be taken afterwards."""

    def build_train_loop(self, loop: BaseLoop | dict) -> BaseLoop:
        """Build the loop, and let `train` only prepare everything."""
        built = super().build_train_loop(loop)
        built.run = lambda: self._prepare(built)
        return built

    def _prepare(self, loop: BaseLoop) -> None:
        self._train_loop = loop
        self.call_hook("before_train")
        self.call_hook("before_train_epoch")


class Row:
    """A method's network, which reads, learns and predicts.

    Args:
        name: The method.
        config: The config that it changes.
        folder: Where its run writes.
    """

    def __init__(self, name: str, config: str, folder: Path) -> None:
        cfg = load_config(config)
        find_method(name).apply(cfg)
        for hook in cfg.get("custom_hooks") or ():
            if "begin" in hook:  # a loss whose statistics are taken late
                hook.update(begin=0.0, images=8, trials=1)
        cfg = setup.prepare(
            cfg, work_dir=folder / name.replace(" ", "_"), cfg_options=None, launcher="none",
            quiet=True,
        )  # fmt: skip
        setup.set_training(cfg, seed=0, amp=False)
        cfg.val_dataloader = cfg.val_cfg = cfg.val_evaluator = None
        cfg.test_dataloader = cfg.test_cfg = cfg.test_evaluator = None
        self.runner = SteppingRunner.from_cfg(cfg)
        self.runner.train()
        self.loop = self.runner.train_loop
        self.batches = self.loop.batches()
        self.batch: Any = None
        self.predict_one = predictor(self.runner.model, noise(PICTURE, 0, torch.device("cpu")))

    def read(self) -> None:
        """Read the next batch, with all changes of images."""
        self.batch = next(self.batches)

    def learn(self) -> None:
        """Take one training step, hooks included."""
        self.loop.run_iter(self.batch)

    @torch.inference_mode()
    def predict(self) -> None:
        """Segment one picture."""
        self.predict_one()

    def facts(self) -> dict[str, float]:
        """Return the parameters, and MiB that a training step keeps for the backward pass."""
        kept: dict[int, int] = {}

        def note(value: torch.Tensor) -> torch.Tensor:
            storage = value.untyped_storage()
            kept[storage.data_ptr()] = storage.nbytes()
            return value

        self.read()
        with torch.autograd.graph.saved_tensors_hooks(note, lambda value: value):
            self.learn()
        parameters = sum(one.numel() for one in self.runner.model.parameters())
        return {"parameters": parameters, "saved_mib": sum(kept.values()) / 2**20}


def measured(args: argparse.Namespace, names: list[str]) -> dict[str, Any]:
    """Return the content of the JSON file."""
    stopwatch = start(args)
    rows = {name: Row(name, args.config, args.work_dir / "runs") for name in names}
    facts = {name: row.facts() for name, row in rows.items()}
    times = {part: turns(_timed(rows, part, stopwatch), args.repeats) for part in PARTS}
    return {
        "kind": "method costs", "config": args.config, "repeats": args.repeats,
        "threads": args.threads, "cpu": cpu(), "platform": platform.platform(),
        "commit": git_commit(), "versions": versions(),
        "methods": {
            name: {**facts[name], **{part: times[part][name] for part in PARTS}} for name in names
        },
    }  # fmt: skip


def _timed(
    rows: dict[str, Row], part: str, stopwatch: Callable[[Callable[[], object]], float]
) -> dict[str, Callable[[], float]]:
    """Return, by method, what returns the seconds of a part."""
    for row in rows.values():
        row.runner.model.train(part != "predict")
    return {name: functools.partial(stopwatch, getattr(row, part)) for name, row in rows.items()}


def table(found: dict[str, Any]) -> str:
    """Return the Markdown table of a JSON file's content."""
    methods = found["methods"]
    base = methods[BASELINE]
    lines = [
        "| method | reading a batch | training step | inference | parameters | saved MiB |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    for name, one in methods.items():
        cells = [ratio(one[part], base[part]).replace(" | ", " (") + ")" for part in PARTS]
        more = one["parameters"] - base["parameters"]
        lines.append(f"| {name} | {' | '.join(cells)} | {more:+,} | {one['saved_mib']:.0f} |")
    return "\n".join(lines)


def main() -> None:
    """Render what is missing, measure, and print the table."""
    parser = options(__doc__.partition("\n")[0])
    parser.add_argument("work_dir", type=Path)
    parser.add_argument("--config", default=CONFIG)
    parser.add_argument("--methods", help="names with commas between; default: all that train")
    parser.add_argument("--json", type=Path, help="where to write what was measured")
    args = parser.parse_args()
    names = args.methods.split(",") if args.methods else [
        name for name, method in METHODS.items() if method.kind != "test time"
    ]  # fmt: skip
    names = list(dict.fromkeys([BASELINE, *names]))
    scenes = args.work_dir / "scenes"
    write_pair(scenes, source_frames=60, target_train=0, target_val=1)
    os.environ["IBN_SEG_SCENES"] = str(scenes.resolve())
    setup.register()
    found = measured(args, names)
    if args.json:
        write_json(args.json, found)
    print(table(found))


if __name__ == "__main__":
    main()
