"""torch.hub, from this checkout."""

from pathlib import Path

import pytest
import torch

from ibn_seg.models import list_models
from ibn_seg.models.specs import MODELS

ROOT = str(Path(__file__).resolve().parents[2])


def test_every_model_is_an_entry_point():
    hubconf = torch.hub._import_module("hubconf", f"{ROOT}/hubconf.py")
    for name in list_models():
        assert MODELS[name].title in getattr(hubconf, name).__doc__
    assert hubconf.dependencies == ["torch", "numpy"]


@pytest.mark.parametrize("name", ["resnet18_ibn_b", "densenet121_ibn_a"])
def test_load(name):
    model = torch.hub.load(ROOT, name, source="local", num_classes=3).eval()
    assert model(torch.zeros(1, 3, 64, 64)).shape == (1, 3)
