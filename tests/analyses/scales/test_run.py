"""A real network at other scales of its input, and the mean over several."""

import copy
import json

import pytest

pytest.importorskip("mmseg")

import torch
from mmseg.structures import SegDataSample

from ibn_seg import cli
from ibn_seg.analyses.scales.cell import summary
from ibn_seg.engine.full_size_labels import can_skip_logits
from ibn_seg.engine.input_scales import at_scales
from ibn_seg.errors import UserError
from tests.engine.test_full_size_labels import segmentor


def predicted(network, inputs):
    size = tuple(inputs.shape[2:])
    meta = dict(img_shape=size, ori_shape=size, pad_shape=size)
    with torch.no_grad():
        return network.predict(inputs, [SegDataSample(metainfo=meta)])[0].seg_logits.data


def test_the_ensemble_is_the_mean_of_the_probabilities_at_each_scale():
    head = dict(
        type="FCNHead", in_channels=32, channels=32, num_convs=0, concat_input=False,
        num_classes=5, align_corners=False, in_index=0,
    )  # fmt: skip
    network, inputs = segmentor(decode_head=head), torch.randn(1, 3, 64, 96)
    torch.nn.init.normal_(network.decode_head.conv_seg.weight, std=5)
    plain = predicted(network, inputs)
    found = {}
    for scale in (0.5, 1.0):
        with at_scales(network, (scale,)) as spent:
            assert not can_skip_logits(network)
            found[scale] = predicted(network, inputs)
        assert spent.inputs == 1
        assert spent.seconds > 0
    assert torch.equal(found[1.0], plain)
    # By hand: a smaller input, whose logits the head resizes to the whole size.
    small = torch.nn.functional.interpolate(inputs, (32, 48), mode="bilinear")
    with torch.no_grad():
        logits = network.decode_head(network.extract_feat(small))
    by_hand = torch.nn.functional.interpolate(logits, (64, 96), mode="bilinear")[0]
    assert torch.allclose(found[0.5], by_hand, atol=1e-5)
    with at_scales(network, (0.5, 1.0)):
        both = predicted(network, inputs)
    mean = (found[0.5].softmax(0) + plain.softmax(0)) / 2
    assert torch.allclose(both.softmax(0), mean, atol=1e-6)
    assert can_skip_logits(network)


def test_sliding_windows_are_refused():
    network = copy.copy(segmentor())
    network.test_cfg = dict(mode="slide")
    with pytest.raises(UserError, match="sliding windows"), at_scales(network, (0.5,)):
        pass


def test_the_command_measures_each_scale_and_the_ensemble(tiny, trained, tmp_path, capsys):
    options = ("--scales", "0.5,1", "--domain", "cityscapes", "--work-dir", str(tmp_path))
    checkpoint = str(trained[0] / "iter_6.pth")
    assert cli.run(["scales", str(tiny), checkpoint, *options]) == 0
    said = capsys.readouterr().out
    result = json.loads((tmp_path / "scales.json").read_text())
    assert [one["name"] for one in result["scales"]] == ["0.5", "1", "ensemble"]
    whole = result["scales"][1]["domains"]["cityscapes"]
    assert whole["mIoU"] == pytest.approx(trained[1]["domains"]["cityscapes"]["mIoU"])
    for one in result["scales"]:
        values = one["domains"]["cityscapes"]
        assert 0 <= values["ECE"] <= 100
        assert one["milliseconds"] > 0
        assert f"{values['mIoU']:.2f}" in said
    assert summary(result) == f"ensemble  cityscapes {values['mIoU']:.2f}"


@pytest.mark.parametrize(("scales", "line"), [("0", "--scales: 0"), ("1,1", "a number twice")])
def test_bad_scales_are_one_line(scales, line, tiny, capsys):
    assert cli.run(["scales", str(tiny), "x.pth", "--scales", scales]) == 2
    assert line in capsys.readouterr().err
