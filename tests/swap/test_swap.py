"""Configs get an IBN backbone and keep everything else."""

import json

import pytest
import torch

pytest.importorskip("mmseg")

from mmengine.registry import init_default_scope
from mmseg.registry import MODELS as MMSEG
from torch.nn.modules.batchnorm import _BatchNorm

from ibn_seg.config import load_config
from ibn_seg.errors import UserError
from ibn_seg.swap.swap_config import BUILT, UNTESTED, swap
from tests.parity.test_mmseg_resnet import randomise
from tests.swap.configs import BACKBONE, BOTTLENECK, HEAD, segmentor, write_config
from tests.swap.survey import check_unchanged, survey

INSTALLED = (
    "deeplabv3plus/deeplabv3plus_r18-d8_4xb2-80k_cityscapes-512x1024",
    "fcn/fcn_r50b-d8_4xb2-80k_cityscapes-512x1024",
    "fastfcn/fastfcn_r50-d32_jpu_psp_4xb2-80k_cityscapes-512x1024",
    "hrnet/fcn_hr18s_4xb2-40k_cityscapes-512x1024",
)
DENSE = {"strides": (1, 2, 2, 2), "dilations": (1, 1, 1, 1), "out_indices": (1, 2, 3)}


def swapped(folder, config, backbone, **options):
    """Swap the backbone of a config; return the new config and what was done."""
    path, out = write_config(folder, config), folder / "new.py"
    result, check = swap(path, backbone, out, **options)
    new = load_config(out)
    assert new._cfg_dict.to_dict() == result.config
    return new, result, check


def frozen(network):
    """Return the parameters without gradients and the batch norms in eval mode."""
    parameters = {name for name, p in network.named_parameters() if not p.requires_grad}
    norms = [(name, m) for name, m in network.named_modules() if isinstance(m, _BatchNorm)]
    return parameters, {name for name, norm in norms if not norm.training}


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"type": "ResNetV1c"},
        {"type": "ResNetV1d"},
        {"deep_stem": True, "stem_channels": 16, "strides": (1, 2, 1, 1), "dilations": (1, 1, 2, 4),
         "contract_dilation": True},
        {"avg_down": True, "multi_grid": (1, 2, 4), "strides": (1, 2, 2, 1), "style": "caffe"},
        {"plugins": [{"cfg": {"type": "ContextBlock", "ratio": 0.5},
                      "stages": (False, True, True, False), "position": "after_conv3"}]},
        {"frozen_stages": 2, "norm_eval": True, "with_cp": True, "zero_init_residual": False},
        {"in_channels": 4, "num_stages": 3, "strides": (1, 2, 2), "dilations": (1, 1, 1),
         "out_indices": (0, 2)},
    ],
)  # fmt: skip
def test_the_twin_takes_the_old_weights_and_gives_the_old_features(tmp_path, options):
    """Whatever an option does, a swap for the batch-norm twin leaves it as it was."""
    backbone = {**BOTTLENECK, **options}
    last = backbone["out_indices"][-1]
    head = {**HEAD, "in_channels": 16 * 2**last, "in_index": -1}
    config = segmentor(backbone, decode_head=head)
    new, _, check = swapped(tmp_path, config, "resnet50", weights="none")
    assert check.status == BUILT
    init_default_scope("mmseg")
    theirs = MMSEG.build(config["model"]["backbone"])
    randomise(theirs)
    ours = MMSEG.build(new.model.backbone)
    theirs.eval(), ours.eval()
    ours.load_state_dict(theirs.state_dict(), strict=True)
    image = torch.randn(1, options.get("in_channels", 3), 64, 64)
    with torch.no_grad():
        for expected, given in zip(theirs(image), ours(image), strict=True):
            assert torch.equal(expected, given)
    theirs.train(), ours.train()
    assert frozen(theirs) == frozen(ours)


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("style", "caffe"), ("avg_down", True), ("stem_channels", 16), ("base_channels", 16),
        ("multi_grid", (1, 2, 4)), ("contract_dilation", True), ("deep_stem", True),
        ("dcn", {"type": "DCN", "deform_groups": 1}), ("num_stages", 4),
        ("plugins", [{"cfg": {"type": "ContextBlock", "ratio": 0.5}, "position": "after_conv3"}]),
    ],
)  # fmt: skip
def test_densenet_refuses_what_it_does_not_have_unless_it_is_given_up(tmp_path, option, value):
    backbone = {"type": "ResNet", "depth": 50, **DENSE, option: value}
    if option in ("multi_grid", "contract_dilation"):
        backbone |= {"strides": (1, 2, 2, 1), "dilations": (1, 1, 1, 2)}
    config = segmentor(backbone, decode_head={**HEAD, "in_channels": 2048, "in_index": 2})
    path, out = write_config(tmp_path, config), tmp_path / "new.py"
    if value in (64, 4):
        swap(path, "densenet121_ibn_a", out, check=False)
        return
    with pytest.raises(UserError, match=rf"old.py: model.backbone: .*{option}=.*--drop {option}"):
        swap(path, "densenet121_ibn_a", out, check=False)
    assert not out.exists()
    result, _ = swap(path, "densenet121_ibn_a", out, drop=[option], check=False)
    assert option not in load_config(out).model.backbone
    assert result.translation.settings["strides"] == backbone["strides"]


def test_training_options_go_over_to_densenet(tmp_path):
    kept = {"frozen_stages": 1, "norm_eval": True, "with_cp": True, "in_channels": 4}
    backbone = {"type": "ResNet", "depth": 50, "style": "pytorch", **DENSE, **kept}
    config = segmentor(backbone, decode_head={**HEAD, "in_channels": 2048, "in_index": 2})
    new, result, check = swapped(tmp_path, config, "densenet121_ibn_a")
    assert {name: new.model.backbone[name] for name in kept} == kept
    assert new.model.decode_head.in_channels == 1024
    assert check.status == BUILT
    assert "style" not in new.model.backbone
    assert result.translation.replaced == ("depth",)


def test_everything_else_stays_and_the_file_says_what_differs(tmp_path):
    config = segmentor() | {
        "custom_imports": {"imports": ["json"], "allow_failed_imports": True},
        "optim_wrapper": {"optimizer": {"type": "SGD", "lr": 0.01}},
        "param_scheduler": [{"type": "PolyLR", "eta_min": 1e-4, "begin": 0, "end": 10}],
    }
    new, _, _ = swapped(tmp_path, config, "resnet18_ibn_a", weights="none")
    text = (tmp_path / "new.py").read_text()
    assert text == (
        "# resnet18_ibn_a in place of ResNet-18, by ibn-seg swap\n"
        "_base_ = 'old.py'\n"
        "model = dict(\n"
        "    backbone=dict(type='IBNResNet', ibn='a'))\n"
        "custom_imports = dict(imports=['json', 'ibn_seg.plugins.mmengine'])\n"
    )
    expected = config | {"custom_imports": new.custom_imports, "model": new.model}
    assert new._cfg_dict.to_dict() == expected
    assert new.custom_imports.allow_failed_imports is True


@pytest.mark.parametrize(
    ("before", "after", "same"),
    [("resnet18", "resnet50_ibn_a", False), ("resnet18", "resnet34_ibn_b", True)],
)
def test_necks_and_heads_get_the_channels_where_they_differ(tmp_path, before, after, same):
    backbone = {**BACKBONE, "stem_channels": 64, "base_channels": 64}
    neck = {"type": "FPN", "in_channels": [64, 128, 256, 512], "out_channels": 16, "num_outs": 4}
    old_heads = [
        {**HEAD, "in_channels": [64, 512], "in_index": (0, 3), "input_transform": "resize_concat"},
        {**HEAD, "in_channels": 256, "in_index": 2},
    ]
    config = segmentor(backbone, decode_head={**HEAD, "in_channels": 512})
    config["model"]["auxiliary_head"] = old_heads
    new, result, check = swapped(tmp_path, config, after, weights="none")
    assert check.status == BUILT
    assert (result.changes == ()) is same
    if not same:
        assert new.model.decode_head.in_channels == 2048
        assert new.model.auxiliary_head[0].in_channels == [256, 2048]
        assert new.model.auxiliary_head[1].in_channels == 1024
    with_neck = segmentor(backbone, neck=neck, decode_head={**HEAD, "in_channels": 16})
    new, result, check = swapped(tmp_path, with_neck, after, weights="none", overwrite=True)
    assert check.status == BUILT
    assert new.model.decode_head.in_channels == 16
    assert new.model.neck.in_channels == [64, 128, 256, 512] if same else [256, 512, 1024, 2048]


def test_weights_are_the_published_ones_else_the_twins(tmp_path):
    full = {"stem_channels": 64, "base_channels": 64, "depth": 50}
    head = {**HEAD, "in_channels": 2048}

    def chosen(backbone, name, pretrained="torchvision://resnet50", **options):
        config = segmentor({**BACKBONE, **full, **backbone}, decode_head=head)
        config["model"]["pretrained"] = pretrained
        new, result, _ = swapped(tmp_path, config, name, check=False, overwrite=True, **options)
        assert new.model.pretrained is None
        init = new.model.backbone.get("init_cfg")
        assert (init or {}).get("checkpoint") == result.weights.checkpoint
        return result.weights

    assert chosen({}, "resnet50_ibn_a").checkpoint == "ibn://resnet50_ibn_a"
    assert chosen({}, "resnet50").checkpoint == "torchvision://resnet50"
    assert chosen({}, "resnet152_ibn_a").checkpoint == "torchvision://resnet152"
    assert chosen({}, "resnext50_ibn_a").checkpoint == "torchvision://resnext50_32x4d"
    for name in ("se_resnet50_ibn_a", "mx_resnet50_ibn_a"):
        assert chosen({}, name).checkpoint is None
    assert chosen({}, "resnet50_ibn_a", pretrained=None).checkpoint is None
    assert chosen({}, "resnet50_ibn_a", weights="none").checkpoint is None
    given = chosen({}, "resnet50_ibn_a", weights="torchvision://resnet50")
    assert given.checkpoint == "torchvision://resnet50"
    # Caffe's strides are elsewhere: same tensors, another network.
    caffe = chosen({"style": "caffe"}, "resnet50_ibn_a", pretrained="my/caffe.pth")
    assert caffe.checkpoint == "my/caffe.pth"
    deep = chosen({"type": "ResNetV1c"}, "resnet50_ibn_a", pretrained="open-mmlab://resnet50_v1c")
    assert deep.checkpoint == "open-mmlab://resnet50_v1c"
    assert deep.reason.endswith("--drop deep_stem")
    other = chosen({"type": "ResNetV1c"}, "resnet101_ibn_a", pretrained="open-mmlab://resnet50_v1c")
    assert other.checkpoint == "open-mmlab://resnet101_v1c"
    plain = chosen({"type": "ResNetV1c"}, "resnet50_ibn_a", drop=["deep_stem"])
    assert plain.checkpoint == "ibn://resnet50_ibn_a"


def test_an_init_cfg_keeps_its_other_steps(tmp_path):
    steps = [{"type": "Kaiming", "layer": "Conv2d"},
             {"type": "Pretrained", "checkpoint": "x.pth", "prefix": "backbone."}]  # fmt: skip
    new, result, _ = swapped(
        tmp_path, segmentor({**BACKBONE, "init_cfg": steps}), "resnet18_ibn_a", check=False
    )
    assert result.weights.prefix == "backbone."
    assert new.model.backbone.init_cfg == steps
    config = segmentor({**BACKBONE, "init_cfg": steps[1]})
    new, _, _ = swapped(tmp_path, config, "resnet18_ibn_b", weights="none", overwrite=True)
    assert new.model.backbone.init_cfg is None


def test_ours_can_be_swapped_again(tmp_path):
    backbone = {**BACKBONE, "type": "IBNResNet", "ibn_stages": ("a", "a", None, None)}
    config = segmentor(backbone) | {"custom_imports": {"imports": ["ibn_seg.plugins.mmseg"]}}
    new, result, check = swapped(tmp_path, config, "resnet18_ibn_b")
    assert check.status == BUILT
    assert result.translation.replaced == ("depth", "ibn_stages")
    assert new.model.backbone.ibn == "b"
    assert "ibn_stages" not in new.model.backbone
    assert new.custom_imports.imports == ["ibn_seg.plugins.mmseg"]


def test_a_config_in_pure_python_is_written_out(tmp_path):
    path = tmp_path / "old.py"
    path.write_text(
        "from mmseg.models import EncoderDecoder, FCNHead, ResNet, SegDataPreProcessor\n"
        f"model = dict(type=EncoderDecoder, data_preprocessor=dict(type=SegDataPreProcessor),\n"
        f"    backbone=dict({{**{BACKBONE!r}, 'type': ResNet}}),\n"
        f"    decode_head=dict({{**{HEAD!r}, 'type': FCNHead}}),\n"
        "    train_cfg=dict(), test_cfg=dict(mode='whole'))\n"
        "default_scope = 'mmseg'\n"
    )
    out = tmp_path / "new.py"
    _, check = swap(path, "resnet18_ibn_a", out)
    assert check.status == BUILT
    assert "_base_" not in out.read_text()
    assert load_config(out).model.decode_head.channels == HEAD["channels"]


def test_a_config_in_json_keeps_its_tuples(tmp_path):
    config = segmentor() | {"train_pipeline": [{"type": "Resize", "scale": (64, 32)}]}
    (tmp_path / "old.json").write_text(json.dumps(config))
    swap(tmp_path / "old.json", "resnet18_ibn_b", tmp_path / "new.py", check=False)
    written = load_config(tmp_path / "new.py")
    assert written.train_pipeline[0].scale == (64, 32)
    assert written.model.backbone.ibn == "b"


@pytest.mark.parametrize("name", INSTALLED)
def test_mmsegs_own_configs(name):
    path = load_config(f"mmseg::{name}").filename
    kind = load_config(path).model.backbone.type
    outcome = survey(path, kind, "a")
    assert outcome.status == BUILT, outcome


def test_the_survey_sees_a_change():
    defaults = {"strides": (1, 2, 2, 2)}
    check_unchanged({"depth": 50}, defaults, {"depth": 50, "strides": (1, 2, 2, 2)})
    with pytest.raises(AssertionError, match="strides"):
        check_unchanged({"depth": 50}, defaults, {"depth": 50, "strides": (1, 2, 1, 1)})


def test_without_a_check_nothing_is_built(tmp_path):
    config = segmentor(decode_head={**HEAD, "num_classes": "nineteen"})
    _, _, check = swapped(tmp_path, config, "resnet18_ibn_a", check=False)
    assert check.status == UNTESTED


def test_a_config_of_an_installed_package_by_name(tmp_path):
    from mmengine.config import Config

    result, _ = swap(f"mmseg::{INSTALLED[0]}", "resnet18_ibn_a", tmp_path / "new.py", check=False)
    assert result.weights.checkpoint == "open-mmlab://resnet18_v1c"
    config = Config.fromfile(tmp_path / "new.py")  # mmengine by itself
    assert config.model.backbone.type == "IBNResNet"


def test_a_model_is_built_without_touching_its_config(tmp_path):
    """Detectors write into the dicts that they are built from."""
    pytest.importorskip("mmdet")
    from mmengine.config import Config
    from mmengine.utils import get_installed_path

    old = f"{get_installed_path('mmdet')}/.mim/configs/retinanet/retinanet_r50_fpn_1x_coco.py"
    result, check = swap(old, "densenet121_ibn_a", tmp_path / "new.py")
    assert check.status == BUILT
    assert [change.key for change in result.changes] == ["neck.in_channels"]
    new = Config.fromfile(tmp_path / "new.py", import_custom_modules=False)
    assert new.model.neck.in_channels == [256, 512, 1024, 1024]
    assert new.model.bbox_head == Config.fromfile(old).model.bbox_head
    assert result.config["model"]["backbone"]["norm_eval"] is True


def test_nothing_that_names_the_old_run_stays(tmp_path):
    """As in a config that a resumed training of ours dumped, with a logging service beside it."""
    config = segmentor() | {
        "work_dir": "work_dirs/old", "experiment_name": "old_17_0",
        "resume": True, "load_from": "work_dirs/old/iter_2.pth",
        "experiment": {"method": "IBN-b", "backbone": "ResNet-18", "segmentor": "FCN",
                       "source": "gta5", "share": 5.0, "start": "source", "note": "third try"},
        "visualizer": {"type": "SegLocalVisualizer", "name": "visualizer", "save_dir": "old/vis",
                       "vis_backends": [{"type": "WandbVisBackend", "init_kwargs": {
                           "project": "ibn", "name": "old", "id": "x7", "resume": "must"}}]},
        "custom_hooks": [{"type": "ProgressHook", "label": "IBN-b"}, {"type": "RunRecordHook"}],
    }  # fmt: skip
    new, result, _ = swapped(tmp_path, config, "resnet34_ibn_a", weights="none", check=False)
    assert (new.work_dir, new.experiment_name, new.load_from) == (None, None, None)
    assert new.resume is False
    assert new.experiment.to_dict() == {
        "method": "IBN-a", "backbone": "ResNet-34", "segmentor": "FCN", "source": "gta5",
        "share": 5.0,
    }  # fmt: skip
    assert new.visualizer.to_dict() == {
        "type": "SegLocalVisualizer", "name": "visualizer",
        "vis_backends": [{"type": "WandbVisBackend", "init_kwargs": {"project": "ibn"}}],
    }  # fmt: skip
    assert new.custom_hooks[0].label == ""
    assert "work_dir work_dirs/old -> None" in result.renamed


@pytest.mark.parametrize(
    ("method", "backbone", "after"),
    [
        ("BN", "resnet18_ibn_b", {"method": "IBN-b"}),
        ("IBN-a", "resnet18", {"method": "BN"}),
        ("BN, colours changed", "resnet18_ibn_a", {}),
        (None, "resnet18_ibn_a", {}),
    ],
)
def test_a_method_that_is_more_than_its_norms_is_not_guessed(tmp_path, method, backbone, after):
    config = segmentor() | {"experiment": {"method": method}}
    new, _, _ = swapped(tmp_path, config, backbone, weights="none", check=False)
    assert {key: value for key, value in new.experiment.items() if value} == after
