"""`ibn-seg reid train`: the record, exact resuming, two processes, bad input."""

import dataclasses
import json
import shutil
import subprocess
import sys
import time
from datetime import timedelta

import numpy as np
import pytest
import torch

from ibn_seg.cli import run as run_cli
from ibn_seg.engine import RunRecordHook, distributed
from ibn_seg.errors import UserError
from ibn_seg.reid.retrieval_losses import CenterLoss, triplet_loss
from ibn_seg.retrieval import run_training
from ibn_seg.retrieval.baseline_recipe import BaselineRecipe
from ibn_seg.retrieval.run_training import train
from ibn_seg.retrieval.source_selection import candidates
from ibn_seg.retrieval.training_network import StrongBaselineTrainer
from ibn_seg.retrieval.training_pictures import TrainingPictures
from tests.imagenet.conftest import interrupted, without_time
from tests.retrieval.people import write_people
from tests.tiny import environment

MODEL = "resnet18_ibn_a"
# Batches of 2 people with 2 pictures, two epochs of three or four.
RECIPE = BaselineRecipe(
    epochs=2, identities=2, images=2, milestones=(2,), warmup_epochs=1, size=(32, 64)
)
OPTIONS = ("--epochs", "2", "--identities", "2", "--images", "2", "--milestones", "2",
           "--warmup-epochs", "1", "--size", "32x64")  # fmt: skip


@pytest.fixture(scope="module")
def people(tmp_path_factory):
    return write_people(tmp_path_factory.mktemp("people"))


@pytest.fixture(scope="module")
def trained(people, tmp_path_factory):
    """The work dir and the result of an undisturbed training."""
    work_dir = tmp_path_factory.mktemp("trained") / "run"
    result = train(MODEL, "market1501", people, RECIPE, targets=[("reid_folder", _folder(people))],
                   work_dir=work_dir, quiet=True, command="train")  # fmt: skip
    return work_dir, result


def _folder(people):
    """Return the same search as a folder of one's own."""
    root = people.parent / "own"
    root.mkdir(exist_ok=True)
    for name, folder in (("query", "query"), ("gallery", "bounding_box_test")):
        if not (root / name).exists():
            (root / name).symlink_to(people / folder)
    return str(root)


def test_the_record(trained):
    work_dir, result = trained
    assert json.loads((work_dir / "result.json").read_text()) == result
    iterations = result["iterations"]
    assert iterations % 2 == 0
    assert result["experiment"]["classes"] == 4
    assert result["experiment"]["erasing"] == 0.5
    assert len(result["curves"]["loss"]) == iterations
    home, target = result["searches"]["market1501"], result["searches"]["reid_folder"]
    assert home["scores"] == target["scores"]
    assert (home["scores"]["queries"], home["scores"]["dropped"]) == (3, 1)
    assert home["tool"] == "ibn_seg"
    assert (work_dir / home["ranks"]).is_file()
    rates = result["curves"]["lr"]
    assert rates[0] == pytest.approx(3.5e-4)
    assert rates[-1] == pytest.approx(3.5e-5)


def test_resumed_equals_undisturbed_bit_for_bit(trained, people, tmp_path):
    """Weights, centres, losses and scores."""
    work_dir, result = trained
    steps = result["iterations"]
    copy = interrupted(work_dir, tmp_path / "run", last=steps // 2)
    again = train(MODEL, "market1501", people, RECIPE, targets=[("reid_folder", _folder(people))],
                  work_dir=copy, resume=True, quiet=True, command="train")  # fmt: skip
    assert again["resumed_at"] == [steps // 2]
    first, second = (
        torch.load(run / f"iter_{steps}.pth", weights_only=True)["state_dict"]
        for run in (work_dir, copy)
    )
    assert first.keys() == second.keys()
    for key, value in first.items():
        assert torch.equal(value, second[key]), key
    assert without_time(again) == without_time(result)
    for name, found in result["searches"].items():
        assert again["searches"][name]["scores"] == found["scores"]
    torch.manual_seed(0)
    assert not torch.equal(first["center.centers"], CenterLoss(4, 512).centers)


def test_searches_are_made_up_for_and_count_as_time(trained, people, tmp_path, monkeypatch):
    """A run that was killed between its last iteration and its result."""
    work_dir, result = trained
    steps = result["iterations"]
    copy = interrupted(work_dir, tmp_path / "run", last=steps)
    searched, spent = run_training.searched, []

    def slow(*given):
        began = time.monotonic()
        time.sleep(0.5)
        found = searched(*given)
        spent.append(time.monotonic() - began)
        return found

    monkeypatch.setattr(run_training, "searched", slow)
    monkeypatch.setattr(RunRecordHook, "wall_time_s", property(lambda _: sum(spent)))
    again = train(MODEL, "market1501", people, RECIPE, targets=[("reid_folder", _folder(people))],
                  work_dir=copy, resume=True, quiet=True, command="train")  # fmt: skip
    assert again["iterations"] == steps
    assert again["searches"]["market1501"]["scores"] == result["searches"]["market1501"]["scores"]
    assert again["wall_time_s"] == sum(spent) > 1


def test_processes_wait_long_for_the_searches(people, tmp_path, monkeypatch):
    """NCCL gives up after ten minutes; MSMT17 has 93,820 pictures to search in."""
    joined = []

    def join(**options):
        joined.append(options["timeout"])
        raise UserError("enough")

    monkeypatch.setattr(distributed.distributed, "init_process_group", join)
    for name, value in {"RANK": "0", "WORLD_SIZE": "1", "LOCAL_RANK": "0"}.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(UserError, match="enough"):
        train(MODEL, "market1501", people, RECIPE, work_dir=tmp_path, launcher="pytorch")
    assert joined[0] > timedelta(hours=24)


def test_other_choices_of_the_data_are_refused(trained, people, tmp_path):
    steps = trained[1]["iterations"]
    copy = interrupted(trained[0], tmp_path / "run", last=steps)
    path = copy / f"iter_{steps}.pth"
    checkpoint = torch.load(path, weights_only=True)
    checkpoint["meta"]["experiment"]["options"] = {"boxes": "labeled"}
    torch.save(checkpoint, path)
    with pytest.raises(UserError, match=r"began with options {'boxes': 'labeled'}, now it is {}"):
        train(MODEL, "market1501", people, RECIPE, work_dir=copy, resume=True, quiet=True)


def test_checkpoints_of_an_earlier_training_are_no_candidates(tmp_path):
    for step in (3, 6, 7, 9, 12):
        (tmp_path / f"iter_{step}.pth").touch()
    assert list(candidates(tmp_path, 3, 7)) == [3, 6, 7]
    assert list(candidates(tmp_path, 3, 6)) == [3, 6]
    (tmp_path / "iter_3.pth").unlink()
    with pytest.raises(UserError, match=r"iter_3.pth: is gone, so the best checkpoint"):
        candidates(tmp_path, 3, 7)


def test_a_checkpoint_is_tested_and_other_settings_are_refused(trained, people, tmp_path, capsys):
    work_dir, result = trained
    checkpoint = work_dir / f"iter_{result['iterations']}.pth"
    # The file says the size of its pictures.
    call = ("test", "market1501", people, "--model", MODEL, "--work-dir",
            tmp_path / "test", "--checkpoint", checkpoint)  # fmt: skip
    assert run_cli(["reid", *map(str, call)]) == 0
    again = json.loads((tmp_path / "test" / "test.json").read_text())
    assert again["scores"] == result["searches"]["market1501"]["scores"]
    assert again["size"] == [32, 64]
    other = ("train", "market1501", people, "--model", MODEL, *OPTIONS, "--erasing", "0",
             "--work-dir", work_dir, "--resume")  # fmt: skip
    assert run_cli(["reid", *map(str, other)]) == 2
    assert "began with erasing 0.5, now it is 0.0" in capsys.readouterr().err


def test_pictures_are_augmented_by_the_seed(people):
    pictures = TrainingPictures("market1501", people, size=(32, 64), erasing=1.0)
    assert len(pictures) == 20
    assert pictures.metainfo["classes"] == ("11", "12", "13", "14")
    np.random.seed(3)
    first = pictures[0]["inputs"]
    np.random.seed(3)
    assert torch.equal(pictures[0]["inputs"], first)
    assert first.shape == (3, 64, 32)
    assert not torch.equal(pictures[0]["inputs"], first)
    # Black around, and ImageNet's means as the paint of normalised pictures.
    assert (first == torch.tensor([0.485, 0.456, 0.406]).view(3, 1, 1)).all(dim=0).any()


def test_two_data_sets_are_trained_on_together(people):
    """Persons of equal numbers are others."""
    one = TrainingPictures("market1501", people)
    both = TrainingPictures("market1501", people, also=[("cameras_source", str(people))])
    assert len(both) == 40
    assert both.metainfo["classes"][::4] == ("market1501/11", "cameras_source/11")
    assert both.labels.tolist() == [*one.labels, *(one.labels + 4)]


class Linear(torch.nn.Module):
    """A network of two layers, which autocast computes in half precision."""

    def __init__(self):
        super().__init__()
        self.features, self.scores = torch.nn.Linear(12, 512), torch.nn.Linear(512, 2)

    def forward(self, images):
        features = self.features(images.flatten(1))
        return self.scores(features), features


def test_losses_stay_float32_in_mixed_precision():
    torch.manual_seed(0)
    trainer = StrongBaselineTrainer("resnet18", 2)
    trainer.network = Linear()
    inputs, labels = torch.randn(4, 3, 2, 2), torch.tensor([0, 0, 1, 1])
    with torch.autocast("cpu", torch.bfloat16):
        losses = trainer(inputs, labels, mode="loss")
        scores, features = trainer.network(inputs)
    assert scores.dtype == torch.bfloat16
    assert features.dtype == torch.bfloat16
    assert {value.dtype for value in losses.values()} == {torch.float32}
    expected = triplet_loss(features.float(), labels)
    torch.testing.assert_close(losses["loss_triplet"], expected)


@pytest.mark.slow
def test_the_checkpoint_that_is_best_on_the_source_is_searched_with(people, tmp_path):
    """The first of equals: both find everybody."""
    recipe = dataclasses.replace(RECIPE, selection="source")
    result = train(MODEL, "market1501", people, recipe, work_dir=tmp_path / "run", quiet=True)
    length = result["iterations"] // 2
    assert list(result["source_mAP"]) == [str(length), str(2 * length)]
    best = max(result["source_mAP"], key=result["source_mAP"].get)
    assert result["checkpoint"] == str(tmp_path / "run" / f"best_iter_{best}.pth")
    home = result["searches"]["market1501"]
    assert home["checkpoint"] == result["checkpoint"]
    assert home["scores"]["measures"]["mAP"]["value"] == result["source_mAP"][best]


@pytest.mark.slow
def test_mixed_precision_trains_other_weights(trained, people, tmp_path):
    recipe = dataclasses.replace(RECIPE, epochs=1, milestones=(1,), amp=True)
    result = train(MODEL, "market1501", people, recipe, work_dir=tmp_path / "run", quiet=True)
    assert "Bfloat16OptimWrapper" in result["config"]
    assert np.isfinite(result["curves"]["loss"]).all()
    assert result["curves"]["loss"][0] != trained[1]["curves"]["loss"][0]


@pytest.mark.parametrize(("stride", "map_size"), [(1, (4, 2)), (2, (2, 1))])
def test_the_last_stride_sets_the_size_of_the_last_map(stride, map_size):
    trainer = StrongBaselineTrainer("resnet18", 2, last_stride=stride)
    assert trainer.network.base(torch.zeros(1, 3, 64, 32))[-1].shape[2:] == map_size


def test_the_gradient_of_the_centers_in_closed_form():
    torch.manual_seed(0)
    layer, labels = CenterLoss(4, 5), torch.tensor([0, 2, 2, 3])
    features = torch.randn(4, 5)
    layer(features, labels).backward()
    torch.testing.assert_close(layer.center_gradient(features, labels), layer.centers.grad)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--identities", "5"), "a batch of 5 identities, but only 4 are in the training"),
        (("--identities", "1"), "--identities 1: it must be at least 2"),
        (("--erasing", "2"), "--erasing 2.0: allowed: 0 to 1"),
        (("--lr", "0"), "--lr 0.0: it must be above 0"),
        (("--last-stride", "3"), "3 is not in the range 1<=x<=2"),
        (("--target", "market1501"), "is not NAME=ROOT"),
        (("--target", "personx=nowhere"), "nowhere: no such folder"),
        (("--option", "boxes=x"), "unknown option of Market-1501 'boxes'"),
        (("--model", "resnet19"), "unknown model 'resnet19'"),
    ],
)
def test_wrong_use_is_one_line(options, message, people, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    call = ("train", "market1501", people, "--model", MODEL, *options)
    assert run_cli(["reid", *map(str, call)]) == 2
    assert message in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_search_that_cannot_be_is_told_before_the_training(people, tmp_path):
    said = []
    for part in ("bounding_box_train", "query"):
        shutil.copytree(people / part, tmp_path / "data" / part)
    recipe = dataclasses.replace(RECIPE, selection="source")
    with pytest.raises(UserError, match="data: has no gallery to select by: use --selection last"):
        train(MODEL, "market1501", tmp_path / "data", recipe, work_dir=tmp_path / "run", quiet=True)
    shutil.copytree(people / "query", tmp_path / "data" / "bounding_box_test")
    with pytest.raises(UserError, match="data: all pictures are from camera 0"):
        train(MODEL, "dukemtmc_reid", tmp_path / "data", RECIPE, work_dir=tmp_path / "run",
              quiet=True, say=said.append)  # fmt: skip
    assert said[0].startswith("note: DukeMTMC-reID was withdrawn by its authors")
    assert not (tmp_path / "run").exists()


def test_two_targets_of_one_name_are_one_line(people, tmp_path):
    with pytest.raises(UserError, match="market1501: is named twice"):
        train(MODEL, "market1501", people, RECIPE, targets=[("market1501", str(people))],
              work_dir=tmp_path, quiet=True)  # fmt: skip


def test_resuming_elsewhere_is_one_line(people, tmp_path):
    with pytest.raises(UserError, match="no such folder"):
        train(MODEL, "market1501", tmp_path / "none", RECIPE, work_dir=tmp_path, quiet=True)


@pytest.mark.slow
def test_two_processes_train_one_network(people, tmp_path):
    """Each has whole batches; the first one searches and prints."""
    line = [
        sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2", "-m",
        "ibn_seg", "reid", "train", "market1501", people, "--launcher", "pytorch", "--model", MODEL,
        *OPTIONS, "--work-dir", tmp_path / "run",
    ]  # fmt: skip
    done = subprocess.run([*map(str, line)], capture_output=True, text=True, check=False,
                          env=environment(), timeout=300, cwd=tmp_path)  # fmt: skip
    assert done.returncode == 0, done.stderr
    result = json.loads((tmp_path / "run" / "result.json").read_text())
    assert result["processes"] == 2
    assert done.stdout.count("queries without a match were left out") == 1
