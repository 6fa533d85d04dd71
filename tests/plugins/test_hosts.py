"""Detectors and classifiers of mmengine's family build and run with the backbones."""

import pytest
import torch

import ibn_seg.plugins.mmengine  # noqa: F401 - the import that their configs name

BACKBONE = {
    "type": "IBNResNet", "depth": 50, "ibn": "a", "stem_channels": 8, "base_channels": 8,
}  # fmt: skip


def test_mmdets_faster_rcnn_with_fpn():
    pytest.importorskip("mmdet")
    from mmdet.registry import MODELS
    from mmdet.structures import DetDataSample
    from mmdet.utils import register_all_modules
    from mmengine.config import Config
    from mmengine.utils import get_installed_path

    register_all_modules()
    name = ".mim/configs/_base_/models/faster-rcnn_r50_fpn.py"
    model = Config.fromfile(f"{get_installed_path('mmdet')}/{name}").model
    model.backbone = BACKBONE
    model.neck.in_channels = [32, 64, 128, 256]
    model.roi_head.bbox_head.num_classes = 3
    detector = MODELS.build(model).eval()
    shape = (64, 96)
    sample = DetDataSample(
        metainfo={"img_shape": shape, "ori_shape": shape, "pad_shape": shape,
                  "scale_factor": (1.0, 1.0), "batch_input_shape": shape}
    )  # fmt: skip
    with torch.no_grad():
        (found,) = detector(torch.randn(1, 3, *shape), [sample], mode="predict")
    assert found.pred_instances.bboxes.shape[1] == 4


def test_mmpretrains_classifier():
    # It needs torchvision, which the second stack may lack.
    pytest.importorskip("torchvision")
    pytest.importorskip("mmpretrain.models")
    from mmpretrain.registry import MODELS

    classifier = MODELS.build({
        "type": "ImageClassifier",
        "backbone": {**BACKBONE, "out_indices": (3,)},
        "neck": {"type": "GlobalAveragePooling"},
        "head": {"type": "LinearClsHead", "num_classes": 7, "in_channels": 256},
    }).eval()  # fmt: skip
    with torch.no_grad():
        assert classifier.head(classifier.extract_feat(torch.randn(2, 3, 64, 64))).shape == (2, 7)
