"""Pictures of a few pixels are segmented, whatever the norms."""

import numpy as np
import pytest
import torch
from PIL import Image

from ibn_seg.predict.predict_pictures import predict
from ibn_seg.run.setup import register
from tests.helpers import write_image


@pytest.mark.parametrize("ibn", ["a", "b", None])
def test_one_pixel_and_six(tiny, tmp_path, ibn):
    register()
    from mmengine.config import Config
    from mmengine.registry import init_default_scope
    from mmseg.registry import MODELS

    init_default_scope("mmseg")
    cfg = Config.fromfile(tiny)
    cfg.model.backbone.ibn = ibn
    cfg.dump(tmp_path / "config.py")
    torch.save({"state_dict": MODELS.build(cfg.model).state_dict()}, tmp_path / "network.pth")
    for size in ((1, 1), (3, 2)):
        source = tmp_path / f"{size[0]}.png"
        write_image(source, np.full((*size, 3), 200, np.uint8))
        labels, painted = predict(
            tmp_path / "config.py", tmp_path / "network.pth", source, tmp_path / "out"
        )
        with Image.open(labels) as found:
            assert np.asarray(found).shape == size
            assert np.asarray(found).max() < 19
        assert painted.is_file()
