"""A real network and its BN twin."""

import json
import math

import pytest

pytest.importorskip("mmseg")

import torch
from mmseg.registry import MODELS

from ibn_seg.analyses.speed.run import speed
from ibn_seg.analyses.speed.twin import bn_twin
from ibn_seg.config import load_config
from ibn_seg.errors import UserError
from ibn_seg.layers.ibn import IBN
from ibn_seg.layers.instance import InstanceNorm
from ibn_seg.run.setup import register, trained_network
from tests.tiny import run, write_experiment

SIZE = (64, 32)


@pytest.fixture(scope="module")
def checkpoint(trained):
    return trained[0] / "iter_6.pth"


@pytest.fixture(scope="module")
def result(tiny, checkpoint, tmp_path_factory):
    work_dir = tmp_path_factory.mktemp("speed")
    moved = []
    found = speed(
        tiny, checkpoint, repeats=15, size=SIZE, seed=3, work_dir=work_dir, quiet=True,
        progress=lambda *counts: moved.append(counts),
    )  # fmt: skip
    assert moved[-1] == ("speed", 15, 15)
    assert json.loads((work_dir / "speed.json").read_text()) == found
    return found


def test_the_ratio_is_that_of_the_times(result):
    over = result["time_over_bn"]
    assert 0 < over["low_quartile"] <= over["median"] <= over["high_quartile"] < math.inf
    times = result["times_ms"]
    ratios = sorted(a / b for a, b in zip(times["network"], times["twin"], strict=True))
    assert over["median"] == pytest.approx(ratios[7])
    for name in ("network", "twin"):
        assert result[name]["time_ms"] == pytest.approx(sorted(times[name])[7])
    assert not result["few_repeats"]
    assert not result["own_twin"]


def test_what_is_counted(result, tiny, checkpoint):
    network, _, _ = trained_network(tiny, checkpoint)
    one, twin = result["network"], result["twin"]
    assert one["parameters"] == sum(p.numel() for p in network.parameters())
    # IBN-a splits the channels of a norm, which has a weight and a bias for each either way.
    assert one["parameters"] == twin["parameters"]
    assert one["multiply_adds"] == twin["multiply_adds"] > 0
    # The layers of IBN write over their input where they can, as those of BN do.
    assert 0.8 < result["peak_memory_over_bn"] < 2
    assert result["peak_memory_over_bn"] == one["peak_memory_mib"] / twin["peak_memory_mib"]


def test_the_record_says_whose_and_where(result, checkpoint):
    assert (result["kind"], result["method"], result["source"]) == ("speed", "IBN-a", "gta5")
    assert (result["size"], result["noise_seed"], result["repeats"]) == ([64, 32], 3, 15)
    assert result["checkpoint"] == str(checkpoint)
    assert {"cpu", "threads", "device", "versions"} <= result.keys()


def test_the_twin_has_batch_norm_alone_and_the_weights_that_fit(tiny, checkpoint):
    network, cfg, _ = trained_network(tiny, checkpoint)
    twin, own = bn_twin(cfg, network)
    assert not own
    assert any(isinstance(one, IBN) for one in network.modules())
    assert not any(isinstance(one, IBN) for one in twin.modules())
    assert not any(one.training for one in twin.modules())
    convolution = "backbone.layer1.0.conv1.weight"
    assert torch.equal(twin.state_dict()[convolution], network.state_dict()[convolution])
    assert cfg.model.backbone.ibn == "a"


@pytest.mark.parametrize(
    "backbone",
    [{"ibn_ratio": 0.25}, {"ibn": None, "ibn_stages": ["a", "b", None, None], "ibn_stem": True}],
)
def test_other_placements_have_the_same_twin(tiny, backbone):
    cfg = load_config(tiny, {f"model.backbone.{key}": one for key, one in backbone.items()})
    register()
    twin, own = bn_twin(cfg, MODELS.build(cfg.model))
    assert not own
    assert not any(isinstance(one, IBN | InstanceNorm) for one in twin.modules())


def test_more_memory_and_work_for_a_larger_picture(result, tiny, checkpoint, tmp_path):
    large = speed(
        tiny, checkpoint, repeats=2, size=(128, 64), seed=3, work_dir=tmp_path, quiet=True
    )
    assert large["few_repeats"]
    for name in ("network", "twin"):
        assert large[name]["peak_memory_mib"] > 2 * result[name]["peak_memory_mib"]
        assert large[name]["multiply_adds"] == 4 * result[name]["multiply_adds"]


def test_a_network_of_bn_is_its_own_twin(tmp_path):
    from ibn_seg.run import segmentation

    config = write_experiment(tmp_path)
    options = {"model.backbone.ibn": None, "train_cfg.max_iters": 1}
    segmentation.train(config, work_dir=tmp_path / "bn", quiet=True, cfg_options=options)
    found = speed(
        config, tmp_path / "bn" / "iter_1.pth", repeats=15, size=(128, 64), quiet=True,
        work_dir=tmp_path / "speed", cfg_options={"model.backbone.ibn": None},
    )  # fmt: skip
    assert found["own_twin"]
    assert found["network"].items() - found["twin"].items() == {
        ("time_ms", found["network"]["time_ms"])
    }
    assert found["peak_memory_over_bn"] == 1
    assert 0.5 < found["time_over_bn"]["median"] < 2


def test_one_repeat_is_refused(tiny, checkpoint, tmp_path):
    with pytest.raises(UserError, match="repeats = 1: give 2 or more"):
        speed(tiny, checkpoint, repeats=1, work_dir=tmp_path)


def test_the_command(tiny, checkpoint, tmp_path):
    words = ["speed", tiny, checkpoint, "--work-dir", tmp_path, "--size", "64x32"]
    done = run(*words, "--repeats", 2)
    assert done.returncode == 0, done.stderr
    assert "One picture of 64x32" in done.stdout
    assert "few repeats" in done.stdout
    assert [line for line in done.stderr.splitlines() if not line.startswith("speed")] == []
    assert json.loads((tmp_path / "speed.json").read_text())["repeats"] == 2
    refused = run(*words, "--repeats", 1)
    assert refused.returncode == 2
    assert "--repeats" in refused.stderr
