"""`--fuse`: the same results from a fused network, by every command that takes it."""

import json

import numpy as np
import pytest
import torch
from PIL import Image

from ibn_seg import cli
from ibn_seg.run import segmentation
from tests.helpers import write_image

LINE = "fused EncoderDecoder: folded 16 batch norms and those of 6 IBNs into convolutions; output"


@pytest.fixture(scope="module")
def checkpoint(trained):
    return trained[0] / "iter_6.pth"


def labels(folder):
    files = sorted(folder.rglob("*.png"))
    assert files
    return np.stack([np.asarray(Image.open(file)) for file in files])


def test_the_test_command(tiny, checkpoint, tmp_path, capsys):
    segmentation.test(tiny, checkpoint, work_dir=tmp_path, out=tmp_path / "plain", quiet=True)
    plain = json.loads((tmp_path / "test.json").read_text())
    args = ["test", tiny, checkpoint, "--work-dir", tmp_path, "--out", tmp_path / "fused", "--fuse"]
    assert cli.run([*map(str, args)]) == 0
    assert capsys.readouterr().err.count(LINE) == 1
    fused = json.loads((tmp_path / "test.json").read_text())
    assert (plain["fused"], fused["fused"]) == (False, True)
    assert fused["metrics"] == pytest.approx(plain["metrics"], abs=0.5)
    assert (labels(tmp_path / "plain") != labels(tmp_path / "fused")).mean() <= 1e-3


def test_predict(tiny, checkpoint, tmp_path, capsys):
    picture = np.random.default_rng(0).integers(0, 256, (48, 64, 3)).astype(np.uint8)
    write_image(tmp_path / "a.png", picture)
    for folder, options in (("plain", []), ("fused", ["--fuse"])):
        args = ["predict", tiny, checkpoint, tmp_path / "a.png", "--out", tmp_path / folder]
        assert cli.run([*map(str, args), *options]) == 0
        assert capsys.readouterr().err.count(LINE) == len(options)
    found = [np.asarray(Image.open(tmp_path / name / "a_trainIds.png"))
             for name in ("plain", "fused")]  # fmt: skip
    assert (found[0] != found[1]).mean() <= 1e-3


def test_evaluate(tiny, checkpoint, tmp_path, capsys):
    target = f"cityscapes={tiny.parent / 'cityscapes'}"
    args = ["evaluate", tiny, checkpoint, "--targets", target, "--work-dir", tmp_path, "--fuse"]
    assert cli.run([*map(str, args)]) == 0
    assert LINE in capsys.readouterr().err
    assert json.loads((tmp_path / "test.json").read_text())["fused"] is True
    args = ["evaluate", "--predictions", tmp_path, "--method", "x", "--targets", target, "--fuse"]
    assert cli.run([*map(str, args)]) == 2
    assert "error: --fuse is given with --predictions" in capsys.readouterr().err


@pytest.mark.slow
def test_export(tiny, checkpoint, tmp_path, capsys):
    onnxruntime = pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    x = torch.randn(2, 3, 70, 90, generator=torch.Generator().manual_seed(0)).numpy()
    found = []
    for name, options in (("plain", []), ("fused", ["--fuse"])):
        out = tmp_path / f"{name}.onnx"
        args = ["export", "--config", tiny, "--checkpoint", checkpoint, "-o", out, *options]
        assert cli.run([*map(str, args)]) == 0
        session = onnxruntime.InferenceSession(str(out), providers=["CPUExecutionProvider"])
        found.append(session.run(None, {"image": x})[0])
    assert LINE in capsys.readouterr().err
    assert np.abs(found[0] - found[1]).max() <= 1e-4 * np.abs(found[0]).max()
