"""ONNX files against PyTorch, at batches and sizes that the command did not try."""

import json

import numpy as np
import pytest
import torch

import ibn_seg
from ibn_seg import cli
from ibn_seg.errors import UserError
from ibn_seg.export.export_network import export
from ibn_seg.trust.stored_temperature import write_temperature
from tests.networks import scrambled, segmentor
from tests.tiny import write_experiment

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")
pytest.importorskip("onnxscript")

SHAPE = (4, 3, 78, 171)
DEMO = "ibn_seg::demo/mlp_r18{}_1xb8-600_scenes-128x128"
DEEPLAB = "ibn_seg::deeplabv3plus/deeplabv3plus_r50-ibn-{}-d16_4xb4-40k_gta5-768x768"
PAPER = "ibn_seg::ibn_paper/fcn_r50-ibn-b-d8_4xb4-25k_gta5-512x512"


def saved(network, path):
    torch.save({"state_dict": network.state_dict(), "meta": {"iter": 1}}, path)
    return path


def run_all(path, images):
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return session.run(None, {"image": images.numpy()})


def run(path, images):
    (result,) = run_all(path, images)
    return result


def noise(shape=SHAPE):
    return torch.randn(shape, generator=torch.Generator().manual_seed(3))


def metadata(path):
    return {prop.key: prop.value for prop in onnx.load(path).metadata_props}


def assert_same(got, expected):
    assert got.shape == expected.shape
    assert np.abs(got - expected.numpy()).max() <= 1e-4 * expected.abs().max()


@torch.no_grad()
def check_classifier(name, tmp_path, capsys):
    network = scrambled(ibn_seg.create_model(name, num_classes=7))
    path = tmp_path / "c.onnx"
    checkpoint = saved(network, tmp_path / "c.pth")
    args = ["export", "--model", name, "--checkpoint", str(checkpoint), "-o", str(path)]
    assert cli.run([*args, "--size", "96x64"]) == 0
    assert_same(run(path, noise()), network(noise()))
    model = onnx.load(path)
    assert [(o.domain, o.version) for o in model.opset_import] == [("", 18)]
    out, err = capsys.readouterr()
    lines = out.splitlines()
    assert lines[0] == f"{path}: {path.stat().st_size / 1e6:.1f} MB, opset 18"
    assert lines[1].split("  ")[0] == ["input", "image", " batch x 3 x height x width"][0]
    assert "batch x 3 x height x width" in lines[1]
    assert lines[2] == "output logits  batch x 7"
    assert [line.rsplit(maxsplit=1)[0].strip() for line in lines[4:]] == [
        "2 x 3 x 64 x 96", "1 x 3 x 128 x 64", "3 x 3 x 65 x 115",
    ]  # fmt: skip
    assert all(0 <= float(line.split()[-1]) <= 1e-4 for line in lines[4:])
    assert "[torch.onnx]" not in err
    assert "arning" not in err
    assert sorted(p.name for p in tmp_path.iterdir()) == ["c.onnx", "c.pth"]


def test_classifier(tmp_path, capsys):
    check_classifier("resnet18_ibn_b", tmp_path, capsys)
    about = metadata(tmp_path / "c.onnx")
    assert about["kind"] == "classifier"
    assert about["channel_order"] == "RGB"
    np.testing.assert_allclose(json.loads(about["mean"]), [123.675, 116.28, 103.53])
    assert f"ibn_seg={ibn_seg.__version__}" in about["versions"]


@torch.no_grad()
@pytest.mark.parametrize("confidence", [False, True])
def test_segmentor_that_takes_pictures_and_returns_labels(confidence, tmp_path):
    """The whole way from pixels to classes is mmseg's own."""
    from ibn_seg.predict.predict_pictures import Segmenter

    config = write_experiment(tmp_path)
    network = segmentor(config)
    network.decode_head.conv_seg.weight *= 100  # so that classes differ from place to place
    network.decode_head.conv_seg.bias.zero_()
    checkpoint = saved(network, tmp_path / "s.pth")
    path = tmp_path / "s.onnx"
    temperatures = np.linspace(0.5, 4, 19).tolist() if confidence else None
    given = {"confidence": True, "temperature": "class"} if confidence else {}
    if confidence:
        kinds = {kind: {"values": temperatures} for kind in ("global", "class")}
        write_temperature(checkpoint, {"domain": "home", "fit": {"images": []}, **kinds})
    result = export(
        path, config=config, checkpoint=checkpoint, labels=True, normalise=True, opset=20,
        size=(96, 128), **given,
    )  # fmt: skip
    axes = ("batch", "height", "width")
    outputs = {"labels": axes, "confidence": axes} if confidence else {"labels": axes}
    assert (result.opset, result.outputs) == (20, outputs)
    picture = np.random.default_rng(0).integers(0, 256, (5, 6, 3), np.uint8)
    picture = picture.repeat(45, axis=0).repeat(45, axis=1)
    segment = Segmenter(config, checkpoint, device="cpu", temperatures=temperatures)
    expected = segment(picture)
    images = torch.from_numpy(picture[..., ::-1].transpose(2, 0, 1).copy()).float()[None]
    got, *beside = run_all(path, images)
    if confidence:
        # What `predict --confidence` writes, but for rounding.
        levels = segment.labels_and_levels(picture)[1].astype(int)
        apart = np.abs(np.floor(beside[0][0] * 65536).clip(max=65535) - levels)
        assert levels.std() > 1000
        assert (apart <= 2).mean() > 0.999
    assert got.dtype == np.uint8
    assert np.bincount(expected.ravel()).max() < 0.8 * expected.size
    assert (got[0] == expected).mean() > 0.999
    about = metadata(path)
    assert about["input"] == "RGB, 0 to 255"
    assert len(json.loads(about["classes"])) == len(json.loads(about["palette"])) == 19


@torch.no_grad()
def test_segmentor_of_a_config_for_bgr_at_one_size(tmp_path):
    """Pooling into a grid is refused for any size and done for one."""
    config = write_experiment(tmp_path)
    options = {
        "model.data_preprocessor.bgr_to_rgb": False,
        "model.decode_head.type": "PSPHead",
        "model.decode_head.pool_scales": (1, 2),
    }
    with config.open("a") as file:
        file.write("model['decode_head'].pop('num_convs')\n")
        file.write("model['decode_head'].pop('concat_input')\n")
    network = segmentor(config, **options)
    checkpoint = saved(network, tmp_path / "s.pth")
    path = tmp_path / "s.onnx"
    given = {"config": config, "checkpoint": checkpoint, "cfg_options": options}
    with pytest.raises(UserError, match=r"tiny.py: .* pools into 2x2 cells.*give --fixed-size"):
        export(path, **given)
    assert not path.exists()
    result = export(path, **given, fixed_size=True, size=(96, 64), normalise=True)
    assert result.inputs == {"image": ("batch", 3, 64, 96)}
    images = torch.rand((5, 3, 64, 96), generator=torch.Generator().manual_seed(0)) * 255
    bgr = network.data_preprocessor(
        {"inputs": [image.flip(0) for image in images], "data_samples": None}
    )["inputs"]
    expected = network._forward(bgr)
    expected = torch.nn.functional.interpolate(expected, (64, 96), mode="bilinear")
    assert_same(run(path, images), expected)


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    ["resnet18_ibn_a", "resnet50", "resnet50_ibn_a", "resnet50_ibn_b", "resnext50_ibn_a",
     "se_resnet50_ibn_a", "densenet121_ibn_a"],
)  # fmt: skip
def test_every_family(name, tmp_path, capsys):
    check_classifier(name, tmp_path, capsys)


@pytest.mark.slow
@pytest.mark.parametrize(
    "config",
    [*(DEMO.format(part) for part in ("", "-ibn-a", "-ibn-b")),
     *(DEEPLAB.format(part) for part in "ab"), PAPER],
)  # fmt: skip
@torch.no_grad()
def test_configs_of_the_package(config, tmp_path):
    network = segmentor(config)
    path = tmp_path / "s.onnx"
    result = export(path, config=config, checkpoint=saved(network, tmp_path / "s.pth"))
    assert max(result.differences.values()) <= 1e-4
    size = SHAPE[2:]
    expected = network.encode_decode(noise(), [{"ori_shape": size, "img_shape": size}])
    assert_same(run(path, noise()), expected)
    heads = ("auxiliary_head", "decode_head")
    names = [initializer.name for initializer in onnx.load(path).graph.initializer]
    assert [any(head in name for name in names) for head in heads] == [False, True]


@pytest.mark.parametrize(
    ("args", "message"),
    [
        ([], "neither model nor config is given"),
        (["--model", "resnet18_ibn_a", "--config", "x"], "model and config are both given"),
        (["--model", "resnet18_ibn_a"], "neither given: give --pretrained or --checkpoint FILE"),
        (["--model", "resnet18_ibn_a", "--pretrained", "--checkpoint", "x"], "both given"),
        (["--model", "resnet18_ibna", "--checkpoint", "x"], "did you mean 'resnet18_ibn_a'"),
        (["--model", "resnet18_ibn_a", "--checkpoint", "gone.pth"], "gone.pth: no such checkpoint"),
        (["--model", "resnet152_ibn_a", "--pretrained"], "its authors published no weights"),
        (["--model", "resnet18_ibn_a", "--pretrained", "--labels"], "--labels is given for a clas"),
        (["--config", "x", "--checkpoint", "y", "--temperature", "class"], "without --confidence"),
        (["--config", DEMO.format("")], "give --checkpoint FILE"),
        (["--config", "gone.py", "--checkpoint", "{bn}"], "gone.py: no such config file"),
        (["--model", "resnet18_ibn_a", "--pretrained", "--opset", "3"], "allowed: 18 to 23"),
        (["--model", "resnet18_ibn_a", "--pretrained", "--size", "8x8"], "allowed: 64 and up"),
        (["--model", "resnet18_ibn_a", "--checkpoint", "{bn}"], "holds the weights of another net"),
        (["--model", "resnet18_ibn_b", "--checkpoint", "{bn}"], "holds the weights of another net"),
        (["--model", "resnet34", "--checkpoint", "{bn}"], "looks like ResNet-18"),
        (["--model", "densenet121", "--checkpoint", "{bn}"], "holds no classifier"),
        (["--config", DEMO.format(""), "--checkpoint", "{bn}"], "does not fit the config"),
    ],
)
def test_wrong_input_is_one_line(args, message, tmp_path, capsys):
    bn = saved(ibn_seg.create_model("resnet18", num_classes=2), tmp_path / "bn.pth")
    out = tmp_path / "out" / "x.onnx"
    assert cli.run(["export", *(arg.format(bn=bn) for arg in args), "-o", str(out)]) == 2
    err = capsys.readouterr().err
    assert message in err
    assert len(err.strip().splitlines()) == 1
    assert not out.exists()


def test_where_it_cannot_be_written(tmp_path, capsys):
    checkpoint = saved(ibn_seg.create_model("resnet18"), tmp_path / "bn.pth")
    args = ["export", "--model", "resnet18", "--checkpoint", str(checkpoint), "-o"]
    assert cli.run([*args, str(tmp_path / "bn.pth" / "x.onnx")]) == 3
    assert "cannot be written" in capsys.readouterr().err
    assert cli.run([*args, str(tmp_path / "x.pb")]) == 2
    assert "x.pb: is not the name of an ONNX file: end it in .onnx" in capsys.readouterr().err


@torch.no_grad()
def test_a_file_that_differs_is_not_kept(tmp_path, monkeypatch):
    """Pooling that no module shows is exported for the example's size; the check finds it."""
    from ibn_seg.export import exportable

    class PoolsIntoGrid(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = torch.nn.Conv2d(3, 2, 3)

        def forward(self, x):
            return torch.nn.functional.adaptive_avg_pool2d(self.conv(x), 3).flatten(1)

    subject = exportable.Subject(
        "mine", "classifier", PoolsIntoGrid(), exportable.Images((0.0,) * 3, (1.0,) * 3)
    )
    monkeypatch.setattr(exportable, "classifier", lambda name, checkpoint, fuse: subject)
    path = tmp_path / "x.onnx"
    with pytest.raises(UserError, match=r"mine: onnxruntime differs from PyTorch by .*not written"):
        export(path, model="resnet18_ibn_a", pretrained=True)
    assert list(tmp_path.iterdir()) == []
    result = export(path, model="resnet18_ibn_a", pretrained=True, fixed_size=True)
    assert path.is_file()
    assert len(result.differences) == 3
