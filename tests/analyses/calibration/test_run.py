"""A real network, and the confidence of its pixels."""

import json

import cv2
import numpy as np
import pytest

pytest.importorskip("mmseg")

import torch

from ibn_seg import cli
from ibn_seg.analyses.calibration.cell import summary
from ibn_seg.analyses.calibration.run import calibration
from ibn_seg.datasets.class_map import ClassMap
from ibn_seg.engine import pixel_stream
from ibn_seg.engine.pixel_stream import PixelStream, fill
from ibn_seg.errors import UserError
from ibn_seg.io import load_checkpoint
from ibn_seg.trust.confidence_bins import LOG_ODDS
from ibn_seg.trust.image_confidences import RIGHT, WRONG, stack_images
from ibn_seg.trust.stored_confidences import read_confidences
from ibn_seg.trust.stored_temperature import temperature_file
from ibn_seg.trust.trust_measures import trust_measures
from tests.trust.made_pixels import scores, softmax


@pytest.fixture(scope="module")
def result(tiny, trained, tmp_path_factory):
    work_dir = tmp_path_factory.mktemp("calibration")
    moved = []
    found = calibration(
        tiny, trained[0] / "iter_6.pth", work_dir=work_dir, quiet=True,
        progress=lambda *counts: moved.append(counts),
    )  # fmt: skip
    assert moved[-1] == ("calibration", 4, 4)
    assert json.loads((work_dir / "calibration.json").read_text()) == found
    return found, work_dir


def test_the_scores_are_those_of_the_test_and_errors_those_of_its_matrices(result, trained):
    found, work_dir = result
    assert found["domains"] == trained[1]["domains"]
    stored = read_confidences(work_dir / found["confidences"])
    for domain, trust in found["trust"].items():
        confusion = np.array(found["domains"][domain]["confusion"])
        pooled = trust["pooled"]
        assert pooled["pixels"] == confusion.sum()
        assert pooled["error_rate"] == pytest.approx(1 - np.trace(confusion) / confusion.sum())
        images = stored.domains[domain]
        assert len(images.images) == found["domains"][domain]["images"]
        assert trust_measures(images) == trust
        assert images.counts[:, [WRONG, RIGHT]].sum() == confusion.sum()
        assert 0 < pooled["nll"] < 20
        low, high = found["trust_intervals"][domain]["ece"]["interval"]
        assert low <= pooled["ece"] <= high
        classes = found["trust_classes"][domain].values()
        assert sum(one["pixels"] for one in classes) == pooled["pixels"]
        errors = sum(one["pixels"] * one["ece"] for one in classes if one["pixels"])
        assert errors / pooled["pixels"] == pytest.approx(pooled["ece_predicted_class_by_pixels"])
        assert len(trust["risk_coverage"]) == 20
        assert trust["risk_coverage"][-1] == [1.0, pytest.approx(pooled["error_rate"])]


@pytest.mark.parametrize("block", [1, 1 << 16])
def test_a_histogram_is_that_of_the_formulae(block, monkeypatch):
    monkeypatch.setattr(pixel_stream, "_BLOCK", block)
    logits, labels = scores(600, classes=7, sharpness=1.3)
    maps = torch.from_numpy(logits.T.reshape(7, 20, 30).astype(np.float32))
    label = torch.from_numpy(labels.reshape(20, 30))
    image = fill(PixelStream(label), maps).histogram()
    known, p = labels != 255, softmax(logits)
    truth = labels[known].astype(int)
    assert image.nll == pytest.approx(-np.log(p[known, truth]).sum(), rel=1e-5)
    squares = ((p[known] - np.eye(7)[truth]) ** 2).sum()
    assert image.brier == pytest.approx(squares, rel=1e-5)
    trust = trust_measures(stack_images(["a"], LOG_ODDS, [image]))["pooled"]
    assert trust["mean_confidence"] == pytest.approx(p[known].max(axis=1).mean(), rel=1e-5)
    assert trust["error_rate"] == pytest.approx((p.argmax(axis=1)[known] != truth).mean())


def test_labels_of_other_classes_are_right_by_their_group():
    mapping = ClassMap(("a", "b", "c"), ("ab",), (0, 0, None))
    logits = 3 * torch.eye(3)[:, None]  # three pixels, predicted a, b and c
    image = fill(PixelStream(torch.zeros(1, 3, dtype=torch.uint8)), logits).histogram(mapping)
    assert (image.counts[RIGHT].sum(), image.counts[WRONG].sum()) == (2, 1)
    assert image.nll is None
    assert image.brier is None


@pytest.mark.parametrize(
    ("logits", "line"),
    [
        (torch.full((3, 2, 2), float("nan")), "NaN or infinite"),
        (torch.zeros(1, 2, 2), "the network has one output"),
    ],
)
def test_outputs_without_confidence_are_one_line(logits, line):
    with pytest.raises(UserError, match=line):
        fill(PixelStream(torch.zeros(2, 2, dtype=torch.uint8)), logits).histogram()


def test_the_command_prints_the_measures(tiny, trained, tmp_path, capsys):
    checkpoint = str(trained[0] / "iter_6.pth")
    options = ("--domain", "cityscapes", "--work-dir", str(tmp_path))
    assert cli.run(["calibration", str(tiny), checkpoint, *options]) == 0
    said = capsys.readouterr().out
    found = json.loads((tmp_path / "calibration.json").read_text())
    assert list(found["trust"]) == ["cityscapes"]
    ece = 100 * found["trust"]["cityscapes"]["pooled"]["ece"]
    assert f"{ece:.2f}" in said
    assert summary(found) == f"ECE cityscapes {ece:.1f} %"
    with pytest.raises(UserError, match="unknown domain 'cityscape'"):
        calibration(tiny, checkpoint, domains=["cityscape"], work_dir=tmp_path, quiet=True)


def overconfident(trained, path):
    """Write weights that give every pixel twice the logarithm of the classes' frequencies."""
    content = load_checkpoint(trained[0] / "iter_6.pth")
    confusions = [np.array(one["confusion"]) for one in trained[1]["domains"].values()]
    frequency = torch.tensor(sum(c.sum(axis=1) / c.sum() for c in confusions) + 1e-3)
    weights = content["state_dict"]
    weights["decode_head.conv_seg.weight"].zero_()
    weights["decode_head.conv_seg.bias"].copy_(2 * frequency.log())
    torch.save(content, path)
    return path


def test_a_temperature_of_the_source_is_fitted_stored_and_used(tiny, trained, tmp_path, capsys):
    checkpoint = overconfident(trained, tmp_path / "iter_6.pth")
    work = ("--work-dir", str(tmp_path / "fit"))
    assert (
        cli.run(["temperature", str(tiny), str(checkpoint), "--oracle", "cityscapes", *work]) == 0
    )
    assert "oracle: fitted on labels of the target" in capsys.readouterr().out
    assert not temperature_file(checkpoint).exists()
    options = ("--temperature", "class", "--work-dir", str(tmp_path / "run"))
    assert cli.run(["calibration", str(tiny), str(checkpoint), *options]) == 0
    said = capsys.readouterr().out
    found = json.loads((tmp_path / "run" / "calibration.json").read_text())
    fitted = json.loads(temperature_file(checkpoint).read_text())
    assert found["temperature"]["values"] == fitted["class"]["values"]
    source = fitted["domain"]
    assert found["temperature"]["domain"] == source
    for domain, tempered in found["tempered"].items():
        left_out = len(fitted["fit"]["images"]) if domain == source else 0
        assert tempered["images"] == found["domains"][domain]["images"] - left_out
        before, after = tempered["ece_before"], tempered["trust"]["pooled"]["ece"]
        assert tempered["ece_removed"] == pytest.approx(1 - after / before)
        assert f"{100 * tempered['ece_removed']:.2f}" in said
    # Every pixel has the same logits, so pictures of confidence have one level.
    out = tmp_path / "out"
    options = ("--out", str(out), "--confidence", "--work-dir", str(tmp_path / "test"))
    options = (*options, "--temperature", "global")
    assert cli.run(["test", str(tiny), str(checkpoint), *options]) == 0
    logits = load_checkpoint(checkpoint)["state_dict"]["decode_head.conv_seg.bias"]
    chance = (logits.double() / fitted["global"]["values"][0]).softmax(0).max()
    pictures = list(out.rglob("*_conf.png"))
    assert len(pictures) == 4
    for picture in pictures:
        assert set(np.unique(cv2.imread(str(picture), -1))) == {int(chance * 65536)}
    # The second half is what the fit was checked on.
    pooled = found["tempered"][source]["trust"]["pooled"]
    assert pooled["pixels"] == fitted["check"]["pixels"]
    assert pooled["nll"] == pytest.approx(fitted["check"]["class"]["nll"], rel=1e-5)
    assert pooled["ece"] == pytest.approx(fitted["check"]["class"]["ece"], rel=1e-4)
