"""Configs are found by path and by name, options apply, and mistakes are one line."""

import pytest

from ibn_seg.config import find_config, list_configs, load_config
from ibn_seg.errors import UserError

pytest.importorskip("mmengine")


def test_every_listed_config_is_found_by_its_name():
    assert len(list_configs()) >= 15
    for name in list_configs():
        assert find_config(f"ibn_seg::{name}").is_file()
        assert find_config(f"ibn_seg::{name}.py").is_file()


def test_wrong_names_get_the_nearest():
    with pytest.raises(UserError, match="did you mean ibn_seg::demo/mlp_r18-ibn-a"):
        find_config("ibn_seg::demo/mpl_r18-ibn-a_1xb8")
    with pytest.raises(UserError, match="no such config file"):
        find_config("nowhere/else.py")
    with pytest.raises(UserError, match="is a folder"):
        find_config(".")


@pytest.mark.parametrize(
    "base", ["_base_/models/fcn_r50-d8.py", "fcn/fcn_r50-d8_4xb2-40k_cityscapes-512x1024.py"]
)
def test_bases_of_mmseg_load_and_the_table_of_mmengine_is_put_back(tmp_path, base):
    from mmengine.config.utils import MODULE2PACKAGE

    pytest.importorskip("mmseg")
    before = dict(MODULE2PACKAGE)
    path = tmp_path / "mine.py"
    path.write_text(f"_base_ = ['mmseg::{base}']\nmodel = dict(backbone=dict(depth=101))\n")
    config = load_config(path)
    assert config.model.backbone.type == "ResNetV1c"
    assert config.model.backbone.depth == 101
    assert before == MODULE2PACKAGE


def test_options_apply_to_a_copy(tmp_path):
    path = tmp_path / "mine.py"
    path.write_text("a = dict(b=[1, 2])\n")
    config = load_config(path)
    changed = load_config(config, {"a.b": [3], "c": 4})
    assert (changed.a.b, changed.c) == ([3], 4)
    assert config.a.b == [1, 2]
    assert "c" not in config


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a = (", "cannot be loaded"),
        ("_base_ = 'gone.py'", r"gone\.py"),
        ("_base_ = 'mmseg::gone/gone.py'", "gone"),
        ("custom_imports = dict(imports=['not_there'])", "not_there"),
    ],
)
def test_broken_configs_are_one_line(tmp_path, text, words):
    path = tmp_path / "broken.py"
    path.write_text(text + "\n")
    with pytest.raises(UserError, match=words) as caught:
        load_config(path)
    assert "broken.py" in caught.value.line
    assert "\n" not in str(caught.value)


def test_options_that_do_not_fit(tmp_path):
    path = tmp_path / "mine.py"
    path.write_text("a = [1, 2]\n")
    with pytest.raises(UserError, match="--cfg-options"):
        load_config(path, {"a.7": 3})
