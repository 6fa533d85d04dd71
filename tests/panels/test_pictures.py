"""Panels from a benchmark's folder: the right images, and predictions as they were scored."""

import json
import shutil

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

pytest.importorskip("mmseg")

from ibn_seg.cli.panels import panels as command
from ibn_seg.config import load_config
from ibn_seg.datasets.class_map import parse_map
from ibn_seg.datasets.labels import CLASSES
from ibn_seg.errors import UserError
from ibn_seg.evaluation.confusion import confusion_matrix
from ibn_seg.evaluation.stored import read_confusions
from ibn_seg.io import write_text
from ibn_seg.panels.of_benchmark import panels
from ibn_seg.panels.pictures import make_panels
from ibn_seg.report.stored_panels import read_panels
from ibn_seg.run import segmentation
from ibn_seg.run.protocol import set_protocol
from ibn_seg.run.setup import register
from tests.tiny import write_experiment

CITY = "leftImg8bit/val/frankfurt/frankfurt_000000_000019_leftImg8bit.png"
METHODS = {"BN": None, "IBN-a": "a"}


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """Two trainings of two methods in a folder as `ibn-seg benchmark` leaves it."""
    folder = tmp_path_factory.mktemp("results")
    config = write_experiment(folder / "data")
    rows = []
    for method, ibn in METHODS.items():
        # Without a learning rate one of them keeps guessing, so that they differ.
        options = {"model.backbone.ibn": ibn, "experiment.method": method,
                   "randomness": {"seed": 5},
                   "optim_wrapper.optimizer.lr": 0.01 if ibn else 0.0}  # fmt: skip
        write_text(folder / f"configs/{method}.py", load_config(config, options).pretty_text)
        segmentation.train(
            folder / f"configs/{method}.py", work_dir=folder / f"cells/{method}", quiet=True
        )
        rows.append({
            "id": method, "task": "train", "method": method, "backbone": "ResNet-18",
            "segmentor": "FCN", "source": "gta5", "seed": 5, "iterations": 6, "start": None,
            "state": "done", "config": f"configs/{method}.py",
            "checkpoint": f"cells/{method}/iter_6.pth",
            "confusions": f"cells/{method}/confusions.npz",
        })  # fmt: skip
    others = [
        {**rows[1], "id": "seed", "seed": 4},
        {**rows[1], "id": "transfer", "start": "source", "share": 10.0, "method": "IBN-b"},
        {**rows[1], "id": "failed", "state": "failed", "method": "IBN-b"},
        {**rows[1], "id": "divergence", "task": "divergence", "confusions": None},
    ]
    index = {"schema": 1, "protocol": "native", "cells": [*others, *rows]}
    write_text(folder / "benchmark.json", json.dumps(index))
    return folder


def spread_by_image(folder, domain):
    """Return how far apart the methods' pixel accuracies are, image by image."""
    shares = {}
    for method in METHODS:
        images = read_confusions(folder / f"cells/{method}/confusions.npz").domains[domain]
        for name, counts in zip(images.images, images.counts, strict=True):
            shares.setdefault(name, []).append(100 * np.trace(counts) / counts.sum())
    return {name: max(values) - min(values) for name, values in shares.items()}


def test_the_command_writes_the_images_that_differ_most_as_they_were_scored(results):
    done = CliRunner().invoke(command, [str(results), "--count", "1"], catch_exceptions=False)
    assert done.exit_code == 0
    assert done.output.splitlines()[-1] == str(results / "panels" / "index.json")
    facts = json.loads((results / "panels" / "index.json").read_text())
    assert (facts["seed"], facts["cells"]) == (5, {"BN": "BN", "IBN-a": "IBN-a"})
    (image,), (panel,) = facts["images"], read_panels(results / "panels")
    assert (image["domain"], panel.domain) == ("cityscapes", "cityscapes")
    spreads = spread_by_image(results, "cityscapes")
    assert len(set(spreads.values())) > 1
    assert image["image"] == min(spreads, key=lambda name: (-round(spreads[name], 9), name))
    assert list(panel.predictions) == ["BN", "IBN-a"]
    for method, prediction in panel.predictions.items():
        images = read_confusions(results / f"cells/{method}/confusions.npz").domains["cityscapes"]
        counted = images.counts[images.images.index(image["image"])]
        assert np.array_equal(confusion_matrix(prediction, panel.label, len(CLASSES)), counted)
    assert len(np.unique(panel.image)) > 2


def test_a_protocol_shows_what_was_scored(results, tmp_path):
    """Rein's protocol halves what the network sees; other sizes must not be mixed."""
    from ibn_seg.evaluation.protocols import get_protocol
    from ibn_seg.panels.pictures import make_panels, samples_of

    register()
    config = load_config(results / "configs/BN.py")
    config.test_dataloader.dataset.datasets[1]["target"] = "mapillary"
    set_protocol(config, "rein")
    (name, sample), *_ = samples_of(config)["mapillary"].items()
    (panel,) = make_panels(
        {"BN": (config, results / "cells/BN/iter_6.pth")}, [("mapillary", name)], ["one"]
    )
    width, height = sample.dataset[sample.index]["data_samples"].ori_shape[::-1]
    assert panel.label.shape == panel.image.shape[:2] == (height, width)
    assert get_protocol("rein").view("mapillary").label.factor == 0.5
    # The picture is the one of the label, in RGB: the network's own copy, brought to its size.
    native = sample.dataset.get_data_info(sample.index)["img_path"]
    import cv2

    small = cv2.resize(cv2.imread(native)[..., ::-1], (width, height))
    assert np.corrcoef(small.ravel(), panel.image.ravel())[0, 1] > 0.8


def test_without_checkpoints_or_a_second_method_a_line_says_so(results, tmp_path):
    lines = []
    assert panels(results, methods=["BN"], say=lines.append) is None
    assert "need two finished methods" in lines[0]
    gone = shutil.copytree(results, tmp_path / "gone", ignore=shutil.ignore_patterns("*.pth"))
    assert panels(gone, say=lines.append) is None
    assert lines[1] == f"{gone}: no panels: their checkpoints are gone"


def test_wrong_input_is_one_line(results, tmp_path):
    for options, match in (
        ({"methods": ["IBN-x", "BN"]}, r"unknown method of .*'IBN-x'.*IBN-a"),
        ({"seed": 7}, "unknown seed"),
        ({"backbone": "ResNet-81"}, "unknown backbone .*ResNet-18"),
        ({"count": 0}, "count = 0"),
    ):
        with pytest.raises(UserError, match=match) as error:
            panels(results, **options)
        assert "\n" not in error.value.line
    with pytest.raises(UserError, match=r"benchmark\.json: no such file"):
        panels(tmp_path)
    (tmp_path / "kept.json").write_text("{}")
    with pytest.raises(UserError, match="kept results have no checkpoints"):
        panels(tmp_path)
    (tmp_path / "benchmark.json").write_text('{"schema": 1, "cells": [3]}')
    with pytest.raises(UserError, match="not the index of a benchmark"):
        panels(tmp_path)


def test_labels_of_other_classes_show_predictions_in_their_groups(results):
    """Of each network what its matrices counted, by its map; its other classes are black."""
    register()
    cfg = load_config(str(results / "configs/IBN-a.py"))
    groups = {"ground": ["road", "sidewalk"], "sky": ["sky"]}
    rest = [name for name in CLASSES if name not in ("road", "sidewalk", "sky")]
    reading = {"read_as": list(groups), "read_map": {"groups": groups, "none": rest}}
    cfg.test_dataloader.dataset.datasets[0].update(reading)
    mapping = parse_map(reading["read_map"], CLASSES, list(groups), "map")
    networks = {"IBN-a": (cfg, results / "cells/IBN-a/iter_6.pth")}
    images = [("gta5", "images/00201.png"), ("cityscapes", CITY)]
    plain = make_panels(networks, images, ["a", "b"])
    coarse, fine = make_panels(networks, images, ["a", "b"], maps={("IBN-a", "gta5"): mapping})
    assert coarse.classes.names == ("ground", "sky")
    assert fine.classes.names == CLASSES
    seen = plain[0].predictions["IBN-a"]
    expected = np.full_like(seen, 255)
    expected[seen <= 1], expected[seen == 10] = 0, 1
    assert np.array_equal(coarse.predictions["IBN-a"], expected)
    assert np.array_equal(fine.predictions["IBN-a"], plain[1].predictions["IBN-a"])
    assert set(np.unique(coarse.label)) == {0, 1, 255}


def test_a_soft_merge_is_shown_as_it_was_scored(results, tmp_path):
    register()
    cfg = load_config(str(results / "configs/IBN-a.py"))
    groups = {"road": ["road"], "rest": [name for name in CLASSES if name != "road"]}
    reading = {"read_as": list(groups), "read_map": {"groups": groups}}
    cfg.test_dataloader.dataset.datasets[0].update(reading)
    cfg.test_evaluator = cfg.val_evaluator = {
        "type": "MultiDomainIoU", "classes": list(CLASSES), "merge": "soft",
        "maps": {"gta5": reading["read_map"]},
    }  # fmt: skip
    checkpoint = results / "cells/IBN-a/iter_6.pth"
    segmentation.test(cfg, checkpoint, work_dir=tmp_path, quiet=True)
    scored = read_confusions(tmp_path / "test_confusions.npz").domains["gta5"]
    maps = {("IBN-a", "gta5"): scored.mapping}
    shown = {}
    for merge in ("soft", "hard"):
        cfg.val_evaluator["merge"] = merge
        (panel,) = make_panels(
            {"IBN-a": (cfg, checkpoint)}, [("gta5", scored.images[0])], ["a"], maps=maps
        )
        counted = confusion_matrix(panel.predictions["IBN-a"], panel.label, 2)
        shown[merge] = counted.tolist()
    assert shown["soft"] == scored.scored_counts[0][:, :2].tolist()
    assert shown["soft"] != shown["hard"]


def test_a_scene_is_shown_upright_as_it_was_scored(results, tmp_path):
    root = tmp_path / "set"
    picture = Image.open(next((results / "data/gta5/images").glob("*.png")))
    tags = picture.getexif()
    tags[0x0112] = 3
    for folder in ("images", "labels"):
        (root / folder).mkdir(parents=True)
    picture.save(root / "images/a.png", exif=tags)
    Image.fromarray(np.zeros(picture.size[::-1], np.uint8)).save(root / "labels/a.png")
    register()
    cfg = load_config(str(results / "configs/BN.py"))
    cfg.test_dataloader.dataset.datasets = [
        dict(type="TrainIdDataset", data_root=str(root), target="mine")
    ]
    (panel,) = make_panels(
        {"BN": (cfg, results / "cells/BN/iter_6.pth")}, [("mine", "images/a.png")], ["a"]
    )
    assert np.array_equal(panel.image, np.asarray(picture)[::-1, ::-1])
