"""Configs get a network of timm, with its channels, its mean and its deviation."""

import pytest

pytest.importorskip("timm")

from ibn_seg.config import load_config
from ibn_seg.errors import UserError
from ibn_seg.swap.swap_config import BUILT, swap
from tests.swap.configs import BACKBONE, HEAD, segmentor, write_config

TINY = "timm:vit_tiny_patch16_224"


def swapped(folder, config, backbone, **options):
    """Swap the backbone of a config; return the new config and what was done."""
    path, out = write_config(folder, config), folder / "new.py"
    result, check = swap(path, backbone, out, **options)
    new = load_config(out)
    assert new._cfg_dict.to_dict() == result.config
    assert check.status == BUILT
    return new, result


def test_a_plain_transformer_brings_a_pyramid(tmp_path):
    preprocessor = {
        "type": "SegDataPreProcessor", "mean": [0, 0, 0], "std": [1, 1, 1], "size": (128, 128)
    }  # fmt: skip
    pyramid = {
        "type": "UPerHead", "in_channels": [8, 16, 32, 64], "in_index": [0, 1, 2, 3],
        "pool_scales": (1, 2), "channels": 8, "num_classes": 19, "align_corners": False,
    }  # fmt: skip
    old = segmentor(data_preprocessor=preprocessor, decode_head=pyramid, auxiliary_head=HEAD)
    new, result = swapped(tmp_path, old, TINY)
    assert new.model.backbone == {
        "type": "TimmBackbone", "model": "vit_tiny_patch16_224", "img_size": (128, 128),
        "pretrained": True,
    }  # fmt: skip
    assert new.model.decode_head.in_channels == [192] * 4
    assert new.model.auxiliary_head.in_channels == 192
    assert new.model.data_preprocessor.mean == [127.5, 127.5, 127.5]
    assert new.model.data_preprocessor.bgr_to_rgb is True
    assert new.custom_imports.imports == ["ibn_seg.plugins.timm_backbone"]
    assert result.strides == ((4, 8, 16, 32), (4, 8, 16, 32))


def test_patches_of_14_become_16(tmp_path):
    new, result = swapped(
        tmp_path, segmentor(), "timm:vit_small_patch14_dinov2", weights="base.pth"
    )
    assert new.model.backbone.patch_size == 16
    assert new.model.backbone.pretrained == "base.pth"
    assert result.rows()["licence"] == "apache-2.0"


def test_a_convolutional_network_keeps_the_output_stride(tmp_path):
    dense = {**BACKBONE, "strides": (1, 2, 1, 1), "dilations": (1, 1, 2, 4)}
    new, result = swapped(tmp_path, segmentor(dense), "timm:convnext_atto", weights="none")
    assert new.model.backbone.timm_args == {"output_stride": 8}
    assert result.strides == ((4, 8, 8, 8), (4, 8, 8, 8))
    assert new.model.decode_head.in_channels == 320
    assert "pretrained" not in new.model.backbone


def test_a_head_of_one_map_gets_the_last(tmp_path):
    one = {**BACKBONE, "out_indices": (3,)}
    head = {**HEAD, "in_index": 0}
    new, result = swapped(tmp_path, segmentor(one, decode_head=head), TINY)
    assert new.model.backbone.out_indices == (11,)
    assert result.strides == ((32,), (16,))


def test_the_names_of_the_old_run_go(tmp_path):
    old = segmentor()
    old["experiment"] = {"method": "BN", "backbone": "ResNet-18", "source": "gta5"}
    new, result = swapped(tmp_path, old, TINY)
    assert new.experiment == {
        "method": "full", "backbone": "vit_tiny_patch16_224", "source": "gta5"
    }  # fmt: skip
    assert result.rows()["backbone"] == "ResNet -> TimmBackbone, vit_tiny_patch16_224"


@pytest.mark.parametrize(
    ("backbone", "options", "line"),
    [
        ("timm:vit_tiny_patch16_22", {}, "nearest: 'vit_tiny_patch16_224'"),
        (TINY, {"drop": ["depth"]}, "--drop is for backbones of ibn_seg"),
    ],
)
def test_refusals_are_one_line(tmp_path, backbone, options, line):
    path = write_config(tmp_path, segmentor())
    with pytest.raises(UserError) as caught:
        swap(path, backbone, tmp_path / "new.py", **options)
    assert line in caught.value.line
    assert not (tmp_path / "new.py").exists()
