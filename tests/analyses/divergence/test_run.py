"""Divergence and robustness, from a trained checkpoint to the result file."""

import json

import numpy as np
import pytest
import torch
from click.testing import CliRunner

from ibn_seg.analyses.divergence.command import divergence as divergence_command
from ibn_seg.analyses.divergence.run import Scenes, divergence
from ibn_seg.analyses.robustness.command import robustness as robustness_command
from ibn_seg.analyses.robustness.run import retention, robustness
from ibn_seg.errors import UserError
from ibn_seg.evaluation.stored import confusions_of
from ibn_seg.run import segmentation

SMALL = Scenes(size=(64, 32))


@pytest.fixture(scope="module")
def measured(trained, tiny, tmp_path_factory):
    """The pairs on eight small scenes per side; its work dir too."""
    work_dir = tmp_path_factory.mktemp("divergence")
    result = divergence(
        tiny, trained[0] / "iter_6.pth", images=8, min_images=8, scenes=SMALL,
        work_dir=work_dir, quiet=True, command="ibn-seg divergence",
    )  # fmt: skip
    return result, work_dir


def test_the_result_says_what_was_compared(measured):
    result, work_dir = measured
    assert json.loads((work_dir / "divergence.json").read_text()) == result
    assert (result["kind"], result["method"]) == ("divergence", "IBN-a")
    assert result["command"] == "ibn-seg divergence"
    assert result["versions"]["torch"]
    assert [pair["kind"] for pair in result["pairs"].values()] == ["appearance", "content", "null"]
    for pair in result["pairs"].values():
        assert pair["images"] == {"a": 8, "b": 8}
        assert pair["few_images"] is True
        assert [layer["layer"] for layer in pair["layers"]][:2] == ["stem", "layer1.0"]
        assert all(layer["divergence"] > 0 for layer in pair["layers"])
        assert all(layer["channels"] >= 8 for layer in pair["layers"])


def test_appearance_is_the_same_scenes_and_equals_a_computation_by_hand(measured, trained, tiny):
    """Read and normalise the rendered files without the pipeline, and average with NumPy."""
    from PIL import Image

    from ibn_seg.run.setup import trained_network

    result, work_dir = measured
    folders = [work_dir / "scenes" / style for style in ("source", "target")]
    names = [sorted(p.name for p in (f / "images").iterdir())[:8] for f in folders]
    assert names[0] == names[1]
    labels = [[(f / "labels" / n).read_bytes() for n in names[0]] for f in folders]
    assert labels[0] == labels[1]
    network, cfg, _ = trained_network(tiny, trained[0] / "iter_6.pth")
    given = cfg.model.data_preprocessor
    moments = []
    for folder in folders:
        pixels = np.stack([np.asarray(Image.open(folder / "images" / n)) for n in names[0]])
        inputs = torch.from_numpy(((pixels - given.mean) / given.std).astype(np.float32))
        with torch.no_grad():
            stem = network.backbone.run_stem(inputs.permute(0, 3, 1, 2)).double().mean((2, 3))
        moments.append((stem.mean(0).numpy(), stem.var(0, unbiased=False).numpy()))
    (m1, v1), (m2, v2) = moments
    v1, v2 = np.maximum(v1, 1e-12), np.maximum(v2, 1e-12)
    apart = (m1 - m2) ** 2
    expected = ((v1 + apart) / (2 * v2) + (v2 + apart) / (2 * v1) - 1).mean()
    stem = next(iter(result["pairs"].values()))["layers"][0]
    assert stem["divergence"] == pytest.approx(expected, rel=1e-3)


def test_batches_do_not_matter(measured, trained, tiny):
    result, work_dir = measured
    other = divergence(
        tiny, trained[0] / "iter_6.pth", pairs=["null"], images=8, min_images=8,
        scenes=Scenes(work_dir / "scenes", (64, 32)), work_dir=work_dir / "other", quiet=True,
        cfg_options={"test_dataloader.batch_size": 5},
    )  # fmt: skip
    first, second = result["pairs"]["null:scenes/source"], other["pairs"]["null:scenes/source"]
    for a, b in zip(first["layers"], second["layers"], strict=True):
        # The convolutions of PyTorch round by the batch; the statistics do not.
        assert a["divergence"] == pytest.approx(b["divergence"], rel=1e-3)


def test_domains_of_the_config(trained, tiny, tmp_path):
    result = divergence(
        tiny, trained[0] / "iter_6.pth", pairs=["domains:gta5,cityscapes"], min_images=2,
        work_dir=tmp_path, quiet=True,
    )  # fmt: skip
    (pair,) = result["pairs"].values()
    assert (pair["domains"], pair["images"]) == (["gta5", "cityscapes"], {"a": 2, "b": 2})
    assert not (tmp_path / "scenes").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"pairs": ["domains:gta5,cityscapes"]}, "2 images of gta5 on a side, and 200 are needed"),
        ({"pairs": ["null:cityscape"]}, "unknown domain 'cityscape': did you mean 'cityscapes'"),
        ({"pairs": ["null:scenes/sauce"]}, "unknown style 'sauce': did you mean 'source'"),
        ({"min_images": 1}, "give 2 or more"),
    ],
)
def test_bad_input_of_the_divergence_is_one_line(trained, tiny, tmp_path, options, message):
    with pytest.raises(UserError, match=message) as error:
        divergence(tiny, trained[0] / "iter_6.pth", work_dir=tmp_path, quiet=True, **options)
    assert "\n" not in error.value.line


def test_the_command_draws_several_results(measured, trained, tiny, tmp_path):
    _, work_dir = measured
    plot = tmp_path / "depth.svg"
    call = [
        str(tiny), str(trained[0] / "iter_6.pth"), "--images", "8", "--min-images", "8",
        "--size", "64x32", "--scenes", str(work_dir / "scenes"), "--work-dir", str(tmp_path),
        "--plot", str(plot), "--with", str(work_dir / "divergence.json"),
    ]  # fmt: skip
    done = CliRunner().invoke(divergence_command, call, catch_exceptions=False)
    assert done.exit_code == 0
    assert "layer4.1" in done.output
    assert "few images" in done.output
    # Two results of one seed are two curves in each of three panels.
    assert [plot.read_text().count(f">{name}<") for name in ("IBN-a", "IBN-a (2)")] == [3, 3]
    with pytest.raises(UserError, match=r"unknown picture format '.gif'"):
        CliRunner().invoke(
            divergence_command, [*call[:2], "--plot", "x.gif"], catch_exceptions=False
        )


@pytest.fixture(scope="module")
def kept(trained, tiny, tmp_path_factory):
    work_dir = tmp_path_factory.mktemp("robustness")
    calls = []
    result = robustness(
        tiny, trained[0] / "iter_6.pth", corruptions=["haze", "gaussian_noise"], severities=[5, 1],
        work_dir=work_dir, quiet=True, progress=lambda *at: calls.append(at),
    )  # fmt: skip
    assert calls[-1] == ("robustness", 20, 20)  # five tests of four pictures
    return result, work_dir


def test_clean_scores_are_those_of_the_test_and_retention_is_their_share(kept, trained):
    result, work_dir = kept
    assert json.loads((work_dir / "robustness.json").read_text()) == result
    assert (result["kind"], result["seed"]) == ("robustness", trained[1]["seed"])
    assert result["domains"] == trained[1]["domains"]
    assert confusions_of(result, work_dir) is None  # the file has those of the last test
    assert (result["corruptions"], result["severities"]) == (["haze", "gaussian_noise"], [1, 5])
    assert len(result["corrupted"]) == 4
    for one in result["corrupted"]:
        for domain, clean in result["domains"].items():
            share = one["domains"][domain]["mIoU"] / clean["mIoU"]
            assert one["retention"][domain] == pytest.approx(share, rel=1e-12)
            # The labels are the clean ones: as many pixels of each class.
            rows = np.array(one["domains"][domain]["confusion"]).sum(axis=1)
            assert np.array_equal(rows, np.array(clean["confusion"]).sum(axis=1))
    confusions = [str(one["domains"]["gta5"]["confusion"]) for one in result["corrupted"]]
    assert len({*confusions, str(result["domains"]["gta5"]["confusion"])}) > 1
    for domain, means in result["retention"].items():
        haze = [one["retention"][domain] for one in result["corrupted"][:2]]
        assert means["corruptions"]["haze"] == pytest.approx(np.mean(haze))
        assert means["mean"] == pytest.approx(np.mean(list(means["corruptions"].values())))


def test_a_corrupted_score_is_that_of_the_same_pipeline_in_a_config(kept, trained, tiny, tmp_path):
    """Another batch and data workers, and the step written into the config by a user."""
    step = dict(type="CorruptImage", corruption="gaussian_noise", severity=5)
    from ibn_seg.config import load_config

    cfg = load_config(tiny)
    loader = cfg.test_dataloader
    loader.dataset.pipeline = [cfg.load[0], step, *cfg.test_pipeline[1:]]
    loader.batch_size, loader.num_workers = 2, 1
    tested = segmentation.test(cfg, trained[0] / "iter_6.pth", work_dir=tmp_path, quiet=True)
    ours = kept[0]["corrupted"][-1]
    assert (ours["corruption"], ours["severity"]) == ("gaussian_noise", 5)
    for domain, scores in tested["domains"].items():
        assert scores["confusion"] == ours["domains"][domain]["confusion"]


def test_the_robustness_command(trained, tiny, tmp_path):
    call = [str(tiny), str(trained[0] / "iter_6.pth"), "--work-dir", str(tmp_path)]
    more = ["--corruptions", "jpeg", "--severities", "3", "--domain", "cityscapes"]
    done = CliRunner().invoke(robustness_command, [*call, *more], catch_exceptions=False)
    assert done.exit_code == 0
    assert "jpeg" in done.output
    assert "IBN-a, cityscapes" in done.output
    assert list(json.loads((tmp_path / "robustness.json").read_text())["domains"]) == ["cityscapes"]
    for wrong, message in (
        (["--corruptions", "jpg"], "unknown corruption 'jpg': did you mean 'jpeg'"),
        (["--severities", "1,9"], "severity 9 is out of range"),
        (["--severities", "x"], "'x' is not a whole number"),
        (["--domain", "gta"], "unknown domain 'gta': did you mean 'gta5'"),
    ):
        with pytest.raises(UserError, match=message):
            CliRunner().invoke(robustness_command, [*call, *wrong], catch_exceptions=False)


def test_there_is_no_share_of_nothing():
    assert retention(0.0, 0.0) is None
    assert retention(20.0, 40.0) == 0.5
