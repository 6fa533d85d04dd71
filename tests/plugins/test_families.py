"""What every backbone of the plug-in does for a config, whatever its family."""

import hashlib
import logging

import pytest
import torch
from mmengine.logging import MMLogger
from mmengine.registry import MODELS as ROOT
from mmengine.registry import DefaultScope
from mmengine.structures import PixelData
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample
from mmseg.utils import register_all_modules
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from ibn_seg.errors import UserError
from ibn_seg.layers import IBN
from ibn_seg.models.specs import MODELS as SPECS
from ibn_seg.models.weights import adapt_state_dict
from ibn_seg.plugins import mmengine as plugin

NARROW = {"stem_channels": 8, "base_channels": 8}
MX = {"stem_channels": 8, "filters": (16, 32, 64, 128), "units": (1, 1, 1, 1)}
BACKBONES = {
    "IBNResNet": {"depth": 50, **NARROW},
    "IBNResNeXt": {"depth": 50, "groups": 4, "base_width": 4, **NARROW},
    "IBNSEResNet": {"depth": 50, "se_reduction": 4, **NARROW},
    "IBNDenseNet": {"depth": 121},
    "IBNMXResNet": {"depth": 50, **MX},
    "IBNMXResNeXt": {"depth": 50, "groups": 4, **MX},
    "IBNMXResNeXtWD": {"depth": 50, "groups": 4, **MX},
}
STRIDES = {
    32: {},
    16: {"strides": (1, 2, 2, 1), "dilations": (1, 1, 1, 2)},
    8: {"strides": (1, 2, 1, 1), "dilations": (1, 1, 2, 4)},
}


@pytest.fixture(autouse=True, scope="module")
def _registered():
    register_all_modules(init_default_scope=False)
    with DefaultScope.overwrite_default_scope("mmseg"):
        yield


def build(kind, **settings):
    torch.manual_seed(0)
    backbone = MODELS.build({"type": kind, "ibn": "a", **BACKBONES[kind], **settings})
    backbone.init_weights()
    return backbone


def image(size=64):
    return torch.randn(2, 3, size, size, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("kind", BACKBONES)
def test_registered_for_every_host(kind):
    assert ROOT.get(kind) is getattr(plugin, kind)


@pytest.mark.parametrize("stride", STRIDES)
@pytest.mark.parametrize("kind", BACKBONES)
def test_levels_are_as_declared(kind, stride):
    backbone = build(kind, out_indices=(0, 2, 3), **STRIDES[stride]).eval()
    with torch.no_grad():
        features = backbone(image())
    assert [tuple(feature.shape) for feature in features] == [
        (2, info.channels, 64 // info.stride, 64 // info.stride) for info in backbone.feature_info
    ]
    assert backbone.feature_info[-1].stride == stride


@pytest.mark.parametrize("kind", BACKBONES)
def test_frozen_stages_and_norms_in_eval_mode(kind):
    backbone = build(kind, frozen_stages=2, norm_eval=True).train()
    assert not any(m.training for m in backbone.modules() if isinstance(m, _BatchNorm))
    backbone(image())[-1].sum().backward()
    frozen = {id(p) for part in backbone.frozen_modules() for p in part.parameters()}
    assert frozen
    for name, parameter in backbone.named_parameters():
        assert (parameter.grad is None) == (id(parameter) in frozen), name


@pytest.mark.parametrize("kind", BACKBONES)
def test_synchronised_norms_are_inside_ibn(kind):
    backbone = build(kind, norm_cfg={"type": "SyncBN", "requires_grad": True})
    norms = [m for m in backbone.modules() if isinstance(m, _BatchNorm)]
    assert all(isinstance(norm, nn.SyncBatchNorm) for norm in norms)
    assert any(isinstance(m, IBN) for m in backbone.modules())


@pytest.mark.parametrize("kind", BACKBONES)
def test_recomputation_changes_nothing(kind):
    results = []
    for with_cp in (False, True):
        backbone = build(kind, with_cp=with_cp).train()
        features = backbone(image())
        sum(feature.square().mean() for feature in features).backward()
        gradients = [p.grad for p in backbone.parameters()]
        results.append([*features, *gradients, *backbone.state_dict().values()])
    assert all(map(torch.equal, *results))


@pytest.mark.parametrize("kind", BACKBONES)
def test_weights_of_the_twin(kind, tmp_path):
    twin = build(kind, ibn=None)
    for value in twin.state_dict().values():
        if value.is_floating_point():
            value.uniform_(0.5, 1.5)
    torch.save({"state_dict": {f"backbone.{k}": v for k, v in twin.state_dict().items()}},
               tmp_path / "twin.pth")  # fmt: skip
    init_cfg = {"type": "Pretrained", "checkpoint": str(tmp_path / "twin.pth")}
    backbone = build(kind, init_cfg=init_cfg)
    given, state = twin.state_dict(), backbone.state_dict()
    for name, module in backbone.named_modules():
        if isinstance(module, IBN):
            first, second = ("IN", "BN") if module.instance_first else ("BN", "IN")
            joined = torch.cat((state[f"{name}.{first}.weight"], state[f"{name}.{second}.weight"]))
            assert torch.equal(joined, given[f"{name}.weight"])
            mean = given[f"{name}.running_mean"].split(module.split)[0 if first == "BN" else 1]
            assert torch.equal(state[f"{name}.BN.running_mean"], mean)
    same = state.keys() & given.keys()
    assert len(same) > len(given) // 2
    assert all(torch.equal(state[key], given[key]) for key in same)
    _, report = adapt_state_dict(backbone, state)
    assert str(report) == "loaded key for key: nothing split, added or dropped"


@pytest.mark.parametrize("kind", BACKBONES)
def test_trains_in_a_segmentor(kind):
    backbone = {"type": kind, "ibn": "a", **BACKBONES[kind]}
    channels = [info.channels for info in ROOT.build(backbone).feature_info]
    segmentor = MODELS.build({
        "type": "EncoderDecoder",
        "backbone": backbone,
        "decode_head": {
            "type": "UPerHead", "in_channels": channels, "in_index": [0, 1, 2, 3],
            "pool_scales": (1, 2), "channels": 8, "num_classes": 5, "align_corners": False,
            "norm_cfg": {"type": "BN"}, "loss_decode": {"type": "CrossEntropyLoss"},
        },
        "train_cfg": {}, "test_cfg": {"mode": "whole"},
    }).train()  # fmt: skip
    samples = [
        SegDataSample(gt_sem_seg=PixelData(data=torch.randint(0, 5, (1, 64, 64)))) for _ in range(2)
    ]
    losses = segmentor(image(), samples, mode="loss")
    losses["decode.loss_ce"].backward()
    assert all(p.grad is not None for p in segmentor.parameters())


@pytest.mark.parametrize("kind", BACKBONES)
def test_the_ratio_reaches_every_family(kind):
    """Weights of the batch-norm twin are split by it; those of another ratio do not fit."""
    backbone, usual = build(kind, ibn_ratio=0.25), build(kind)
    norms = [module for module in backbone.modules() if isinstance(module, IBN)]
    assert norms
    for norm in norms:
        # In a DenseNet the instance norm comes last and gets what rounding leaves.
        share = int(norm.channels * 0.75)
        expected = norm.channels - share if kind == "IBNDenseNet" else int(norm.channels * 0.25)
        assert norm.IN.num_features == expected
    twin = build(kind, ibn=None).state_dict()
    adapted, report = adapt_state_dict(backbone, twin)
    assert len(report.split) == len(norms)
    backbone.load_state_dict(adapted)
    own = {"IBNDenseNet": 0.406}.get(kind, 0.5)
    with pytest.raises(UserError, match=f"its IBN ratio is {own}, here 0.25: set ibn_ratio"):
        adapt_state_dict(backbone, usual.state_dict())


@pytest.mark.parametrize(
    ("kind", "settings", "message"),
    [
        ("IBNResNeXt", {"depth": 18}, "unknown ResNeXt depth 18.* 50, 101, 152"),
        ("IBNResNeXt", {"groups": 0}, "groups=0 of ResNeXt is out of range"),
        ("IBNSEResNet", {"se_reduction": 0}, "se_reduction=0 is out of range"),
        ("IBNSEResNet", {"groups": 4}, "unknown argument of IBNSEResNet 'groups'"),
        ("IBNResNet", {"base_width": 4}, "unknown argument of IBNResNet 'base_width'"),
        ("IBNDenseNet", {"depth": 50}, "unknown DenseNet depth 50.* 121, 161, 169, 201"),
        ("IBNDenseNet", {"ibn_ratio": 1.5}, "ibn_ratio=1.5 is out of range"),
        ("IBNDenseNet", {"ibn": None, "ibn_ratio": 0.5}, "no norm is split"),
        ("IBNSEResNet", {"ibn": None, "ibn_ratio": 0.25}, "no norm is split"),
        ("IBNDenseNet", {"ibn": "b"}, "DenseNet has none"),
        ("IBNDenseNet", {"style": "caffe"}, "unknown argument of IBNDenseNet 'style'"),
        ("IBNDenseNet", {"num_classes": 3}, "unknown argument of IBNDenseNet 'num_classes'"),
    ],
)
def test_wrong_arguments_are_one_line(kind, settings, message):
    with pytest.raises(UserError, match=message):
        build(kind, **settings)


def test_published_weights_by_name(tmp_path, monkeypatch):
    """From a folder in place of the authors' server; the file has its true name, not its hash."""
    classifier = plugin.ResNet(18, ibn="a", num_classes=1000)
    spec = SPECS["resnet18_ibn_a"]
    torch.save(classifier.state_dict(), tmp_path / spec.weights)
    digest = hashlib.sha256((tmp_path / spec.weights).read_bytes()).hexdigest()
    monkeypatch.setenv("IBN_SEG_WEIGHTS", str(tmp_path))
    given = {"type": "IBNResNet", "depth": 18, "ibn": "a"}
    init = {"type": "Pretrained", "checkpoint": "ibn://resnet18_ibn_a"}
    with pytest.raises(UserError, match=f"begins with {digest[:8]}, expected {spec.sha256}"):
        MODELS.build({**given, "init_cfg": init}).init_weights()

    monkeypatch.setattr("ibn_seg.models.published_weights.sha256", lambda path: spec.sha256)
    lines = []
    handler = logging.Handler()
    handler.emit = lambda record: lines.append(record.getMessage())
    logger = MMLogger.get_current_instance()
    logger.addHandler(handler)
    backbone = MODELS.build({**given, "init_cfg": init})
    backbone.init_weights()
    logger.removeHandler(handler)
    assert [line for line in lines if spec.weights in line] == [
        f"weights of {tmp_path}/{spec.weights}: dropped fc.* (2 keys)"
    ]
    expected = classifier.state_dict()
    assert all(torch.equal(v, expected[k]) for k, v in backbone.state_dict().items())

    init = {"type": "Pretrained", "checkpoint": "ibn://resnet152_ibn_a"}
    with pytest.raises(UserError, match="published no weights: there are: resnet18_ibn_a"):
        MODELS.build({**given, "init_cfg": init}).init_weights()
