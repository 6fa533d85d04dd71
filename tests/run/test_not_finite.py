"""Weights that are NaN or infinite: each command that loads them says so once, and goes on."""

import numpy as np
import pytest
import torch

from ibn_seg.cli import run
from ibn_seg.imagenet.classifier_weights import load_exactly
from ibn_seg.io import load_checkpoint
from ibn_seg.models import create_model
from ibn_seg.models.weights import load_backbone_weights
from tests.helpers import write_image

WEIGHT, STATISTIC = "decode_head.conv_seg.bias", "backbone.bn1.running_var"


def lines(text):
    return [line for line in text.splitlines() if "NaN or infinite" in line]


@pytest.fixture(scope="module")
def broken(trained, tmp_path_factory):
    """A checkpoint of the tiny network with one NaN, one infinity, and a count of its tensors."""
    content = load_checkpoint(trained[0] / "iter_6.pth")
    content["state_dict"][STATISTIC][0] = float("inf")
    content["state_dict"][WEIGHT][3] = float("nan")
    path = tmp_path_factory.mktemp("broken") / "broken.pth"
    torch.save(content, path)
    return path, len(content["state_dict"])


def expected(path, tensors):
    return [
        f"{path}: 2 of {tensors} tensors hold NaN or infinite values (first: {STATISTIC}); "
        "use another checkpoint"
    ]


def commands(tiny, path, folder):
    picture = write_image(folder / "a.png", np.zeros((48, 64, 3), np.uint8))
    data = f"cityscapes={tiny.parent / 'cityscapes'}"
    return {
        "test": ["test", tiny, path, "--work-dir", folder / "run"],
        "evaluate": ["evaluate", tiny, path, "--targets", data, "--work-dir", folder / "run"],
        "predict": ["predict", tiny, path, picture, "--out", folder / "run"],
        "resume": ["train", tiny, "--work-dir", folder / "run", "--cfg-options",
                   f"load_from={path}", "train_cfg.max_iters=1"],
    }  # fmt: skip


@pytest.mark.parametrize("name", ["test", "evaluate", "predict", "resume"])
def test_it_is_said_once(tiny, broken, trained, tmp_path, capfd, name):
    path, tensors = broken
    assert run([*map(str, commands(tiny, path, tmp_path)[name])]) == 0
    assert lines(capfd.readouterr().err) == expected(path, tensors)
    sound = commands(tiny, trained[0] / "iter_6.pth", tmp_path)[name]
    assert run([*map(str, sound)]) == 0
    assert lines(capfd.readouterr().err) == []


# An export is compared with the network before it is written, and NaN is equal to nothing.
def test_export_says_it(tiny, broken, tmp_path, capfd):
    pytest.importorskip("onnxruntime")
    path, tensors = broken
    args = ["export", "--config", tiny, "--checkpoint", path, "-o", tmp_path / "out.onnx"]
    assert run([*map(str, args), "--size", "64x64"]) == 2
    assert lines(capfd.readouterr().err) == expected(path, tensors)


@pytest.fixture(scope="module")
def classifier(tmp_path_factory):
    path = tmp_path_factory.mktemp("classifier") / "bare.pth"
    weights = create_model("resnet18_ibn_a", num_classes=4).state_dict()
    weights["layer1.0.conv1.weight"][0, 0, 0, 0] = -float("inf")
    torch.save(weights, path)
    return path, len(weights)


def test_export_of_a_bare_classifier_says_it(classifier, tmp_path, capfd):
    pytest.importorskip("onnxruntime")
    path, tensors = classifier
    args = ["export", "--model", "resnet18_ibn_a", "--checkpoint", path, "-o", tmp_path / "a.onnx"]
    assert run([*map(str, args), "--size", "64x64"]) == 2
    (line,) = lines(capfd.readouterr().err)
    assert f"{path}: 1 of {tensors} tensors holds NaN or infinite values (first: layer1" in line


def test_a_classifier_to_test_says_it(classifier, capfd):
    path, tensors = classifier
    network = create_model("resnet18_ibn_a", num_classes=4)
    load_exactly(network, load_checkpoint(path), path)
    (line,) = lines(capfd.readouterr().err)
    assert line.startswith(f"{path}: 1 of {tensors} tensors holds")


def test_weights_to_start_from_say_it(classifier, capfd):
    path, tensors = classifier
    load_backbone_weights(create_model("resnet18_ibn_a", num_classes=4), path)
    (line,) = lines(capfd.readouterr().err)
    assert f"1 of {tensors} tensors holds" in line


def test_the_state_of_the_optimiser_does_not_count(tiny, trained, tmp_path, capfd):
    content = load_checkpoint(trained[0] / "iter_6.pth")
    content["optimizer"]["state"][0]["momentum_buffer"].fill_(float("nan"))
    torch.save(content, tmp_path / "a.pth")
    assert run([*map(str, commands(tiny, tmp_path / "a.pth", tmp_path)["predict"])]) == 0
    assert lines(capfd.readouterr().err) == []
