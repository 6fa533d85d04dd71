"""The analyses of a network of three classes, trained on rendered scenes."""

import json

import numpy as np
import pytest
from PIL import Image

from ibn_seg.analyses.divergence.domain_pairs import scene_shares
from ibn_seg.analyses.divergence.run import Scenes, divergence
from ibn_seg.analyses.robustness.run import robustness
from ibn_seg.analyses.transfer.run import transfer
from ibn_seg.config import load_config
from ibn_seg.datasets.gta5 import GTA5Dataset
from ibn_seg.datasets.labels import CLASSES
from ibn_seg.errors import UserError
from ibn_seg.evaluation.stored import read_confusions
from tests.run.made_networks import THREE, train

NAMES = list(THREE.groups)


@pytest.fixture(scope="module")
def network(tmp_path_factory):
    return train(tmp_path_factory.mktemp("three"), THREE)


def test_robustness(network, tmp_path):
    result = robustness(
        network.config, network.checkpoint, corruptions=["brightness"], severities=[5],
        work_dir=tmp_path, quiet=True,
    )  # fmt: skip
    (corrupted,) = result["corrupted"]
    for domain, clean in result["domains"].items():
        assert [*clean["IoU"], *clean["absent"]] == NAMES
        assert np.array(corrupted["domains"][domain]["confusion"]).shape == (3, 3)
        kept = corrupted["domains"][domain]["mIoU"] / clean["mIoU"]
        assert corrupted["retention"][domain] == pytest.approx(kept)
    assert result["retention"]["gta5"]["mean"] < 0.9


def test_transfer_and_its_table(network, tmp_path):
    target = load_config(network.config)
    target.train_dataloader.dataset.update(
        type="RawCityscapesDataset", data_root=str(network.scenes / "cityscapes"), split="train"
    )
    target.experiment.source = target.val_evaluator.source = "cityscapes"
    result = transfer(
        target, network.checkpoint, work_dir=tmp_path / "transfer", shares=(50,), seeds=(0,),
        iterations=2, quiet=True, say=lambda line: None,
    )  # fmt: skip
    assert [row["start"] for row in result["runs"]] == ["source", "scratch"]
    scores = {}
    for row in result["runs"]:
        assert row["training_set"]["images"] == 2
        stored = read_confusions(tmp_path / "transfer" / row["confusions"])
        assert stored.classes == tuple(NAMES)
        scores[row["start"]] = row["mIoU"]
    assert scores["source"]["gta5"] > scores["scratch"]["gta5"]


def test_divergence_of_rendered_scenes(network, tmp_path):
    result = divergence(
        network.config, network.checkpoint, pairs=["content", "null:gta5"], images=3, min_images=3,
        scenes=Scenes(size=(64, 32)), work_dir=tmp_path, quiet=True,
    )  # fmt: skip
    assert list(result["pairs"]) == ["content:scenes/source", "null:gta5"]
    assert json.loads((tmp_path / "divergence.json").read_text()) == result


def test_halves_by_content_need_buildings_and_plants(network):
    root = network.scenes / "gta5"
    coarse = GTA5Dataset(root, split="all", read_as=THREE.read_as, read_map=THREE.map)
    with pytest.raises(UserError, match=r"content:gta5: its 3 classes lack 'building' or all of "):
        scene_shares(coarse, "gta5")
    some = GTA5Dataset(root, split="all", metainfo=dict(classes=("terrain", "building")))
    shares = []
    for at in range(1, 7):
        ids = np.asarray(Image.open(root / f"labels/{at:05}.png"))
        built, green = (ids == 11).sum(), (ids == 22).sum()
        shares.append(built / (built + green))
    assert scene_shares(some, "gta5").tolist() == shares
    assert CLASSES.index("terrain") > CLASSES.index("building")
