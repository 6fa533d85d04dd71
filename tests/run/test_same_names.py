"""Images of one name in several folders: each is predicted, written and scored by itself."""

import json
import shutil

import numpy as np
import pytest
from PIL import Image

from ibn_seg import cli
from ibn_seg.config import load_config
from ibn_seg.errors import UserError
from ibn_seg.run.evaluation import evaluate
from ibn_seg.run.score_predictions import evaluate_predictions
from ibn_seg.run.segmentation import test as run_test
from tests.helpers import image_for, random_train_ids, write_image

SIZE = (64, 48)
# By path below the split's folder, without suffixes.
DRIVES = ("225/frame5", "454/frame5", "454/frame7", "12/frame5")
PREDICTIONS = {"225/frame5_leftImg8bit.png", "454/frame5_leftImg8bit.png",
               "12/frame5_leftImg8bit.png", "frame7_leftImg8bit.png"}  # fmt: skip


@pytest.fixture(scope="module")
def idd(tmp_path_factory):
    root = tmp_path_factory.mktemp("idd")
    for index, name in enumerate(DRIVES):
        rng = np.random.default_rng(index)
        train_ids = random_train_ids(rng, SIZE)
        write_image(root / f"leftImg8bit/val/{name}_leftImg8bit.png", image_for(train_ids, rng))
        write_image(root / f"gtFine/val/{name}_gtFine_labelcsTrainIds.png", train_ids)
    return root


@pytest.fixture(scope="module")
def evaluated(idd, tiny, trained, tmp_path_factory):
    out = tmp_path_factory.mktemp("evaluated")
    checkpoint = trained[0] / "iter_6.pth"
    result = evaluate(
        tiny, checkpoint, [f"idd={idd}"], work_dir=out / "run", out=out / "png", quiet=True
    )
    return result, out / "png"


def files(folder):
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def perfect(root, folder, names):
    """Write the labels as predictions under names by image."""
    for image, name in names.items():
        label = root / f"gtFine/val/{image}_gtFine_labelcsTrainIds.png"
        values = np.asarray(Image.open(label)).copy()
        values[values == 255] = 0
        write_image(folder / name, values)


def test_what_evaluate_writes_scores_as_the_network(idd, evaluated, tmp_path):
    result, out = evaluated
    assert files(out) == {"classes.yaml", *(f"idd/{name}" for name in PREDICTIONS)}
    for folder in (out, out / "idd"):
        scored = evaluate_predictions(
            folder, [f"idd={idd}"], method="x", work_dir=tmp_path, workers=1
        )
        assert scored["domains"] == result["domains"]


def test_both_spellings_are_read(idd, tmp_path):
    nested = {name: f"{name}_leftImg8bit.png" for name in DRIVES}
    perfect(idd, tmp_path / "nested", nested)
    perfect(idd, tmp_path / "mixed/idd", {**nested, "454/frame7": "frame7_leftImg8bit.png"})
    for folder in ("nested", "mixed"):
        scored = evaluate_predictions(
            tmp_path / folder, [f"idd={idd}"], method="x", work_dir=tmp_path / "run", workers=1
        )
        assert scored["domains"]["idd"]["mIoU"] == 100


def test_a_flat_prediction_of_several_images_is_refused_with_their_names(idd, tmp_path, capsys):
    perfect(idd, tmp_path / "idd", {
        "225/frame5": "frame5_leftImg8bit.png", "454/frame7": "frame7_leftImg8bit.png",
    })  # fmt: skip
    args = ["evaluate", "--predictions", tmp_path, "--method", "x", "--targets", f"idd={idd}",
            "--work-dir", tmp_path / "run"]  # fmt: skip
    assert cli.run([str(arg) for arg in args]) == 2
    line = capsys.readouterr().err.splitlines()[-1]
    assert f"{tmp_path}/idd/frame5_leftImg8bit.png: " in line
    assert "12/frame5_leftImg8bit.png" in line
    assert "225/frame5_leftImg8bit.png" in line
    assert "1 more" in line
    assert not (tmp_path / "run" / "test.json").exists()


def test_two_predictions_of_one_image_have_to_be_the_same(idd, evaluated, tmp_path):
    _, out = evaluated
    shutil.copytree(out, tmp_path / "png")
    flat = tmp_path / "png/idd/frame7_leftImg8bit.png"
    other = tmp_path / "png/idd/454/frame7_leftImg8bit.png"
    shutil.copy(flat, other)
    targets = [f"idd={idd}"]
    evaluate_predictions(tmp_path / "png", targets, method="x", work_dir=tmp_path, workers=1)
    write_image(other, 18 - np.asarray(Image.open(flat)))
    with pytest.raises(UserError, match=r"two predictions of 454/frame7") as caught:
        evaluate_predictions(tmp_path / "png", targets, method="x", work_dir=tmp_path, workers=1)
    assert str(flat) in caught.value.line
    assert str(other) in caught.value.line


def test_any_names_through_a_test_and_back(tiny, trained, tmp_path):
    names = ["x", "a/x", "a/b/x", "a/x.y", "b/x.y", "c/ü ö.1", "d e/ü ö.1", "d e/only", "a/b/c/d/z"]
    for index, name in enumerate(names):
        rng = np.random.default_rng(index)
        train_ids = random_train_ids(rng, SIZE)
        write_image(tmp_path / f"set/images/{name}.png", image_for(train_ids, rng))
        write_image(tmp_path / f"set/labels/{name}.png", train_ids)
    cfg = load_config(tiny)
    cfg.test_dataloader.dataset.datasets = [
        dict(type="TrainIdDataset", data_root=str(tmp_path / "set"), target="mine")
    ]
    result = run_test(
        cfg, trained[0] / "iter_6.pth", work_dir=tmp_path / "run", out=tmp_path / "png", quiet=True
    )
    unique = {"d e/only": "only", "a/b/c/d/z": "z"}
    expected = {f"mine/{unique.get(name, name)}.png" for name in names}
    assert files(tmp_path / "png") == {"classes.yaml", *expected}
    # Each file is its own image's: the counts of the network are those of the files.
    from ibn_seg.evaluation.confusion import confusion_matrix
    from ibn_seg.evaluation.stored import read_confusions

    stored = read_confusions(tmp_path / "run" / result["confusions"]).domains["mine"]
    for image, counts in zip(stored.images, stored.counts, strict=True):
        name = image.removeprefix("images/").removesuffix(".png")
        label = np.asarray(Image.open(tmp_path / f"set/labels/{name}.png"))
        predicted = np.asarray(Image.open(tmp_path / f"png/mine/{unique.get(name, name)}.png"))
        assert np.array_equal(counts, confusion_matrix(predicted, label, 19))
    assert json.loads((tmp_path / "run" / "test.json").read_text())["domains"] == result["domains"]


def test_an_earlier_version_s_folder_of_single_names_stays_valid(idd, tmp_path):
    root = tmp_path / "single"
    for name in ("225/frame5", "454/frame7"):
        for kind, suffix in (("leftImg8bit", "_leftImg8bit.png"),
                             ("gtFine", "_gtFine_labelcsTrainIds.png")):  # fmt: skip
            (root / kind / "val" / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(idd / kind / f"val/{name}{suffix}", root / kind / f"val/{name}{suffix}")
    flat = {"225/frame5": "frame5_leftImg8bit.png", "454/frame7": "frame7_leftImg8bit.png"}
    perfect(root, tmp_path / "png/idd", flat)
    scored = evaluate_predictions(
        tmp_path / "png", [f"idd={root}"], method="x", work_dir=tmp_path / "run", workers=1
    )
    assert scored["domains"]["idd"]["mIoU"] == 100
