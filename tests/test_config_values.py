"""Configs of either style hold names and plain values, and their text can be read again."""

import os

import pytest

from ibn_seg.config import load_config
from ibn_seg.config_values import check_writable_values
from ibn_seg.errors import UserError

pytest.importorskip("mmseg")

PURE = """
import os
from math import pi
from pathlib import Path
from mmengine.dataset import DefaultSampler
from mmseg.models import FCNHead
from ibn_seg.datasets.labels import NUM_CLASSES
def helper():
    return 2
head = dict(type=FCNHead, num_classes=NUM_CLASSES, channels=helper())
parts = [dict(type=DefaultSampler), (dict(type=FCNHead), )]
root = Path('data') / 'gta5'
separator = os.sep
circle = pi
"""
PLAIN = {
    "head": {"type": "mmseg.models.FCNHead", "num_classes": 19, "channels": 2},
    "parts": [{"type": "mmengine.dataset.DefaultSampler"}, ({"type": "mmseg.models.FCNHead"},)],
    "root": "data/gta5",
    "separator": os.sep,
    "circle": 3.141592653589793,
}


def written(path, text):
    path.write_text(text)
    return path


def test_the_pure_python_style_becomes_names_and_values(tmp_path):
    config = load_config(written(tmp_path / "pure.py", PURE))
    assert config.to_dict() == PLAIN


def test_what_is_dumped_is_read_as_the_same(tmp_path):
    config = load_config(written(tmp_path / "pure.py", PURE))
    again = load_config(written(tmp_path / "dumped.py", config.pretty_text))
    assert again.to_dict() == config.to_dict()
    assert load_config(config).to_dict() == config.to_dict()


def test_helpers_of_the_old_style_are_no_settings(tmp_path):
    text = (
        "import os.path as osp\nfrom pathlib import Path\nfrom os import environ\n"
        "from functools import partial\nfrom math import sqrt\n"
        "class Helper: pass\nhalf = partial(pow, 2)\n"
        "data_root = Path(osp.join('data', 'gta5'))\nlr = sqrt(4)\nnumber = lambda: 1\n"
    )
    config = load_config(written(tmp_path / "old.py", text))
    assert config.to_dict() == {"data_root": "data/gta5", "lr": 2.0}
    check_writable_values(config)


def test_classes_and_numpy_in_a_config_made_in_python():
    import numpy as np
    from mmengine.config import Config
    from mmseg.models import FCNHead

    made = Config({"model": {"type": FCNHead, "mean": np.array([1.5, 2.0]), "n": np.int64(3)}})
    model = load_config(made).to_dict()["model"]
    assert model == {
        "type": "mmseg.models.decode_heads.fcn_head.FCNHead", "mean": [1.5, 2.0], "n": 3
    }  # fmt: skip
    assert made.model.type is FCNHead


def test_an_imported_class_that_is_no_type_stays_a_class(tmp_path):
    text = "from mmseg.models import FCNHead\nmodel = dict(type=FCNHead, base=FCNHead)\n"
    config = load_config(load_config(written(tmp_path / "pure.py", text)))
    from mmseg.models import FCNHead

    assert config.model.base is FCNHead
    assert config.to_dict()["model"]["base"] == "mmseg.models.FCNHead"


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("a = dict(b=[1, lambda: 1])", r"a\.b\.1 is a function"),
        ("a = dict(b=dict(**{'class': 1}))", r"a\.b\.class"),
        ('a = {"it\'s": 1}', "it's"),
        ("import datetime\na = dict(b=datetime.date(2024, 1, 2))", r"a\.b is a date"),
    ],
)
def test_values_that_text_cannot_hold(tmp_path, text, key):
    with pytest.raises(UserError, match=key):
        check_writable_values(load_config(written(tmp_path / "odd.py", text + "\n")))


# Steps that mmcv and mmseg build of tuples alone, and such that take lists as they are.
STEPS = [
    {"type": "RandomCrop", "crop_size": (32, 24)},
    {"type": "CenterCrop", "crop_size": (32, 24)},
    {"type": "RandomResize", "scale": (64, 32), "ratio_range": [0.5, 2.0]},
    {"type": "RandomResize", "scale": [(64, 32), (128, 64)]},
    {"type": "RandomChoiceResize", "scales": [(64, 32), (128, 64)]},
    {
        "type": "RandomChoiceResize",
        "scales": [64, 128],
        "resize_type": "ResizeShortestEdge",
        "max_size": 256,
    },
    {"type": "RandomMosaic", "img_scale": (64, 32), "prob": 0.5},
    {"type": "CLAHE", "tile_grid_size": (8, 8)},
    {"type": "RGB2Gray", "weights": (0.3, 0.6, 0.1)},
    {"type": "RandomCutOut", "prob": 0.5, "n_holes": (1, 3), "cutout_shape": [[4, 4], [8, 8]]},
    {"type": "RandomFlip", "prob": [0.25, 0.5], "direction": ["horizontal", "vertical"]},
    {"type": "TestTimeAug", "transforms": [[{"type": "CenterCrop", "crop_size": (16, 8)}]]},
]


def test_a_config_from_json_has_the_tuples_of_its_pipelines(tmp_path):
    """JSON has none, and `Config.dump` writes lists; what takes lists keeps them."""
    import mmseg.datasets  # noqa: F401
    from mmengine.registry import init_default_scope
    from mmseg.registry import TRANSFORMS

    text = f"crop_size = (4, 4)\ntrain_pipeline = {STEPS}\ndata = dict(pipeline=train_pipeline)\n"
    written_as_python = load_config(written(tmp_path / "a.py", text))
    written_as_python.dump(tmp_path / "a.json")
    config = load_config(tmp_path / "a.json").to_dict()
    assert config["train_pipeline"] == config["data"]["pipeline"] == STEPS
    assert config["crop_size"] == [4, 4]
    init_default_scope("mmseg")
    for step in STEPS:
        assert TRANSFORMS.build(dict(step))
