"""Every snippet of the README's ways in does what it says."""

import re
from pathlib import Path

import pytest
import torch

import ibn_seg
from tests.made_weights import publish, write_release
from tests.models.local_server import serve

ROOT = Path(__file__).resolve().parents[1]
NAME = "resnet50_ibn_a"
SECTION = re.compile(r"^## Ways in\n(.*?)^## ", re.DOTALL | re.MULTILINE)
BLOCK = re.compile(r"^### ([^\n]+)\n|^```(\w+)\n(.*?)^```", re.DOTALL | re.MULTILINE)


def snippets():
    """Yield the language and text of each block in the section, under its heading."""
    heading = ""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    for match in BLOCK.finditer(SECTION.search(text)[1]):
        heading = match[1] or heading
        if match[2]:
            yield heading, match[2], match[3]


SNIPPETS = list(snippets())


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    """A server of weights made here in the form of the published ones, and their spec."""
    folder = tmp_path_factory.mktemp("release")
    spec = write_release(folder, NAME)
    with serve(folder) as address:
        yield address, spec, torch.load(folder / spec.weights, weights_only=True)


@pytest.fixture
def weights(published, tmp_path, monkeypatch):
    """Let `pretrained` mean the weights made here; return them."""
    address, spec, tensors = published
    publish(monkeypatch, spec, address, tmp_path / "hub")
    monkeypatch.chdir(tmp_path)
    return tensors


def of(heading, language):
    return [text for title, name, text in SNIPPETS if (title, name) == (heading, language)]


def run(text, names=None):
    """Execute a snippet and return what it defines."""
    names = {} if names is None else names
    exec(compile(text, "README.md", "exec"), names)
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
        ("In timm and segmentation_models_pytorch", "python"),
        ("Compare methods", "yaml"),
    ]


def test_snippets_are_short():
    assert [text for *_, text in SNIPPETS if len(text.splitlines()) > 8] == []


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


def test_plain_pytorch(weights):
    pytest.importorskip("torchvision")
    (text,) = of("In plain PyTorch", "python")
    names = run(text)
    assert_first_layer(names["network"], weights)
    maps = names["encoder"].eval()(torch.zeros(1, 3, 64, 64))
    assert maps[-1].shape[-1] == 64 // 16
    assert isinstance(names["model"].layer1[0].bn1, ibn_seg.IBN)
    assert "split 13 batch norms" in str(names["report"])


def test_timm_and_smp(weights):
    pytest.importorskip("timm")
    pytest.importorskip("segmentation_models_pytorch")
    (text,) = of("In timm and segmentation_models_pytorch", "python")
    names = run(text)
    assert len(names["encoder"](torch.zeros(2, 3, 64, 64))) == 5
    assert names["unet"].eval()(torch.zeros(1, 3, 64, 64)).shape == (1, 19, 64, 64)
    for encoder in (names["encoder"], names["unet"].encoder):
        assert_first_layer(encoder, weights)


def test_plan(tmp_path):
    pytest.importorskip("mmseg")
    from ibn_seg.benchmark.cells import list_cells
    from ibn_seg.benchmark.plan import read_plan

    (text,) = of("Compare methods", "yaml")
    (tmp_path / "plan.yaml").write_text(text)
    plan = read_plan(tmp_path / "plan.yaml")
    found = [(cell.method, cell.seed) for cell in list_cells(plan)]
    assert sorted(found) == [(name, seed) for name in ("BN", "IBN-a", "IBN-b") for seed in range(3)]
    # `ibn-seg leaderboard` is shown with the folder of this name.
    assert f"work_dirs/benchmark/{plan.name}`" in (ROOT / "README.md").read_text()
