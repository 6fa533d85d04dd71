"""What a user types: one table, or one line that says what is wrong."""

import dataclasses
import hashlib
import importlib.util
import json
import re
import shutil
import sys

import pytest
import torch

pytest.importorskip("mmengine")

from ibn_seg.cli import run
from ibn_seg.models import create_model
from ibn_seg.models.specs import MODELS
from tests.helpers import truncate
from tests.imagenet.conftest import SIZE

MODEL = "resnet18"
needs_torchvision = pytest.mark.skipif(
    importlib.util.find_spec("torchvision") is None, reason="no torchvision"
)


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """A state dict of ten classes."""
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("weights") / "ten.pth"
    torch.save(create_model(MODEL, num_classes=10).state_dict(), path)
    return path


def imagenet(command, data, *options, model=MODEL):
    return run(["imagenet", command, "--model", model, "--data", str(data), *map(str, options)])


@needs_torchvision
def test_a_test_prints_a_table_and_writes_a_record(shapes, weights, tmp_path, capsys):
    options = ["--checkpoint", weights, "--image-size", SIZE, "--work-dir", tmp_path]
    options += ["--transform", "none", "--transform", "std1.5", "--workers", 0]
    assert imagenet("test", shapes, *options) == 0
    printed = capsys.readouterr().out
    record = json.loads((tmp_path / "test.json").read_text())
    for name in ("none", "std1.5"):
        row = next(line for line in printed.splitlines() if re.match(rf"\W+{name} ", line))
        for value in record["errors"][name].values():
            assert f"{value:.2f}" in row
    assert "percent of 29 pictures, 10 classes, 32x32" in printed
    assert record["checkpoint"] == str(weights)
    assert (record["kind"], record["seed"], record["processes"]) == ("test", 0, 1)


@needs_torchvision
def test_a_folder_of_classes_is_tested_as_it_is(shapes, weights, tmp_path, capsys):
    options = ["--checkpoint", weights, "--image-size", SIZE, "--workers", 0]
    assert imagenet("test", shapes / "val", *options, "--work-dir", tmp_path) == 0
    assert "none" in capsys.readouterr().out


@needs_torchvision
def test_published_weights_are_tested_on_a_thousand_classes(shapes, tmp_path, monkeypatch, capsys):
    """From a folder that takes the place of the download, with the hash in the table of models."""
    name = "resnet18_ibn_a"
    torch.save(create_model(name).state_dict(), tmp_path / "new.pth")
    digest = hashlib.sha256((tmp_path / "new.pth").read_bytes()).hexdigest()[:8]
    spec = dataclasses.replace(MODELS[name], sha256=digest)
    (tmp_path / "new.pth").rename(tmp_path / spec.weights)
    monkeypatch.setattr("ibn_seg.models.published_weights.MODELS", {**MODELS, name: spec})
    monkeypatch.setenv("IBN_SEG_WEIGHTS", str(tmp_path))
    options = ["--pretrained", "--image-size", SIZE, "--work-dir", tmp_path / "run"]
    assert imagenet("test", shapes, *options, model=name) == 2
    assert "/val: 10 class folders do not fit the 1000 classes of" in capsys.readouterr().err
    for number in range(1000):
        folder = tmp_path / "val" / f"n{number:08}"
        folder.mkdir(parents=True)
        (folder / "a.png").symlink_to(shapes / "val" / "disc" / "000.png")
    assert imagenet("test", tmp_path, *options, model=name) == 0
    record = json.loads((tmp_path / "run" / "test.json").read_text())
    # All are one picture, so that exactly one class is right and five are among the first five.
    assert record["errors"]["none"] == {"top1_error": 99.9, "top5_error": 99.5}
    assert record["checkpoint"] == str(tmp_path / spec.weights)


def without_val(root):
    (root / "val").rename(root / "other")


def other_classes(root):
    (root / "val" / "disc").rename(root / "val" / "disk")


def without_a_class(root):
    for path in (root / "val" / "disc").iterdir():
        path.unlink()
    (root / "val" / "disc").rmdir()


def empty_class(root):
    for path in (root / "val" / "ring").iterdir():
        path.unlink()


def cut(root):
    for path in (root / "val").glob("*/*.png"):
        truncate(path)


# Command, what is done to the data, further options, what the line must say.
WRONG = {
    "no weights": ("test", None, [], r"imagenet test: no weights: give --pretrained"),
    "unknown model": ("test", None, ["--model", "resnet51"], r"unknown model 'resnet51': did you"),
    "unpublished": ("test", None, ["--pretrained"], r"resnet18: its authors published no weights"),
    "missing file": ("test", None, ["--checkpoint", "a.pth"], r"a.pth: no such checkpoint"),
    "transform": (
        "test", None, ["{weights}", "--transform", "rgb50"],
        r"unknown transform 'rgb50': did you mean 'rgb\+50'",
    ),
    "size": ("test", None, ["{weights}", "--image-size", "16"], r"--image-size 16: it must be at"),
    "workers": ("test", None, ["{weights}", "--workers", "-1"], r"--workers -1: it must not be"),
    "no val": ("test", without_val, ["{weights}"], r"{root}/val: no such folder: ImageNet's lay"),
    "train without val": ("train", without_val, [], r"{root}/val: no such folder: ImageNet's lay"),
    "class count": (
        "test", without_a_class, ["{weights}"],
        r"{root}/val: 9 class folders do not fit the 10 classes of .*ten.pth",
    ),
    "empty class": (
        "test", empty_class, ["{weights}"], r"{root}/val/ring: a class folder without pictures"
    ),
    "cut picture": ("test", cut, ["{weights}"], r"{root}/val/\w+/000.png: cannot be read as a"),
    "other classes": (
        "train", other_classes, [],
        r"{root}/val: its classes are not those of {root}/train: 1 missing, such as 'disc'; 1 un",
    ),
    "large batch": ("train", None, [], r"--batch-size 256: {root}/train has 40 pictures"),
    "batch of one": ("train", None, ["--batch-size", "1"], r"--batch-size 1 of 1 processes"),
    "milestones": (
        "train", None, ["--epochs", "10", "--milestones", "3,12"],
        r"--milestones 3,12 for 10 epochs: they must increase, between 0 and 10",
    ),
    "launcher": ("train", None, ["--launcher", "pytorch"], r"--launcher pytorch: RANK is not set"),
}  # fmt: skip


@needs_torchvision
@pytest.mark.parametrize("case", WRONG)
def test_wrong_input_is_one_line(case, shapes, weights, tmp_path, capsys, monkeypatch):
    command, damage, options, line = WRONG[case]
    monkeypatch.delenv("RANK", raising=False)
    monkeypatch.chdir(tmp_path)
    root = shapes
    if damage is not None:
        root = tmp_path / "data"
        shutil.copytree(shapes, root)
        damage(root)
    given = [f"--checkpoint={weights}" if option == "{weights}" else option for option in options]
    assert imagenet(command, root, *given, "--work-dir", tmp_path / "run") == 2
    errors = capsys.readouterr().err.strip()
    assert re.match(f"error: {line.format(root=root)}", errors), errors
    assert len(errors.splitlines()) == 1
    assert not list(tmp_path.glob("run/*.json"))


def test_float16_needs_a_gpu(shapes, tmp_path, capsys):
    if torch.cuda.is_available():
        pytest.skip("there is a GPU")
    assert imagenet("train", shapes, "--amp-type", "float16", "--work-dir", tmp_path) == 3
    assert "error: --amp-type float16 needs a GPU" in capsys.readouterr().err


def test_without_torchvision(shapes, tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "torchvision", None)
    assert imagenet("train", shapes, "--work-dir", tmp_path / "run") == 3
    assert capsys.readouterr().err == (
        "error: the package 'torchvision' is not installed: pip install 'ibn_seg[imagenet]'\n"
    )


@needs_torchvision
def test_a_checkpoint_knows_what_it_is_of(trained, shapes, tmp_path, capsys):
    """Another network, other classes, another recipe: refused, with what it was."""
    checkpoint = trained[0] / "iter_9.pth"
    options = ["--checkpoint", checkpoint, "--work-dir", tmp_path / "run"]
    assert imagenet("test", shapes, *options) == 2
    assert "holds weights of resnet18_ibn_a, not of resnet18: give --model resnet18_ibn_a" in (
        capsys.readouterr().err
    )
    root = tmp_path / "data"
    shutil.copytree(shapes / "val", root)
    (root / "disc").rename(root / "disk")
    assert imagenet("test", root, *options, model="resnet18_ibn_a") == 2
    assert "1 missing, such as 'disc'; 1 unknown, such as 'disk'" in capsys.readouterr().err
    (tmp_path / "resumed").mkdir()
    (tmp_path / "resumed" / "iter_9.pth").symlink_to(checkpoint)
    resume = ["--resume", "--work-dir", tmp_path / "resumed", "--epochs", 4, "--batch-size", 12]
    assert imagenet("train", shapes, *resume, model="resnet18_ibn_a") == 2
    assert "iter_9.pth: began with epochs 3, now it is 4: resume with what it began with" in (
        capsys.readouterr().err
    )
