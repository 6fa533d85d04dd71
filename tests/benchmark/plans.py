"""Plans of tiny experiments."""

from pathlib import Path

from tests.tasks.tiny import write_experiment

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
