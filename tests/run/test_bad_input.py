"""What a user gets wrong, through the command line: one line, exit code 2, nothing left behind."""

import re
import shutil

import numpy as np
import pytest
import torch
from PIL import Image

from ibn_seg.cli import run
from tests.helpers import Malicious, truncate, write_cityscapes
from tests.tiny import write_experiment


def rewrite(path, change):
    """Replace an image file by what `change` makes of its pixels."""
    with Image.open(path) as picture:
        changed = Image.fromarray(change(np.asarray(picture)))
    changed.save(path)


def every(folder, pattern, change):
    paths = sorted(folder.glob(pattern))
    assert paths
    for path in paths:
        change(path)


def odd_value(pixels):
    pixels = pixels.copy()
    pixels[0, 0] = 77
    return pixels


# What is done to the data; what the line must say, from its beginning on.
DATA = {
    "image without label": (
        lambda root: (root / "gta5/labels/00002.png").unlink(),
        r"{root}/gta5/images/00002.png: image without label: ",
    ),
    "label without image": (
        lambda root: (root / "gta5/images/00002.png").unlink(),
        r"{root}/gta5/labels/00002.png: label without image: ",
    ),
    "cut image": (
        lambda root: every(root, "gta5/images/*.png", truncate),
        r"{root}/gta5/images/\d+.png: truncated or damaged picture",
    ),
    "label of another size": (
        lambda root: every(root, "gta5/labels/*.png", lambda p: rewrite(p, lambda x: x[::2, ::2])),
        r"{root}/gta5/labels/\d+.png: label of \d+x\d+ pixels for an image of \d+x\d+",
    ),
}
OPTIONS = {
    "missing root": (
        "train_dataloader.dataset.data_root=/nowhere/gta5",
        r"GTA5Dataset: data root '/nowhere/gta5' does not exist: put the download there",
    ),
    "unknown backbone": (
        "model.backbone.type=IBNRestNet",
        r"unknown backbone \(model.backbone.type\) 'IBNRestNet': did you mean 'IBNResNet'",
    ),
    "unknown variant": (
        "model.backbone.ibn=c",
        r"unknown ibn variant 'c': allowed: a, b, in, ",
    ),
    "unknown argument": (
        "model.backbone.dept=50",
        r"unknown argument of IBNResNet 'dept': did you mean 'depth'",
    ),
    "unknown data set": (
        "train_dataloader.dataset.type=GTA5DataSet",
        r"unknown dataset \(train_dataloader.dataset.type\) 'GTA5DataSet': did you mean 'GTA5Data",
    ),
}


def assert_refused(code, errors, folder, line):
    assert code == 2
    assert re.match(f"error: {line}", errors.strip().splitlines()[-1]), errors
    assert errors.count("error: ") == 1
    assert "Traceback" not in errors
    assert not [
        p for p in folder.rglob("*") if p.name.endswith((".pth", "result.json", "test.json"))
    ]


@pytest.mark.parametrize("case", DATA)
def test_wrong_data(case, tmp_path, capsys):
    damage, line = DATA[case]
    config = write_experiment(tmp_path)
    damage(tmp_path)
    code = run(["train", str(config), "--work-dir", str(tmp_path / "run")])
    assert_refused(code, capsys.readouterr().err, tmp_path / "run", line.format(root=tmp_path))


@pytest.mark.parametrize("kind", ["labelIds", "labelTrainIds"])
def test_a_label_with_another_value(kind, trained, tmp_path, capsys):
    config = write_experiment(tmp_path)
    shutil.rmtree(tmp_path / "cityscapes")
    train_ids = kind == "labelTrainIds"
    write_cityscapes(tmp_path / "cityscapes", label_ids=not train_ids, label_train_ids=train_ids)
    every(tmp_path, f"cityscapes/gtFine/val/*/*_{kind}.png", lambda p: rewrite(p, odd_value))
    checkpoint = str(trained[0] / "iter_6.pth")
    code = run(["test", str(config), checkpoint, "--work-dir", str(tmp_path / "run")])
    line = rf"{tmp_path}/cityscapes/gtFine/val/.*_{kind}.png: value 77 is not a"
    assert_refused(code, capsys.readouterr().err, tmp_path / "run", line)


@pytest.mark.parametrize("case", OPTIONS)
def test_wrong_options(case, tiny, tmp_path, capsys):
    option, line = OPTIONS[case]
    code = run(["train", str(tiny), "--work-dir", str(tmp_path), "--cfg-options", option])
    assert_refused(code, capsys.readouterr().err, tmp_path, line)


@pytest.mark.parametrize("command", ["test", "predict"])
def test_wrong_checkpoints(command, tiny, trained, tmp_path, capsys):
    picture = str(next(tiny.parent.glob("gta5/images/*.png")))
    more = {
        "test": ["--work-dir", str(tmp_path / "run")],
        "predict": [picture, "--out", str(tmp_path / "run")],
    }[command]
    torch.save({"state_dict": {"a": Malicious(tmp_path / "executed")}}, tmp_path / "evil.pth")
    code = run([command, str(tiny), str(tmp_path / "evil.pth"), *more])
    assert_refused(code, capsys.readouterr().err, tmp_path / "run", r".*evil.pth: refused")
    assert not (tmp_path / "executed").exists()

    checkpoint = str(trained[0] / "iter_6.pth")
    deeper = ["--cfg-options", "model.backbone.depth=34"]
    code = run([command, str(tiny), checkpoint, *more, *deeper])
    line = r".*iter_6.pth: does not fit the config: its backbone is ResNet-18, the con"
    assert_refused(code, capsys.readouterr().err, tmp_path / "run", line)
