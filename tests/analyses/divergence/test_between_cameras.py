"""The divergence between two re-identification data sets."""

import json

import numpy as np
import pytest
import torch

from ibn_seg.analyses.divergence import between_cameras as module
from ibn_seg.analyses.divergence.measure import symmetric_kl
from ibn_seg.cli import run as run_cli
from ibn_seg.errors import UserError
from ibn_seg.reid.bnneck import strong_baseline
from ibn_seg.reid.sets.all_sets import picture_set
from ibn_seg.retrieval.crops import network_input, read_crop
from ibn_seg.retrieval.run_retrieval import Searcher
from tests.retrieval.people import write_people


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("weights") / "market.pth"
    torch.save(strong_baseline("resnet18", 4).state_dict(), path)
    return path


@pytest.fixture(scope="module")
def market(tmp_path_factory):
    return write_people(tmp_path_factory.mktemp("market"))


def test_the_stem_in_plain_numpy_and_a_set_beside_itself(
    market, checkpoint, tmp_path, monkeypatch, capsys
):
    monkeypatch.setattr(module, "MIN_IMAGES", 4)
    out = tmp_path / "divergence.json"
    call = ["reid", "divergence", f"market1501={market}", f"cameras_source={market}", "--part",
            "train", "--model", "resnet18", "--size", "16x32", "--checkpoint", str(checkpoint),
            "--last-stride", "1", "--stem-relu", "--out", str(out)]  # fmt: skip
    assert run_cli(call) == 0
    assert "layer" in capsys.readouterr().out
    result = json.loads(out.read_text())
    assert result["images"] == [20, 20]
    # The same pictures in another order.
    assert all(one["between"]["divergence"] < 1e-9 for one in result["layers"].values())
    assert all(one["halves"]["divergence"] > 1e-9 for one in result["layers"].values())


def test_other_people_are_apart_as_in_plain_numpy(market, checkpoint, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "MIN_IMAGES", 2)
    searcher = Searcher("resnet18", str(checkpoint), size=(16, 32), stem_relu=True, last_stride=1)
    first, second = picture_set("market1501", market), picture_set("cameras_source", market)
    monkeypatch.setattr(type(second), "FOLDERS", {**second.FOLDERS, "train": "query"})
    result = module.between_cameras(searcher, first, second, tmp_path / "out.json", part="train")
    network = searcher.open().network
    sides = []
    for data in (first, second):
        images = network_input(
            [read_crop(one.path, (16, 32)) for one in data.pictures("train")], "cpu"
        )
        with torch.inference_mode():
            maps = network.base.get_submodule(next(iter(network.base.depth_points().values())))
            kept = []
            handle = maps.register_forward_hook(
                lambda *args, kept=kept: kept.append(args[2].clone())
            )
            network.base(images)
            handle.remove()
        means = kept[0].double().mean(dim=(2, 3)).numpy()
        sides += [means.mean(axis=0), np.maximum(means.var(axis=0), 1e-12)]
    stem = next(iter(result["layers"].values()))["between"]
    assert stem["divergence"] == pytest.approx(float(symmetric_kl(*sides).mean()), rel=1e-6)


def test_few_pictures_are_one_line(market, checkpoint, tmp_path):
    searcher = Searcher("resnet18", str(checkpoint))
    data = picture_set("market1501", market)
    with pytest.raises(UserError, match="20 pictures of people in train: a divergence needs 200"):
        module.between_cameras(searcher, data, data, tmp_path / "out.json", part="train")
