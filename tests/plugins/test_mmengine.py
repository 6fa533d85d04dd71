"""`IBNResNet` as mmseg's users meet it."""

import importlib.util
import json
import logging
import re

import pytest
import torch
from mmengine.logging import MMLogger
from mmengine.model import convert_sync_batchnorm, revert_sync_batchnorm
from mmengine.registry import MODELS as ROOT
from mmengine.registry import DefaultScope
from mmengine.structures import PixelData
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample
from mmseg.utils import register_all_modules
from torch import nn

from ibn_seg.errors import EnvError, UserError
from ibn_seg.layers import IBN
from ibn_seg.models import ResNet
from ibn_seg.models.weights import adapt_state_dict
from ibn_seg.plugins.checkpoint_names import resolve
from ibn_seg.plugins.mmengine import IBNResNet, config_class
from tests.models.local_server import serve

SMALL = {"stem_channels": 8, "base_channels": 8}
CHANNELS = [32, 64, 128, 256]
# Where the weights of mmengine and of its maintained fork are.
HOST = r"https://(download.openmmlab.com|mmassets.onedl.ai)"

HEADS = {
    "FCNHead": {"in_channels": 256, "in_index": 3, "num_convs": 1},
    "PSPHead": {"in_channels": 256, "in_index": 3, "pool_scales": (1, 2)},
    "DepthwiseSeparableASPPHead": {
        "in_channels": 256, "in_index": 3, "c1_in_channels": 32, "c1_channels": 4,
        "dilations": (1, 2, 3),
    },
    "UPerHead": {"in_channels": CHANNELS, "in_index": [0, 1, 2, 3], "pool_scales": (1, 2)},
    "SegformerHead": {"in_channels": CHANNELS, "in_index": [0, 1, 2, 3]},
}  # fmt: skip


@pytest.fixture(autouse=True, scope="module")
def _registered():
    register_all_modules(init_default_scope=False)


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """The folders of PyTorch and mmengine, in places of their own."""
    monkeypatch.setattr(torch.hub, "_hub_dir", str(tmp_path / "hub"))
    monkeypatch.setenv("MMENGINE_HOME", str(tmp_path / "mmengine"))
    (tmp_path / "mmengine").mkdir()
    return tmp_path / "mmengine"


@pytest.fixture(autouse=True)
def scope():
    """Whatever ran before, names are looked up as in a run of mmseg."""
    with DefaultScope.overwrite_default_scope("mmseg"):
        yield


@pytest.fixture
def log():
    """The lines that mmengine's current logger is given."""
    records = []
    handler = logging.Handler()
    handler.emit = lambda record: records.append(record.getMessage())
    logger = MMLogger.get_current_instance()
    logger.addHandler(handler)
    yield records
    logger.removeHandler(handler)


def test_registered_for_every_host():
    assert ROOT.get("IBNResNet") is IBNResNet
    for registry in (ROOT, MODELS):
        backbone = registry.build({"type": "IBNResNet", "depth": 18, "ibn": "a", **SMALL})
        assert isinstance(backbone, IBNResNet)
        assert isinstance(backbone, ResNet)


def test_functions_registered_before_are_passed_over(monkeypatch):
    monkeypatch.setattr(ROOT, "_module_dict", {"function": len, **ROOT.module_dict})
    assert config_class(ResNet) is IBNResNet


@pytest.mark.parametrize("depth", [18, 50])
def test_group_norms_take_the_place_of_batch_norms(depth):
    """As in mmseg's ResNet: the same norms, maps and gradients."""
    from mmseg.models import ResNet as Theirs

    settings = {"depth": depth, "norm_cfg": {"type": "GN", "num_groups": 4}, **SMALL}
    ours, theirs = IBNResNet(**settings), Theirs(**settings)
    for network in (ours, theirs):
        network.init_weights()
    kinds = [
        [type(module) for module in network.modules() if isinstance(module, nn.GroupNorm)]
        for network in (ours, theirs)
    ]
    assert kinds[0] == kinds[1]
    assert not any(isinstance(module, nn.BatchNorm2d) for module in ours.modules())
    weights = {key.replace("gn", "bn"): value for key, value in theirs.state_dict().items()}
    ours.load_state_dict(weights)
    x = torch.randn(2, 3, 64, 64)
    for a, b in zip(ours(x), theirs(x), strict=True):
        torch.testing.assert_close(a, b)


@pytest.mark.parametrize("ibn", ["a", "b"])
@pytest.mark.parametrize("head", HEADS)
def test_trains_under_head(head, ibn):
    norm_cfg = {"type": "BN"}
    segmentor = MODELS.build({
        "type": "EncoderDecoder",
        "backbone": {"type": "IBNResNet", "depth": 50, "ibn": ibn, "norm_cfg": norm_cfg, **SMALL},
        "decode_head": {
            "type": head, "channels": 8, "num_classes": 5, "norm_cfg": norm_cfg,
            "align_corners": False, "loss_decode": {"type": "CrossEntropyLoss"}, **HEADS[head],
        },
        "train_cfg": {}, "test_cfg": {"mode": "whole"},
    })  # fmt: skip
    segmentor.train()
    samples = [
        SegDataSample(
            gt_sem_seg=PixelData(data=torch.randint(0, 5, (1, 64, 64))),
            metainfo={"img_shape": (64, 64), "ori_shape": (64, 64)},
        )
        for _ in range(2)
    ]
    losses = segmentor(torch.randn(2, 3, 64, 64), samples, mode="loss")
    sum(value for name, value in losses.items() if "loss" in name).backward()
    assert all(p.grad is not None for p in segmentor.parameters())
    segmentor.eval()
    with torch.no_grad():
        logits = segmentor.encode_decode(torch.randn(1, 3, 64, 64), [samples[0].metainfo])
    assert logits.shape == (1, 5, 64, 64)


def test_synchronised_norms_are_inside_ibn_and_round_trip():
    backbone = IBNResNet(18, ibn="a", norm_cfg={"type": "SyncBN", "requires_grad": True}, **SMALL)
    assert isinstance(backbone.layer1[0].bn1.BN, nn.SyncBatchNorm)
    image = torch.randn(1, 3, 64, 64)
    backbone.eval()
    expected = backbone(image)
    keys = list(backbone.state_dict())
    reverted = revert_sync_batchnorm(backbone)
    assert not any(isinstance(m, nn.SyncBatchNorm) for m in reverted.modules())
    torch.testing.assert_close(reverted.eval()(image), expected)
    again = convert_sync_batchnorm(reverted)
    assert isinstance(again.layer1[0].bn1.BN, nn.SyncBatchNorm)
    assert isinstance(again.layer1[0].bn1, IBN)
    torch.testing.assert_close(again.eval()(image), expected)
    assert list(again.state_dict()) == keys


@pytest.mark.parametrize("ibn", ["a", "b"])
def test_norms_without_gradients(ibn):
    backbone = IBNResNet(18, ibn=ibn, norm_cfg={"type": "BN", "requires_grad": False}, **SMALL)
    learning = {name for name, p in backbone.named_parameters() if p.requires_grad}
    assert learning == {
        name for name in backbone.state_dict() if "conv" in name or "downsample.0" in name
    }


def test_plugins_run_one_after_the_other_where_asked():
    def context(position, **more):
        cfg = {"type": "ContextBlock", "ratio": 0.5, **more}
        return {"cfg": cfg, "position": position, "stages": (False, True, False, False)}

    plugins = [
        context("after_conv2", postfix="_first"),
        context("after_conv2", postfix="_second"),
        context("after_conv3"),
    ]
    backbone = IBNResNet(50, ibn="a", plugins=plugins, **SMALL)
    backbone.init_weights()
    assert not any("context" in name for name, _ in backbone.layer1.named_modules())
    block = backbone.layer2[1].eval()
    assert [n for n, _ in block.named_children() if "context" in n] == [
        "context_block_first", "context_block_second", "context_block",
    ]  # fmt: skip
    for module in backbone.modules():
        if type(module).__name__ == "ContextBlock":
            nn.init.normal_(module.channel_add_conv[-1].bias)
    x = torch.randn(1, 64, 8, 8)
    relu = torch.relu
    with torch.no_grad():
        out = relu(block.bn2(block.conv2(relu(block.bn1(block.conv1(x))))))
        out = block.context_block_second(block.context_block_first(out))
        out = block.context_block(block.bn3(block.conv3(out)))
        torch.testing.assert_close(block(x), relu(out + x))

    # The twin has no plugins: they start as they are, and this is said.
    adapted, report = adapt_state_dict(backbone, ResNet(50, **SMALL).state_dict())
    assert len(report.added) == 3 * len(backbone.layer2)
    backbone.load_state_dict(adapted, strict=True)


def trained(**settings):
    """Return a batch-norm network whose tensors are unlike any start."""
    network = ResNet(18, **SMALL, **settings)
    for tensor in network.state_dict().values():
        if tensor.is_floating_point():
            tensor.uniform_(0.5, 1.5)
    return network.state_dict()


@pytest.mark.parametrize("ibn", [None, "a", "b"])
def test_pretrained_of_the_twin(ibn, tmp_path, log):
    weights = trained()
    torch.save({"state_dict": {f"backbone.{k}": v for k, v in weights.items()}}, tmp_path / "w.pth")
    init_cfg = {"type": "Pretrained", "checkpoint": str(tmp_path / "w.pth")}
    backbone = IBNResNet(18, ibn=ibn, init_cfg=init_cfg, **SMALL)
    backbone.init_weights()
    adapted, report = adapt_state_dict(backbone, weights)
    assert all(torch.equal(backbone.state_dict()[key], adapted[key]) for key in adapted)
    assert [line for line in log if "w.pth" in line] == [f"weights of {tmp_path}/w.pth: {report}"]
    assert backbone.init_cfg == init_cfg


def test_pretrained_inside_a_segmentor(tmp_path):
    torch.save(trained(), tmp_path / "w.pth")
    segmentor = MODELS.build({
        "type": "EncoderDecoder",
        "backbone": {
            "type": "IBNResNet", "depth": 18, "ibn": "a", **SMALL,
            "init_cfg": {"type": "Pretrained", "checkpoint": str(tmp_path / "w.pth")},
        },
        "decode_head": {
            "type": "FCNHead", "in_channels": 64, "channels": 4, "num_classes": 5,
            "align_corners": False, "num_convs": 1,
        },
    })  # fmt: skip
    segmentor.init_weights()
    weights = torch.load(tmp_path / "w.pth", weights_only=True)
    assert torch.equal(segmentor.backbone.conv1.weight, weights["conv1.weight"])


def test_pretrained_honours_the_prefix(tmp_path):
    ours, other = trained(), trained()
    mixed = {f"a.{k}": v for k, v in ours.items()} | {f"b.{k}": v for k, v in other.items()}
    torch.save(mixed, tmp_path / "w.pth")
    init_cfg = {"type": "Pretrained", "checkpoint": str(tmp_path / "w.pth"), "prefix": "b"}
    backbone = IBNResNet(18, ibn="b", init_cfg=init_cfg, **SMALL)
    backbone.init_weights()
    assert torch.equal(backbone.conv1.weight, other["conv1.weight"])


def test_pretrained_that_does_not_fit_is_an_error(tmp_path):
    torch.save(trained(), tmp_path / "w.pth")
    init_cfg = {"type": "Pretrained", "checkpoint": str(tmp_path / "w.pth")}
    with pytest.raises(UserError, match="looks like ResNet-18, the config asks for depth 50"):
        IBNResNet(50, init_cfg=init_cfg, **SMALL).init_weights()


def test_pretrained_argument_is_shorthand(tmp_path):
    torch.save(trained(), tmp_path / "w.pth")
    with pytest.warns(DeprecationWarning, match="use init_cfg"):
        backbone = IBNResNet(18, pretrained=str(tmp_path / "w.pth"), **SMALL)
    assert backbone.init_cfg == {"type": "Pretrained", "checkpoint": str(tmp_path / "w.pth")}
    backbone.init_weights()
    weights = torch.load(tmp_path / "w.pth", weights_only=True)
    assert torch.equal(backbone.bn1.weight, weights["bn1.weight"])


def test_open_mmlab_names_go_through_mmengines_tables(hub, tmp_path):
    """The table of the user's own models, which mmengine merges into its own, names two."""
    weights = trained(deep_stem=True)
    (tmp_path / "served").mkdir()
    torch.save(weights, tmp_path / "served" / "remote.pth")
    torch.save(weights, hub / "local.pth")
    with serve(tmp_path / "served") as address:
        table = {"remote_v1c": f"{address}/remote.pth", "local_v1c": "local.pth"}
        (hub / "open_mmlab.json").write_text(json.dumps(table))
        for name in table:
            backbone = IBNResNet(
                18, ibn="b", deep_stem=True, **SMALL,
                init_cfg={"type": "Pretrained", "checkpoint": f"open-mmlab://{name}"},
            )  # fmt: skip
            backbone.init_weights()
            assert torch.equal(backbone.stem[0].weight, weights["stem.0.weight"])


@pytest.mark.parametrize(
    ("name", "url"),
    [
        ("torchvision://resnet50", "https://download.pytorch.org/models/resnet50-0676ba61.pth"),
        ("open-mmlab://resnet50_v1c", rf"{HOST}/.*resnet50_v1c-2cccc1ad.pth"),
        ("openmmlab://resnet101_v1c", rf"{HOST}/.*resnet101_v1c.*.pth"),
        ("open-mmlab://resnet50_caffe", r"https://.*third_party/resnet50_caffe-.*.pth"),
        ("mmcls://resnet50", rf"{HOST}/.*resnet50.*.pth"),
        ("https://example.org/x.pth", "https://example.org/x.pth"),
        ("weights/x.pth", "weights/x.pth"),
    ],
)
def test_names_of_published_weights(hub, name, url):
    assert re.fullmatch(url, resolve(name))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"norm_cfg": {"type": "SyncBNN"}},
            "unknown norm_cfg type 'SyncBNN': did you mean 'SyncBN'",
        ),
        (
            {"norm_cfg": {"type": "GN", "num_groups": 1}, "ibn": "a"},
            "norm_cfg type 'GN' does not go with ibn, which mixes instance and batch norm",
        ),
        (
            {"norm_cfg": {"type": "GN", "num_groups": 3}},
            "norm_cfg: num_groups=3 does not divide 8 channels",
        ),
        ({"norm_cfg": {"eps": 1e-3}}, "unknown norm_cfg type None: allowed: BN, SyncBN"),
        ({"ibn": "c"}, "unknown ibn variant 'c'"),
        ({"deepstem": True}, "unknown argument of IBNResNet 'deepstem': did you mean 'deep_stem'"),
        ({"pretrained": 3}, "pretrained=3 is not a path"),
        ({"pretrained": "x", "init_cfg": {"type": "Normal"}}, "pretrained and init_cfg"),
        (
            {"plugins": [{"cfg": {"type": "ContextBlock"}, "position": "after_conv4"}]},
            "unknown plugin position 'after_conv4': did you mean 'after_conv",
        ),
        (
            {"plugins": [{"cfg": {}, "position": "after_conv1", "stages": (True,)}]},
            "of a plugin does not describe 4 stages",
        ),
        (
            {"plugins": [{"cfg": {"type": "ContextBlock"}, "position": "after_conv1"}]},
            "need bottleneck blocks",
        ),
        ({"dcn": {"type": "DCN"}, "conv_cfg": {"type": "Conv2d"}}, "dcn and conv_cfg"),
        ({"dcn": {"type": "DCN"}, "stage_with_dcn": (True,)}, "stage_with_dcn=.* 4 stages"),
    ],
)
def test_wrong_arguments_are_one_line(settings, message):
    with pytest.raises(UserError, match=message) as caught:
        MODELS.build({"type": "IBNResNet", "depth": 18, **SMALL, **settings})
    assert "\n" not in caught.value.line


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("torchvision://resnet51", "unknown torchvision model 'resnet51': did you mean 'resnet5"),
        (
            "torchvison://resnet50",
            "scheme of a checkpoint 'torchvison': did you mean 'torchvision'",
        ),
    ],
)
def test_unknown_names_of_weights(hub, name, message):
    backbone = IBNResNet(18, init_cfg={"type": "Pretrained", "checkpoint": name}, **SMALL)
    with pytest.raises(UserError, match=message):
        backbone.init_weights()


DCN = {"dcn": {"type": "DCNv2"}, "stage_with_dcn": (False, True, True, True)}


HAS_OPERATORS = importlib.util.find_spec("mmcv._ext") is not None


@pytest.mark.skipif(HAS_OPERATORS, reason="this mmcv has compiled operators")
def test_deformable_convolutions_need_the_operators():
    with pytest.raises(EnvError, match=r"dcn needs mmcv\.ops.*install the full mmcv"):
        IBNResNet(50, **DCN, **SMALL)


@pytest.mark.skipif(not HAS_OPERATORS, reason="needs the compiled mmcv")
@pytest.mark.parametrize("ibn", [None, "a"])
def test_deformable_convolutions(ibn):
    from mmcv.ops import ModulatedDeformConv2dPack
    from mmseg.models.backbones import ResNet as Theirs

    theirs = Theirs(50, **DCN, **SMALL)
    theirs.init_weights()
    theirs.eval()
    backbone = IBNResNet(50, ibn=ibn, **DCN, **SMALL)
    backbone.init_weights()
    kinds = {type(block.conv2) for block in backbone.layer1}
    assert kinds == {nn.Conv2d}
    assert all(type(block.conv2) is ModulatedDeformConv2dPack for block in backbone.layer2)
    # Offsets start from zero, after the convolutions' own start.
    assert not any(block.conv2.conv_offset.weight.any() for block in backbone.layer2)
    adapted, report = adapt_state_dict(backbone, theirs.state_dict())
    backbone.load_state_dict(adapted, strict=True)
    backbone.eval()
    image = torch.randn(1, 3, 64, 64)
    if ibn is None:
        assert all(map(torch.equal, backbone(image), theirs(image)))
    _, report = adapt_state_dict(backbone, ResNet(50, **SMALL).state_dict())
    assert "layer2.0.conv2.conv_offset" in report.added
