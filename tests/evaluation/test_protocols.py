"""Evaluation protocols by name: what the network sees, what is scored, and what a result says."""

import json

import numpy as np
import pytest
import torch
from PIL import Image

from ibn_seg.cli import run
from ibn_seg.datasets.labels import CLASSES
from ibn_seg.errors import UserError
from ibn_seg.evaluation.confusion import scores
from ibn_seg.evaluation.protocols import PROTOCOLS, Scale, class_set, get_protocol
from ibn_seg.transforms.protocol_view import ProtocolView
from tests.tiny import write_experiment


@pytest.mark.parametrize(
    ("scale", "size", "expected"),
    [
        (Scale(), (1914, 1052), (1914, 1052)),
        (Scale(factor=0.5), (1915, 1053), (957, 526)),
        (Scale(size=(1024, 563)), (1914, 1052), (1024, 563)),
        (Scale(fit=(1024, 512)), (4000, 3000), (683, 512)),
        (Scale(fit=(1024, 512)), (3000, 1000), (1024, 341)),
        (Scale(height=1536), (4032, 3024), (2048, 1536)),
        (Scale(short=512), (3000, 1000), (1536, 512)),
        (Scale(short=512), (1000, 3000), (512, 1536)),
        (Scale(long=1024), (1000, 3000), (341, 1024)),
    ],
)
def test_sizes(scale, size, expected):
    assert scale.apply(*size) == expected


def sample(width, height, target):
    rng = np.random.default_rng(0)
    return {
        "img": rng.integers(0, 256, (height, width, 3), np.uint8),
        "gt_seg_map": rng.integers(0, 19, (height, width), np.uint8),
        "target": target,
        "ori_shape": (height, width),
    }


@pytest.mark.parametrize(
    ("protocol", "target", "size", "image", "label"),
    [
        ("native", "mapillary-rein", (400, 300), (400, 300), (400, 300)),
        ("robustnet", "cityscapes", (256, 128), (256, 128), (256, 128)),
        ("robustnet", "mapillary-robustnet", (400, 300), (1536, 1536), (1536, 1536)),
        ("rein", "cityscapes", (256, 128), (1024, 512), (256, 128)),
        ("rein", "mapillary-rein", (4000, 3000), (683, 512), (2000, 1500)),
        ("rein", "acdc-night", (192, 108), (960, 540), (192, 108)),
        ("rein", "idd", (192, 108), (192, 108), (192, 108)),
        ("ibn_paper", "gta5", (191, 105), (1024, 563), (191, 105)),
        ("ibn_paper", "gta5x", (191, 105), (191, 105), (191, 105)),
    ],
)
def test_what_the_network_sees_and_what_is_scored(protocol, target, size, image, label):
    result = ProtocolView(protocol)(sample(*size, target))
    assert result["img"].shape[1::-1] == image
    assert result["gt_seg_map"].shape[::-1] == label
    assert result["ori_shape"] == label[::-1]
    assert result["img_shape"] == image[::-1]
    without = sample(*size, target)
    del without["gt_seg_map"]
    assert ProtocolView(protocol)(without)["ori_shape"] == label[::-1]


@pytest.mark.parametrize(("width", "height"), [(512, 1024), (1024, 512)])
def test_robustnets_square_is_in_the_centre_and_its_padding_ignored(width, height):
    result = ProtocolView("robustnet")(sample(width, height, "mapillary-rein"))
    label = result["gt_seg_map"]
    if width > height:  # 3072x1536, cut to the columns 768..2303
        assert (label != 255).all()
        source = sample(width, height, "x")["gt_seg_map"]
        assert np.array_equal(label[1::3, 1::3], source[:, width // 4 : width // 4 * 3])
    else:  # 768x1536, in the columns 384..1151
        inside = np.zeros((1536, 1536), bool)
        inside[:, 384:1152] = True
        assert np.array_equal(label != 255, inside)
        assert not result["img"][~inside].any()


def test_sets_of_classes():
    assert class_set(19) == CLASSES
    assert set(CLASSES) - set(class_set(16)) == {"terrain", "truck", "train"}
    assert set(class_set(16)) - set(class_set(13)) == {"wall", "fence", "pole"}
    with pytest.raises(UserError, match="allowed: 19, 16, 13"):
        class_set(17)


def test_the_mean_of_16_classes_with_three_that_score_nothing():
    """mIoU16 = mIoU19 * 19 / 16 where the other three score 0 (README of DAFormer)."""
    confusion = np.diag(np.arange(1, 20)).astype(np.int64) * 100
    for name in ("terrain", "truck", "train"):
        index = CLASSES.index(name)
        confusion[index, CLASSES.index("sky")] = confusion[index, index]
        confusion[index, index] = 0
    all19, only16 = scores(confusion, CLASSES), scores(confusion, CLASSES, scored=class_set(16))
    assert only16.mIoU == pytest.approx(all19.mIoU * 19 / 16)
    assert only16.IoU == {name: all19.IoU[name] for name in class_set(16)}
    assert only16.absent == []
    with pytest.raises(UserError, match="no pixel belongs to a class that is scored"):
        scores(np.diag(np.eye(19)[9]).astype(np.int64), CLASSES, scored=class_set(16))


def test_every_protocol_says_where_it_is_from():
    for name, protocol in PROTOCOLS.items():
        assert protocol.name == name
        assert protocol.source
    with pytest.raises(UserError, match="did you mean 'robustnet'"):
        get_protocol("robustnett")


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """The tiny experiment and a checkpoint of it."""
    from mmengine.registry import init_default_scope
    from mmseg.registry import MODELS

    from ibn_seg.config import load_config

    folder = tmp_path_factory.mktemp("protocols")
    config = load_config(write_experiment(folder))
    init_default_scope("mmseg")
    torch.manual_seed(0)
    model = MODELS.build(config.model)
    torch.save({"state_dict": model.state_dict()}, folder / "weights.pth")
    return folder


def evaluate(folder, name, *options):
    work = folder / f"work_{name}"
    args = ["test", str(folder / "tiny.py"), str(folder / "weights.pth"), "--work-dir", str(work)]
    assert run([*args, *options]) == 0
    return json.loads((work / "test.json").read_text())


def test_a_result_says_which_protocol_it_is_from(trained):
    native = evaluate(trained, "native")
    fewer = evaluate(trained, "fewer", "--protocol", "synthia13")
    assert (native["protocol"], fewer["protocol"]) == ("native", "synthia13")
    for domain, scored in fewer["domains"].items():
        every = native["domains"][domain]
        assert scored["confusion"] == every["confusion"]
        kept = [every["IoU"][name] for name in class_set(13) if name in every["IoU"]]
        assert scored["mIoU"] == pytest.approx(np.mean(kept))


def test_predictions_are_scored_at_the_labels_size(trained):
    out = trained / "predictions"
    rein = evaluate(trained, "rein", "--protocol", "rein", "--out", str(out))
    (path, *_) = sorted((out / "cityscapes").rglob("*.png"))
    with Image.open(path) as picture:
        assert picture.size == (64, 48)
    assert rein["domains"]["cityscapes"]["images"] == 2
    native = evaluate(trained, "again")
    assert rein["domains"]["gta5"]["confusion"] == native["domains"]["gta5"]["confusion"]
    assert (
        rein["domains"]["cityscapes"]["confusion"] != native["domains"]["cityscapes"]["confusion"]
    )


def test_a_wrong_protocol_is_one_line(trained, capsys):
    args = ["test", str(trained / "tiny.py"), str(trained / "weights.pth")]
    assert run([*args, "--work-dir", str(trained / "w"), "--protocol", "rain"]) == 2
    assert "unknown evaluation protocol 'rain': did you mean 'rein'?" in capsys.readouterr().err
