"""What the cache of decoded frames changes in the training time of the demo's network.

Three inputs train one network on the same crops in turn, so that a busy machine slows all alike:
the demo's own pipeline, `LoadRandomCrop` on the files, and `LoadRandomCrop` on a warm cache.

    python tools/benchmark/demo_input.py work_dirs/demo_input

renders the demo's scenes into the folder once, and prints a table in Markdown.
"""

import argparse
import json
import statistics
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from mmengine.config import Config

from ibn_seg.config import load_config
from ibn_seg.run.segmentation import train
from ibn_seg.run.setup import scenes_at
from ibn_seg.scenes import write_pair

CONFIG = "ibn_seg::demo/mlp_r18_1xb8-600_scenes-128x128"
INPUTS = ("the demo's pipeline", "LoadRandomCrop on files", "LoadRandomCrop on the cache")
CROP = dict(
    type="LoadRandomCrop", scale=(256, 128), ratio_range=(0.8, 1.6), crop_size=(128, 128),
    cat_max_ratio=0.75, flip_prob=0.5,
)  # fmt: skip
# Iterations at the start of a run that are not counted.
WARM_UP = 5


def main() -> None:
    """Train with each input in turn and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("work", help="folder for scenes and cache")
    parser.add_argument("--iterations", type=int, default=60)
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args()
    work = Path(args.work)
    write_pair(work / "scenes", source_frames=500, target_train=20, target_val=10, seed=1)
    with scenes_at(work / "scenes"):
        configs = {name: _config(name, work, args.iterations) for name in INPUTS}
        # Fills the cache: every frame once.
        _times(_config(INPUTS[2], work, 63))
        runs = {name: [] for name in INPUTS}
        for _ in range(args.rounds):
            for name, config in configs.items():
                runs[name].append(_times(config))
    print(f"{args.iterations} iterations, batch 8, medians of {args.rounds} interleaved rounds\n")
    print("| input | ms per iteration | of these waiting for data | training time, ratio |")
    print("| --- | ---: | ---: | ---: |")
    base = _median(runs[INPUTS[0]], "time")
    for name, rounds in runs.items():
        whole, waiting = _median(rounds, "time"), _median(rounds, "data_time")
        print(f"| {name} | {1000 * whole:.0f} | {1000 * waiting:.0f} | {whole / base:.2f} |")


def _config(name: str, work: Path, iterations: int) -> Config:
    """Return the demo's config with one of the inputs."""
    config = load_config(CONFIG)
    config.train_cfg.update(max_iters=iterations, val_interval=10 * iterations)
    config.default_hooks.logger.interval = 1
    config.log_processor = dict(by_epoch=False, window_size=1)
    dataset = config.train_dataloader.dataset
    if name != INPUTS[0]:
        dataset.pipeline = [CROP, dataset.pipeline[-1]]
    if name == INPUTS[2]:
        dataset.cache_dir = str(work / "cache")
    return config


def _times(config: Config) -> list[dict[str, float]]:
    """Train once and return what mmengine's timer logged for each iteration."""
    with tempfile.TemporaryDirectory() as folder:
        train(config, work_dir=folder, quiet=True, seed=0)
        (log,) = Path(folder).rglob("scalars.json")
        lines = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
    return [line for line in lines if "data_time" in line and "loss" in line][WARM_UP:]


def _median(rounds: list[list[dict[str, float]]], key: str) -> float:
    """Return the median over rounds of the mean over iterations, in seconds."""
    return statistics.median(statistics.fmean(line[key] for line in lines) for lines in rounds)


if __name__ == "__main__":
    main()
