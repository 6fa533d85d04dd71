"""Settings of the command line that reach no part of a config are said."""

import pytest

from ibn_seg.run.config_loading import load_named


@pytest.mark.parametrize(
    ("key", "said"),
    [
        ("norm_cfg.type", "no command reads norm_cfg by itself; its value also stands in "
         "model.backbone.norm_cfg, model.decode_head.norm_cfg, which keep it: set these"),
        ("load", "no command reads load by itself; set the keys that the config makes of it"),
        ("max_iters", "the config has no max_iters, and no command reads it"),
    ],
)  # fmt: skip
def test_a_variable_of_the_config_is_named_with_the_places_of_its_value(tiny, capsys, key, said):
    assert load_named(tiny, {key: 7})[key.partition(".")[0]]
    assert capsys.readouterr().err == f"--cfg-options: {said}\n"


def test_what_is_read_is_not_named(tiny, capsys):
    options = {"train_cfg.max_iters": 2, "load_from": "x.pth", "channels_last": True}
    load_named(tiny, {**options, "data_preprocessor": {}})
    assert "data_preprocessor" in capsys.readouterr().err
    load_named(tiny, {**options, "test_pipeline": []}, reads=("test_pipeline",))
    assert capsys.readouterr().err == ""
