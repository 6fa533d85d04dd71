"""Plans of tiny experiments."""

import json
import subprocess
from pathlib import Path

from tests.tiny import run, write_experiment

PLAN = """
name: tiny
segmentors: {{FCN: {config}}}
backbones: {{ResNet-18: {{}}}}
methods:
  BN: {{model.backbone.ibn: null}}
  IBN-a: {{}}
seeds: [0]
schedule: {{iterations: {iterations}, checkpoint_every: 2}}
"""


def write_plan(folder: Path, more: str = "", iterations: int = 6) -> Path:
    """Write the data sets, the config and a plan of two cells; `more` are further keys."""
    config = write_experiment(folder)
    plan = folder / "plan.yaml"
    plan.write_text(PLAN.format(config=config, iterations=iterations) + more)
    return plan


MORE = """
analyses:
  divergence: {{images: 4, min_images: 2, size: [64, 32]}}
  robustness: {{severities: [5], corruptions: [gamma], domains: [gta5]}}
transfer:
  targets: {{cityscapes: {target}}}
  shares: [50]
  starts: [source]
  schedule: {{iterations: 4}}
"""
TARGET = """
_base_ = './tiny.py'
experiment = dict(source='cityscapes')
train_dataloader = dict(dataset=dict(
    _delete_=True, type='RawCityscapesDataset', data_root='{data}/cityscapes', split='train',
    pipeline={{{{_base_.train_dataloader.dataset.pipeline}}}}))
val_dataloader = dict(dataset=dict(datasets=[
    dict(type='RawCityscapesDataset', data_root='{data}/cityscapes', split='val')]))
test_dataloader = val_dataloader
val_evaluator = dict(source='cityscapes')
test_evaluator = val_evaluator
"""


def write_whole_plan(folder: Path, more: str = "", iterations: int = 6) -> Path:
    """Write a plan of one network and all that begins from it: `more` are further keys."""
    target = folder / "target.py"
    plan = write_plan(folder, MORE.format(target=target) + more, iterations)
    plan.write_text(plan.read_text().replace("  IBN-a: {}\n", ""))
    target.write_text(TARGET.format(data=folder))
    return plan


def bench(plan: Path, results: Path, *more: str) -> subprocess.CompletedProcess:
    """Run a plan by the command."""
    return run("benchmark", plan, "--results", results, *more)


def states(results: Path) -> list[str]:
    """Return the state of each cell by the index."""
    return [row["state"] for row in json.loads((results / "benchmark.json").read_text())["cells"]]
