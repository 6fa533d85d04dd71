"""Checkpoints of MXNet in commands of classifiers: loaded as they are, with their preprocessing."""

import json
import math

import pytest
import torch

pytest.importorskip("mmengine")

from ibn_seg import cli
from ibn_seg.export.exportable import classifier
from ibn_seg.imagenet.classifier import ImageClassifier
from ibn_seg.io import load_checkpoint
from ibn_seg.models import create_model
from tests.imagenet.conftest import SIZE
from tests.models.test_mxnet_import import theirs
from tests.mxnet_files import write_params

NAME = "mx_resnet18"
STD = math.sqrt(1 + 2e-5)


@pytest.fixture(scope="module")
def params(tmp_path_factory):
    """A checkpoint of ten classes, whose images are normalised by sqrt(1 + 2e-5)."""
    torch.manual_seed(0)
    model = create_model(NAME, num_classes=10)
    path = tmp_path_factory.mktemp("mxnet") / "ten.params"
    return write_params(path, theirs(model))


def test_a_classifier_prepares_images_as_its_weights_want(params):
    with torch.device("meta"):
        model = ImageClassifier(NAME, 10)
    model.to_empty(device="cpu")
    model.load_exactly(load_checkpoint(params), params)
    pixels = torch.full((1, 3, 2, 2), 100, dtype=torch.uint8)
    # What `theirs` writes: variance, mean and shift are 1.
    wanted = torch.full((1, 3, 2, 2), (100 - (1 - STD)) / STD)
    torch.testing.assert_close(model._normalised(pixels), wanted)


def test_imagenet_test_takes_it(params, shapes, tmp_path, capsys):
    pytest.importorskip("torchvision")
    args = ["imagenet", "test", "--model", NAME, "--data", str(shapes), "--checkpoint", str(params)]
    args += ["--image-size", str(SIZE), "--workers", "0", "--work-dir", str(tmp_path)]
    assert cli.run(args) == 0
    assert json.loads((tmp_path / "test.json").read_text())["model"] == NAME


def test_export_takes_it(params):
    subject = classifier(NAME, params)
    assert subject.images.order == "RGB"
    assert subject.images.std == pytest.approx([STD] * 3)
    assert subject.images.mean == pytest.approx([1 - STD] * 3)
