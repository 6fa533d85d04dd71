"""The plans of foundation models: their cells, and the networks that their options build."""

import pytest
import torch

from ibn_seg.benchmark.cells import list_cells
from ibn_seg.benchmark.plan import read_plan
from ibn_seg.foundation.timm_models import preprocessing
from ibn_seg.plugins.timm_backbone import TimmBackbone

PLANS = {"foundation_embedded": 6, "foundation_gta5": 3 * (5 * 4 + 3)}


@pytest.mark.parametrize(
    "name", ["foundation_embedded", pytest.param("foundation_gta5", marks=pytest.mark.slow)]
)
def test_the_networks_of_a_plan_fit_their_heads(name):
    """Built at their real size, without data; nothing is downloaded."""
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
