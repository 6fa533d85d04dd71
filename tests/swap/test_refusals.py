"""What a user gets wrong with `ibn-seg swap`: one line, exit code 2, no file."""

import re

import pytest

pytest.importorskip("mmseg")

from ibn_seg.cli import run
from tests.swap.configs import BACKBONE, HEAD, segmentor, write_config

SWAP = ("--backbone", "resnet18_ibn_a")
HRNET = {
    "type": "HRNet",
    "multiscale_output": False,
    "extra": {
        f"stage{stage}": {
            "num_modules": 1, "num_branches": stage, "num_blocks": (1,) * stage,
            "block": "BOTTLENECK" if stage == 1 else "BASIC",
            "num_channels": tuple(8 * 2**branch for branch in range(stage)),
        }
        for stage in (1, 2, 3, 4)
    },
}  # fmt: skip
CONFIGS = {
    "no model": ({"model": None}, "the config has no model"),
    "no backbone": ({"model": {"type": "X"}}, "the config has no model.backbone"),
    "another network": (
        segmentor({"type": "MixVisionTransformer"}),
        "model.backbone is a MixVisionTransformer, which cannot be replaced option by option",
    ),
    "unknown option": (
        segmentor({**BACKBONE, "dept": 3}),
        r"ResNet cannot be built \(.*'dept'",
    ),
    "weights of the whole network with another stem": (
        segmentor({**BACKBONE, "type": "ResNetV1c", "stem_channels": 8})
        | {"load_from": "old_network.pth"},
        "load_from loads weights of the whole old network: set load_from = None",
    ),
    "weights of the whole model": (
        segmentor(init_cfg={"type": "Pretrained", "checkpoint": "x.pth"}),
        r"model\.init_cfg loads weights of the whole old network",
    ),
    "group norm": (
        segmentor({**BACKBONE, "norm_cfg": {"type": "GN", "num_groups": 2}}),
        "norm_cfg type 'GN' does not go with ibn",
    ),
    "one map of a HRNet": (
        segmentor(HRNET),
        "would return maps of strides 4, 8, 16, 32, HRNet returns 4|cannot keep",
    ),
    "learning rate of the old stem": (
        segmentor({**BACKBONE, "type": "ResNetV1c", "stem_channels": 8})
        | {"optim_wrapper": {"paramwise_cfg": {"custom_keys": {"backbone.stem": {"lr_mult": 2}}}}},
        "custom_keys names 'backbone.stem', which the new backbone does not have",
    ),
    "inside another network": (
        segmentor({
            "type": "BiSeNetV1", "context_channels": (64, 64, 64),
            "spatial_channels": (8, 8, 8, 8), "out_channels": 8,
            "backbone_cfg": {"type": "ResNet", "depth": 50},
        }),
        r"model\.backbone\.backbone_cfg is inside a network",
    ),
    "framework that is not there": (
        segmentor() | {"default_scope": "nowhere"},
        "the config is for nowhere, which cannot be imported",
    ),
    "in_index out of range": (
        segmentor({**BACKBONE, "depth": 50}, decode_head={**HEAD, "in_index": 7}),
        "in_index=7 is none of the 4 feature maps",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CONFIGS)
def test_configs(tmp_path, capsys, name):
    config, words = CONFIGS[name]
    path, out = write_config(tmp_path, config), tmp_path / "new.py"
    options = ("--drop", "deep_stem") if "stem" in name else ()
    code = run(["swap", str(path), *SWAP, "-o", str(out), *options])
    line = capsys.readouterr().err.strip()
    assert code == (3 if "framework" in name else 2), line
    assert re.search(words, line), line
    assert "\n" not in line
    assert not out.exists()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--backbone", "resnet50_ibn_c", "-o", "new.py"), "did you mean 'resnet50_ibn_"),
        ((*SWAP, "-o", "new.yaml"), "new.yaml: not the name of a config: let it end in .py"),
        ((*SWAP, "-o", "old.py"), "old.py: the new config would replace the old one"),
        ((*SWAP, "-o", "there.py"), "there.py: exists: give another name, or --overwrite"),
        ((*SWAP, "-o", "new.py", "--drop", "stile"), "option to drop from ResNet 'stile': did you"),
        ((*SWAP, "-o", "new.py", "--weights", "ibn://resnet5"), "'resnet5'"),
        ((*SWAP, "-o", "new.py", "--weights", "zoo://resnet50"), "scheme of a checkpoint 'zoo'"),
        ((*SWAP,), "Missing option '-o'"),
    ],
)
def test_options(tmp_path, monkeypatch, capsys, options, words):
    monkeypatch.chdir(tmp_path)
    path = write_config(tmp_path, segmentor())
    (tmp_path / "there.py").write_text("kept = 1\n")
    before = path.read_text()
    assert run(["swap", "old.py", *options]) == 2
    assert words in capsys.readouterr().err
    assert {file.name for file in tmp_path.glob("*.*")} == {"old.py", "there.py"}
    assert path.read_text() == before


def test_what_is_written_is_said(tmp_path, capsys):
    path, out = write_config(tmp_path, segmentor()), tmp_path / "new.py"
    assert run(["swap", str(path), *SWAP, "-o", str(out)]) == 0
    said = " ".join(capsys.readouterr().out.split())
    for words in ("ResNet-18 -> IBNResNet-18, ibn='a'", "strides", "replaced depth",
                  "none (as before)", "built: 1x3x64x64 -> 1x19x64x64"):  # fmt: skip
        assert words in said


def test_a_missing_config(tmp_path, capsys):
    assert run(["swap", "nothing.py", *SWAP, "-o", str(tmp_path / "new.py")]) == 2
    assert "nothing.py: no such config file" in capsys.readouterr().err
    assert run(["swap", "nobody::x/y", *SWAP, "-o", str(tmp_path / "new.py")]) == 3
    assert "nobody is not installed" in capsys.readouterr().err


def test_modules_of_the_config_are_imported_as_in_a_training(tmp_path, monkeypatch, capsys):
    (tmp_path / "broken_parts.py").write_text("x = not_there\n")
    monkeypatch.syspath_prepend(tmp_path)
    for imports, more, code, words in (
        (["broken_parts"], {}, 2, "old.py: custom_imports: 'broken_parts' cannot be imported"),
        (["absent_parts"], {}, 3, "old.py: custom_imports: 'absent_parts' cannot be imported"),
        (["absent_parts"], {"allow_failed_imports": True}, 0, ""),
    ):
        config = segmentor() | {"custom_imports": {"imports": imports, **more}}
        path = write_config(tmp_path, config)
        out = tmp_path / f"new{code}.py"
        options = ("--backbone", "resnet18_ibn_b", "-o", str(out), "--no-check")
        assert run(["swap", str(path), *options]) == code
        assert words in capsys.readouterr().err
        assert out.exists() == (not code)
