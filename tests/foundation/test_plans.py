"""The plans of foundation models: their cells, and the networks that their options build."""

import json
import re

import pytest
import torch
import yaml

from ibn_seg.benchmark.cells import list_cells
from ibn_seg.benchmark.plan import read_plan
from ibn_seg.config import config_folder
from ibn_seg.foundation.timm_models import preprocessing
from ibn_seg.leaderboard import write_leaderboard
from ibn_seg.plugins.timm_backbone import TimmBackbone
from tests.benchmark.plans import bench, states

PLANS = {"foundation_embedded": 6, "foundation_gta5": 3 * (5 * 4 + 3)}


@pytest.mark.parametrize(
    "name", ["foundation_embedded", pytest.param("foundation_gta5", marks=pytest.mark.slow)]
)
def test_the_networks_of_a_plan_fit_their_heads(name):
    """Built at their real size, without data; nothing is downloaded."""
    pytest.importorskip("timm")
    cells = list_cells(read_plan(f"ibn_seg::benchmark/{name}"))
    assert len(cells) == PLANS[name]
    seen = set()
    for cell in cells:
        model = cell.config.model
        if model.backbone.type != "TimmBackbone":
            continue
        assert model.backbone.tuning == cell.method.lower()
        if cell.backbone in seen:
            continue
        seen.add(cell.backbone)
        settings = {key: value for key, value in model.backbone.items() if key != "type"}
        with torch.device("meta"):
            backbone = TimmBackbone(**{**settings, "tuning": "frozen"})
        assert list(backbone.feature_channels) == list(model.decode_head.in_channels)
        own = preprocessing(model.backbone.model)
        assert list(model.data_preprocessor.mean) == pytest.approx(own.mean, abs=1e-2)
        assert list(model.data_preprocessor.std) == pytest.approx(own.std, abs=1e-2)
    assert len(seen) == len({cell.backbone for cell in cells} - {"ResNet-50"})


@pytest.mark.slow
def test_the_embedded_plan_runs_whole_with_few_iterations(tmp_path):
    """Every cell of it, on few scenes; what is left out are iterations and pictures alone."""
    text = (config_folder() / "benchmark" / "foundation_embedded.yaml").read_text()
    content = yaml.safe_load(text)
    few = dict.fromkeys(("target_train", "target_val", "adverse_train", "adverse_val"), 2)
    # Frames from 201 are the source's own validation.
    content["scenes"] = {**content["scenes"], **few, "source": 202}
    content["schedule"] = {"iterations": 2, "checkpoint_every": 2}
    plan = tmp_path / "plan.yaml"
    plan.write_text(yaml.safe_dump(content))
    done = bench(plan, tmp_path / "results")
    assert done.returncode == 0, done.stderr
    assert states(tmp_path / "results") == ["done"] * PLANS["foundation_embedded"]
    (page,) = write_leaderboard([tmp_path / "results"], tmp_path / "page.html", published="none")
    assert re.search(r"LoRA.*lora", page.read_text(), flags=re.DOTALL)
    records = [json.loads(path.read_text()) for path in tmp_path.rglob("cells/*/result.json")]
    assert {record["pretraining"] for record in records} == {"none"}
    for record in records:
        assert (record["trained_parameters"] == record["parameters"]) == (
            record["tuning"] == "full"
        )
