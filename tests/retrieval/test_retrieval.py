"""`ibn-seg reid test` and `search`, on pictures that any network tells apart."""

import json

import numpy as np
import pytest
import torch
from PIL import Image

from ibn_seg.cli import run as run_cli
from ibn_seg.reid.bnneck import strong_baseline
from ibn_seg.reid.kept_ranks import read_ranks
from ibn_seg.reid.measures import scores
from ibn_seg.retrieval.crops import MEAN, network_input, read_crop
from ibn_seg.retrieval.ranked_sheet import COLOURS
from ibn_seg.retrieval.run_retrieval import Searcher, search, verdict
from tests.retrieval.people import write_people

NETWORK = ("--model", "resnet18", "--size", "32x64")


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("weights") / "market.pth"
    torch.save(strong_baseline("resnet18", 4, stem_relu=False).state_dict(), path)
    return path


@pytest.fixture(scope="module")
def market(tmp_path_factory):
    return write_people(tmp_path_factory.mktemp("market"))


def cli(*args):
    return run_cli(["reid", *map(str, args)])


def test_a_test_finds_everybody(market, checkpoint, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    call = ("test", "market1501", market, *NETWORK, "--checkpoint", checkpoint, "--rerank")
    assert cli(*call) == 0
    printed = capsys.readouterr().out
    assert "3 queries in 11 pictures; 1 queries without a match were left out" in printed
    assert "re-ranking takes about" in printed
    assert "mAP, re-ranked (transductive)" in printed
    folder = tmp_path / "work_dirs" / "reid" / "resnet18_market1501"
    result = json.loads((folder / "test.json").read_text())
    found = result["scores"]["measures"]
    assert found["rank-1"] == {"value": 100.0, "low": 100.0, "high": 100.0}
    assert found["mAP"]["value"] == 100.0
    assert result["tool"] == "strong baseline"
    assert result["stem_relu"] is False
    kept = scores(read_ranks(folder / "ranks.npz"))
    assert (kept.mean_precision, kept.dropped) == (100.0, 1)


def test_a_search_says_what_is_right(market, checkpoint, tmp_path, capsys):
    query = market / "query" / "0002_c1s1_000001_00.jpg"
    out = tmp_path / "sheet.png"
    gallery = market / "bounding_box_test"
    call = ("search", query, "--gallery", gallery, *NETWORK, "--checkpoint", checkpoint, "-o", out)
    assert cli(*call, "--count", 4) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"{query}:"
    assert sorted(line.split("jpg  ")[1] for line in lines[1:4]) == [
        "right",
        "right",
        "same camera",
    ]
    assert lines[4].endswith("wrong")
    sheet = np.asarray(Image.open(out))
    # The query and four pictures of 64 x 128 with frames, a caption above.
    assert sheet.shape == (14 + 134 + 4, 5 * 74, 3)
    frames = {tuple(sheet[80, 74 * place]) for place in range(5)}
    assert frames == {(0, 0, 0), *COLOURS.values()}


def test_the_query_itself_is_left_out(market, checkpoint):
    searcher = Searcher("resnet18", str(checkpoint), size=(32, 64))
    rankings = search(searcher, market / "query", market, count=99)
    assert len(rankings) == 4
    for ranking in rankings:
        assert len(ranking.found) == 20 + 4 + 12 - 1
        assert ranking.query not in [found.path for found in ranking.found]
        distances = [found.distance for found in ranking.found]
        assert distances == sorted(distances)


def test_batches_do_not_matter_and_mirrors_do(market, checkpoint):
    found = []
    for options in ({}, {"batch_size": 3}, {"flip": True}):
        searcher = Searcher("resnet18", str(checkpoint), size=(32, 64), **options)
        paths = sorted((market / "query").iterdir())
        found.append(searcher.features(searcher.open(), paths, "query", None))
    np.testing.assert_allclose(found[0], found[1], atol=1e-5)
    assert np.abs(found[0] - found[2]).max() > 1e-5
    np.testing.assert_allclose(np.linalg.norm(found[2], axis=1), 1, atol=1e-5)


def test_the_input_is_that_of_torchvision(market):
    torchvision = pytest.importorskip("torchvision").transforms
    path = next(iter((market / "query").iterdir()))
    steps = torchvision.Compose([
        torchvision.Resize((50, 40)), torchvision.ToTensor(),
        torchvision.Normalize(MEAN, (0.229, 0.224, 0.225)),
    ])  # fmt: skip
    expected = steps(Image.open(path).convert("RGB"))
    torch.testing.assert_close(network_input([read_crop(path, (40, 50))], "cpu")[0], expected)


@pytest.mark.parametrize(
    ("query", "found", "said"),
    [
        ("1_c1_a.jpg", "1_c2_b.jpg", "right"),
        ("1_c1_a.jpg", "1_c1_b.jpg", "same camera"),
        ("1_c1_a.jpg", "2_c2_b.jpg", "wrong"),
        ("0000_c1_a.jpg", "0000_c2_b.jpg", "wrong"),
        ("person.jpg", "1_c1_b.jpg", ""),
    ],
)
def test_names_say_what_is_right(query, found, said):
    assert verdict(query, found) == said


def test_wrong_use_is_one_line(market, checkpoint, tmp_path, capsys):
    common = (*NETWORK, "--checkpoint", checkpoint)
    empty = tmp_path / "empty"
    empty.mkdir()
    (tmp_path / "bad.jpg").write_bytes(b"no picture")
    weights = torch.load(checkpoint, weights_only=True)
    weights["bottleneck.weight"] = torch.full((512,), torch.nan)
    torch.save(weights, tmp_path / "nan.pth")
    bad = (*NETWORK, "--checkpoint", tmp_path / "nan.pth")
    for call, message in (
        (("search", tmp_path / "none.jpg", "--gallery", market, *common), "none.jpg: no such pic"),
        (("search", market, "--gallery", empty, *common), "empty: no pictures in it"),
        (("search", tmp_path / "bad.jpg", "--gallery", market, *common), "bad.jpg: cannot be read"),
        (("test", "market1501", empty, *common), "no folder of Market-1501"),
        (("test", "market1501", market, *bad), "query features: 4 of 4 are not finite"),
        (("test", "market", market, *common), "did you mean 'market1501'"),
    ):
        assert cli(*call) == 2
        error = capsys.readouterr().err.strip().splitlines()[-1]
        assert message in error, error
