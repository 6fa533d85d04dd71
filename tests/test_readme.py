"""Every snippet of the README's ways in does what it says."""

import dataclasses
import hashlib
import re
from pathlib import Path

import pytest
import torch

import ibn_seg
from ibn_seg.models.specs import MODELS
from tests.models.local_server import serve

ROOT = Path(__file__).resolve().parents[1]
NAME = "resnet50_ibn_a"
SECTION = re.compile(r"^## Ways in\n(.*?)^## ", re.DOTALL | re.MULTILINE)
BLOCK = re.compile(r"^### ([^\n]+)\n|^```(\w+)\n(.*?)^```", re.DOTALL | re.MULTILINE)


def snippets():
    """Yield the language and text of each block in the section, under its heading."""
    heading = ""
    for match in BLOCK.finditer(SECTION.search((ROOT / "README.md").read_text())[1]):
        heading = match[1] or heading
        if match[2]:
            yield heading, match[2], match[3]


SNIPPETS = list(snippets())


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    """A server of weights made here in the form of the published ones, and their spec."""
    folder = tmp_path_factory.mktemp("release")
    torch.save(ibn_seg.create_model(NAME).state_dict(), folder / "new.pth")
    digest = hashlib.sha256((folder / "new.pth").read_bytes()).hexdigest()[:8]
    spec = dataclasses.replace(MODELS[NAME], sha256=digest)
    (folder / "new.pth").rename(folder / spec.weights)
    with serve(folder) as address:
        yield address, spec, torch.load(folder / spec.weights, weights_only=True)


@pytest.fixture
def weights(published, tmp_path, monkeypatch):
    """Let `pretrained` mean the weights made here; return them."""
    address, spec, tensors = published
    for module in ("published", "factory"):
        monkeypatch.setattr(f"ibn_seg.models.{module}.MODELS", {**MODELS, NAME: spec})
    monkeypatch.setattr(torch.hub, "_hub_dir", str(tmp_path / "hub"))
    monkeypatch.setenv("IBN_SEG_WEIGHTS", address)
    monkeypatch.chdir(tmp_path)
    return tensors


def of(heading, language):
    return [text for title, name, text in SNIPPETS if (title, name) == (heading, language)]


def run(text, names=None):
    """Execute a snippet and return what it defines."""
    names = {} if names is None else names
    exec(compile(text.replace("/path/to/ibn_seg", str(ROOT)), "README.md", "exec"), names)
    return names


def assert_first_layer(network, weights):
    assert torch.equal(
        network.state_dict()["layer1.0.conv1.weight"], weights["layer1.0.conv1.weight"]
    )


def test_every_snippet_is_run_here():
    assert [(heading, language) for heading, language, _ in SNIPPETS] == [
        ("In an mmsegmentation config", "python"),
        ("A config that is there already", "bash"),
        ("In plain PyTorch", "python"),
        ("In plain PyTorch", "python"),
        ("In plain PyTorch", "python"),
        ("In timm", "python"),
        ("In segmentation_models_pytorch", "python"),
    ]


def test_mmsegmentation(weights, tmp_path):
    pytest.importorskip("mmseg")
    from mmengine.registry import MODELS as HOST

    from ibn_seg.config import load_config

    (text,) = of("In an mmsegmentation config", "python")
    (tmp_path / "mine.py").write_text(text)
    config = load_config(tmp_path / "mine.py")
    backbone = HOST.build(config.model.backbone)
    backbone.init_weights()
    assert_first_layer(backbone, weights)


def test_swap(weights, tmp_path):
    pytest.importorskip("mmseg")
    from ibn_seg.cli import run as ibn_seg_command
    from ibn_seg.config import load_config

    (text,) = of("A config that is there already", "bash")
    source = load_config("mmseg::fcn/fcn_r50b-d8_4xb2-80k_cityscapes-512x1024").filename
    (tmp_path / "my_config.py").write_text(f"_base_ = {source!r}\n")
    program, *arguments = text.split()
    assert program == "ibn-seg"
    assert ibn_seg_command(arguments) == 0
    assert load_config("my_config_ibn-a.py").model.backbone.type == "IBNResNet"


def test_plain_pytorch(weights, capsys):
    own, hub, convert = of("In plain PyTorch", "python")
    names = run(own)
    assert_first_layer(names["network"], weights)
    maps = names["encoder"].eval()(torch.zeros(1, 3, 64, 64))
    assert maps[-1].shape[-1] == 64 // 16
    assert names["norm"](torch.zeros(2, 64, 4, 4)).shape == (2, 64, 4, 4)
    run(hub, names)
    assert_first_layer(names["network"], weights)
    pytest.importorskip("torchvision")
    run(convert, names)
    assert isinstance(names["model"].layer1[0].bn1, ibn_seg.IBN)
    assert "split 13 batch norms" in capsys.readouterr().out


def test_timm(weights, capsys):
    pytest.importorskip("timm")
    (text,) = of("In timm", "python")
    names = run(text)
    assert len(names["encoder"](torch.zeros(2, 3, 64, 64))) == len(
        eval(capsys.readouterr().out.strip())
    )


def test_smp(weights):
    pytest.importorskip("segmentation_models_pytorch")
    (text,) = of("In segmentation_models_pytorch", "python")
    names = run(text)
    for network in ("unet", "deeplab"):
        assert names[network].eval()(torch.zeros(1, 3, 64, 64)).shape == (1, 19, 64, 64)
    assert_first_layer(names["unet"].encoder, weights)
