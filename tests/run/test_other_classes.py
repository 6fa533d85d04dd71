"""Networks of 3 and of 2 classes, from a config to every result that a user gets of them."""

import json
import re

import numpy as np
import pytest
import torch
from PIL import Image

from ibn_seg import cli
from ibn_seg.datasets.class_space import read_space
from ibn_seg.evaluation.stored import read_confusions
from ibn_seg.io import load_checkpoint
from tests.run.made_networks import THREE, TWO, train, write_config

LABELS = {
    "gta5": "gta5/labels/{}.png",
    "cityscapes": "cityscapes/gtFine/val/{}_gtFine_labelIds.png",
}


@pytest.fixture(scope="module", params=[THREE, TWO], ids=lambda coarse: coarse.name)
def network(request, tmp_path_factory):
    return train(tmp_path_factory.mktemp(request.param.name), request.param)


@pytest.fixture(scope="module")
def tested(network, tmp_path_factory):
    """The folder of a test by command, and of its predictions."""
    folder = tmp_path_factory.mktemp("tested")
    args = ("--work-dir", folder / "run", "--out", folder / "predictions")
    assert network.command("test", network.config, network.checkpoint, *args) == 0
    return folder


def label_of(network, domain, image):
    """The label of an image, from its name in the stored matrices."""
    name = image.removeprefix("images/").removeprefix("leftImg8bit/val/")
    place = LABELS[domain].format(name.removesuffix(".png").removesuffix("_leftImg8bit"))
    return network.coarse.labels_of(network.scenes / place)


def pairs_of(network, tested, domain):
    """Each prediction of a domain with its label, both read without the package."""
    images = read_confusions(tested / "run" / "test_confusions.npz").domains[domain].images
    for image in images:
        prediction = tested / "predictions" / domain / image.rpartition("/")[2]
        yield np.asarray(Image.open(prediction)), label_of(network, domain, image)


@pytest.mark.parametrize("domain", LABELS)
def test_mmseg_scores_the_same_predictions_alike(network, tested, domain):
    from mmseg.evaluation import IoUMetric

    names = list(network.coarse.groups)
    theirs = IoUMetric()
    theirs.dataset_meta = {"classes": names}
    seen = set()
    for prediction, label in pairs_of(network, tested, domain):
        seen |= set(np.unique(prediction))
        data = {"pred_sem_seg": prediction, "gt_sem_seg": label}
        sample = {key: {"data": torch.tensor(value)[None]} for key, value in data.items()}
        theirs.process({}, [sample])
    assert seen == set(range(len(names))), "nothing to compare: raise the number of iterations"
    sums = [sum(part) for part in zip(*theirs.results, strict=True)]
    expected = theirs.total_area_to_metrics(*sums)
    ours = json.loads((tested / "run" / "test.json").read_text())["domains"][domain]
    for score, key in (("IoU", "mIoU"), ("Acc", "mAcc")):
        assert list(ours[score]) == names
        wanted = 100 * expected[score].astype(np.float64)
        assert np.allclose(list(ours[score].values()), wanted, rtol=0, atol=1e-4)
        assert ours[key] == pytest.approx(wanted.mean(), abs=1e-4)
    assert ours["aAcc"] == pytest.approx(100 * float(expected["aAcc"]), abs=1e-4)
    assert ours["absent"] == ours["unlabelled"] == []


def test_the_checkpoint_knows_its_classes(network, tested):
    meta = load_checkpoint(network.checkpoint)["meta"]["dataset_meta"]
    assert list(meta["classes"]) == list(network.coarse.groups)
    assert len(meta["palette"]) == len(meta["classes"])
    for file in (network.folder / "confusions.npz", tested / "run" / "test_confusions.npz"):
        assert read_confusions(file).classes == tuple(network.coarse.groups)


def test_the_leaderboard_has_its_classes(network, tested, tmp_path):
    page = tmp_path / "board.html"
    args = ("leaderboard", tested / "run", "-o", page, "--export", "markdown")
    assert network.command(*args) == 0
    lines = page.with_suffix(".md").read_text().split("\n")
    rows = [line.split("|")[1].strip() for line in lines if line.startswith("|")]
    assert [row for row in rows if row in network.coarse.groups] == [*network.coarse.groups] * 2
    assert "bicycle" not in page.read_text()


def test_predictions_say_what_their_values_mean(network, tmp_path):
    picture = next((network.scenes / "cityscapes/leftImg8bit/val").rglob("*.png"))
    out = tmp_path / "out"
    args = ("predict", network.config, network.checkpoint, picture, "--out", out, "--opacity", 1)
    assert network.command(*args) == 0
    space = read_space(out / "classes.yaml")
    assert space.classes == tuple(network.coarse.groups)
    if network.coarse is THREE:
        assert (space.palette[0], space.palette[2]) == ((128, 64, 128), (70, 130, 180))
    labels = np.asarray(Image.open(out / f"{picture.stem}_trainIds.png"))
    assert labels.max() < len(space)
    painted = np.asarray(Image.open(out / f"{picture.stem}_overlay.png"))
    assert np.array_equal(painted, space.colors[labels])


def test_tested_predictions_say_what_their_values_mean(network, tested):
    space = read_space(tested / "predictions" / "classes.yaml")
    meta = load_checkpoint(network.checkpoint)["meta"]["dataset_meta"]
    assert space.classes == tuple(network.coarse.groups)
    assert [list(color) for color in space.palette] == [list(one) for one in meta["palette"]]


def test_an_onnx_file_has_its_classes(network, tmp_path):
    onnx = pytest.importorskip("onnx")
    onnxruntime = pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    from ibn_seg.predict.segmenter import Segmenter

    path = tmp_path / "network.onnx"
    args = ("--config", network.config, "--checkpoint", network.checkpoint, "-o", path)
    shape = ("--labels", "--normalise", "--size", "96x64")
    assert network.command("export", *args, *shape) == 0
    about = {prop.key: prop.value for prop in onnx.load(path).metadata_props}
    assert json.loads(about["classes"]) == list(network.coarse.groups)
    assert len(json.loads(about["palette"])) == len(network.coarse.groups)
    picture = np.asarray(Image.open(next((network.scenes / "gta5/images").glob("*.png"))))
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    images = picture.transpose(2, 0, 1).astype(np.float32)[None]
    (labels,) = session.run(None, {"image": images})
    segment = Segmenter(network.config, network.checkpoint, device="cpu")
    assert (labels[0] == segment(picture[..., ::-1])).mean() > 0.999


def test_labels_of_other_classes_need_a_map(network, tested, tmp_path, capfd):
    """Without one, one line says what differs; with one, network and predictions score alike."""
    count = len(network.coarse.groups)
    command = ("evaluate", network.config, network.checkpoint, "--source", "gta5")
    targets = ("--targets", f"cityscapes={network.scenes / 'cityscapes'}")
    assert network.command(*command, *targets, "--work-dir", tmp_path / "a") == 2
    (line,) = [line for line in capfd.readouterr().err.split("\n") if line.startswith("error")]
    assert f"a network of {count} classes for labels of cityscapes (19 classes)" in line
    assert "it has 'ground'" in line
    assert "give a map by --map FILE" in line

    file = tmp_path / "map.yaml"
    rest = [name for name in network.coarse.groups if name != "ground"]
    file.write_text(f"groups:\n  road: [ground]\n  building: [{rest[0]}]\nnone: {rest[1:]}\n")
    with_map = (*targets, "--map", file)
    assert network.command(*command, *with_map, "--work-dir", tmp_path / "b") == 0
    given = ("--predictions", tested / "predictions", "--method", "x")
    classes = tmp_path / "classes.yaml"
    classes.write_text(f"classes: [{', '.join(network.coarse.groups)}]\n")
    again = (*with_map, *given, "--classes", classes, "--work-dir", tmp_path / "c")
    assert network.command("evaluate", *again) == 0
    # The file beside the predictions says the same.
    assert network.command("evaluate", *with_map, *given, "--work-dir", tmp_path / "d") == 0
    scores = [json.loads((tmp_path / name / "test.json").read_text())["domains"] for name in "bcd"]
    assert scores[0] == scores[1] == scores[2]
    assert np.array(scores[0]["cityscapes"]["confusion"]).shape == (20, count)
    assert scores[0]["cityscapes"]["IoU"]["road"] > 0


def test_a_start_of_other_classes_is_one_line(network, tmp_path, capfd):
    """The head fits by its width, and its outputs would mean something else."""
    other = tmp_path / "other.py"
    other.write_text(re.sub(r"\bground\b", "soil", network.config.read_text()))
    start = ("--cfg-options", f"load_from={network.checkpoint}")
    transfer = ("transfer", other, network.checkpoint, "--shares", 100)
    for command in (("train", other, *start), transfer):
        assert network.command(*command, "--work-dir", tmp_path / command[0]) == 2
        (line,) = [line for line in capfd.readouterr().err.split("\n") if line.startswith("error")]
        assert (
            f"{network.checkpoint}: its output 0 stands for 'ground', in "
            "train_dataloader.dataset for 'soil': read the data in its classes by read_as"
        ) in line


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    return write_config(tmp_path_factory.mktemp("config"), THREE)


@pytest.mark.parametrize("width", [2, 4, 19])
def test_a_head_of_another_width_is_one_line(config, width, tmp_path, capfd):
    change = ("--cfg-options", f"model.decode_head.num_classes={width}")
    assert cli.run(["train", str(config), "--work-dir", str(tmp_path / "run"), *change]) == 2
    (line,) = [line for line in capfd.readouterr().err.split("\n") if line.startswith("error")]
    assert f"model.decode_head.num_classes = {width}, and train_dataloader.dataset has 3" in line
    assert "write num_classes=3" in line
    assert not list((tmp_path / "run").glob("*.pth"))
