"""Transfer on files: what is trained, what is not trained again, what is recorded."""

import gc
import json
import shutil
import subprocess
import sys

import pytest
import torch

from ibn_seg.analyses.transfer.run import transfer
from ibn_seg.command_options import split_decimals
from ibn_seg.config import load_config
from ibn_seg.datasets.cityscapes import RawCityscapesDataset
from ibn_seg.errors import UserError
from ibn_seg.evaluation.stored import confusions_of
from ibn_seg.io import sha256
from ibn_seg.run.trained_images import hash_of_names
from ibn_seg.statistics import mean_score, paired_difference
from tests.helpers import write_cityscapes
from tests.tiny import environment, run

SETTINGS = {"shares": (25,), "seeds": (0, 1), "iterations": 2, "quiet": True}


@pytest.fixture(scope="module", autouse=True)
def frozen_garbage():
    """Keep the libraries' objects out of the garbage collection that mmengine runs per data set."""
    import mmseg.datasets  # noqa: F401

    gc.freeze()
    yield
    gc.unfreeze()


@pytest.fixture(scope="module")
def target(tiny, tmp_path_factory):
    """A config that trains on the other domain, of eight images, with the same network."""
    folder = tmp_path_factory.mktemp("target")
    root = write_cityscapes(folder / "cityscapes", {"train": 8, "val": 2})
    config = load_config(tiny)
    config.train_dataloader.dataset.update(
        type="RawCityscapesDataset", data_root=str(root), target="cityscapes"
    )
    config.val_dataloader.dataset.datasets[1].data_root = str(root)
    config.test_dataloader = config.val_dataloader
    config.experiment.source = config.val_evaluator.source = "cityscapes"
    path = folder / "target.py"
    path.write_text(config.pretty_text)
    return path


@pytest.fixture(scope="module")
def network(trained):
    return trained[0] / "iter_6.pth"


@pytest.fixture(scope="module")
def transferred(target, network, tmp_path_factory):
    """The folder, the result and the lines that were said."""
    folder, lines = tmp_path_factory.mktemp("transfer"), []
    result = transfer(
        target, network, work_dir=folder, say=lines.append, command="ibn-seg transfer x", **SETTINGS
    )
    return folder, result, lines


def test_both_starts_train_on_the_same_images(transferred, target):
    folder, result, lines = transferred
    assert json.loads((folder / "transfer.json").read_text()) == result
    assert lines[0] == "1 of 4: 25 %, source, seed 0: training on 2 images"
    assert lines[-1] == "4 of 4: 25 %, scratch, seed 1: training on 2 images"
    root = load_config(target).train_dataloader.dataset.data_root
    for row in result["runs"]:
        part = RawCityscapesDataset(root, share=row["share"] / 100, share_seed=row["seed"])
        paths = [part.get_data_info(index)["img_path"] for index in range(len(part))]
        files = ["/".join(path.split("/")[-4:]) for path in paths]
        assert row["training_set"] == {
            "images": 2, "names": hash_of_names(files)
        }  # fmt: skip
        own = json.loads((folder / row["result"]).read_text())
        assert (own["share"], own["start"], own["seed"]) == (
            row["share"], row["start"], row["seed"]
        )  # fmt: skip
        assert own["training_set"] == row["training_set"]
        assert own["iterations"] == row["iteration"] == 2
        assert row["mIoU"] == {name: one["mIoU"] for name, one in own["domains"].items()}
        assert (folder / row["checkpoint"]).is_file()
        assert (folder / row["confusions"]).is_file()
    assert (result["source"], result["targets"]) == ("cityscapes", ["gta5"])


def test_the_start_is_the_network_of_the_source(transferred, network):
    """After two iterations the weights are nearer to it than those that began without it."""
    folder, result, _ = transferred
    before = torch.load(network, weights_only=True)["state_dict"]
    apart = {}
    for row in result["runs"]:
        after = torch.load(folder / row["checkpoint"], weights_only=True)["state_dict"]
        assert after.keys() == before.keys()
        apart.setdefault(row["start"], []).append(
            sum(float((after[key] - before[key]).square().sum()) for key in before)
        )
    assert max(apart["source"]) < min(apart["scratch"]) / 4
    assert result["checkpoint_hashes"] == dict.fromkeys("01", sha256(network))


def test_means_and_differences_are_those_of_the_matrices(transferred):
    folder, result, _ = transferred
    counted = {}
    for row in result["runs"]:
        own = json.loads((folder / row["result"]).read_text())
        place = counted.setdefault((row["share"], row["start"]), {})
        place[row["seed"]] = confusions_of(own, (folder / row["result"]).parent)
    assert [(s["share"], s["start"]) for s in result["scores"]] == [
        (25, "source"), (25, "scratch")
    ]  # fmt: skip
    assert [entry["share"] for entry in result["differences"]] == [25]
    for entry in result["scores"]:
        for domain, found in entry["domains"].items():
            expected = mean_score(counted[entry["share"], entry["start"]], [domain])
            assert found["mean"] == expected.per_seed.mean
            assert found["interval"]["low"] == expected.interval.low
            assert list(found["by_seed"].values()) == list(expected.per_seed.values)
    for entry in result["differences"]:
        runs = [counted[entry["share"], start] for start in ("source", "scratch")]
        for domain, found in entry["domains"].items():
            expected = paired_difference(*runs, [domain])
            assert found["mean"] == expected.per_seed.mean
            assert found["interval"]["high"] == expected.interval.high


def test_finished_trainings_are_not_run_again_and_more_can_be_added(
    transferred, target, network, tmp_path
):
    folder = shutil.copytree(transferred[0], tmp_path / "copy")
    shutil.rmtree(folder / "share25_scratch_seed0")
    before = {p: p.stat().st_mtime_ns for p in folder.rglob("*.pth")}
    lines = []
    settings = {**SETTINGS, "shares": (25, 50), "seeds": (0,)}
    result = transfer(target, network, work_dir=folder, say=lines.append, **settings)
    assert [line.partition(": ")[2] for line in lines] == [
        "25 %, source, seed 0: finished before",
        "25 %, scratch, seed 0: training on 2 images",
        "50 %, source, seed 0: training on 4 images",
        "50 %, scratch, seed 0: training on 4 images",
    ]
    assert {path: path.stat().st_mtime_ns for path in before} == before
    again = {(r["share"], r["start"], r["seed"]): r["mIoU"] for r in result["runs"]}
    for row in transferred[1]["runs"]:
        known = row["share"], row["start"], row["seed"]
        assert again.get(known, row["mIoU"]) == row["mIoU"]


def test_an_interrupted_training_goes_on(transferred, target, network, tmp_path):
    """As after a kill: its checkpoint is there, its result is not; `load_from` is not loaded."""
    folder = shutil.copytree(transferred[0], tmp_path / "copy")
    part = folder / "share25_source_seed0"
    (part / "result.json").unlink()
    result = transfer(target, network, work_dir=folder, say=lambda line: None, **SETTINGS)
    own = json.loads((part / "result.json").read_text())
    assert own["resumed_at"] == [2]
    assert [row["mIoU"] for row in result["runs"]] == [
        row["mIoU"] for row in transferred[1]["runs"]
    ]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"iterations": 3}, "another iterations"),
        ({"lr_factor": 0.5}, "another lr_factor"),
        ({"cfg_options": {"optim_wrapper.optimizer.lr": 0.5}}, "another config"),
    ],
)
def test_a_folder_holds_one_transfer(change, message, transferred, target, network):
    with pytest.raises(UserError, match=rf"holds a transfer with {message} \(plan\.json\)"):
        transfer(target, network, work_dir=transferred[0], **{**SETTINGS, **change})


def test_another_network_of_the_source_is_noticed(transferred, trained, target):
    """By its content, and for the seeds that have begun alone."""
    with pytest.raises(UserError, match="another checkpoint of seed 0, another checkpoint of s"):
        transfer(target, trained[0] / "iter_4.pth", work_dir=transferred[0], **SETTINGS)


def test_the_learning_rate_of_the_fine_tuning_alone_is_scaled(target, network, tmp_path):
    settings = {**SETTINGS, "shares": (100,), "seeds": (0,), "iterations": 1}
    result = transfer(target, network, work_dir=tmp_path, lr_factor=0.1, say=str, **settings)
    rates = {
        row["start"]: json.loads((tmp_path / row["result"]).read_text())["curves"]["lr"]
        for row in result["runs"]
    }
    assert rates["source"][0] == pytest.approx(rates["scratch"][0] / 10)
    assert result["lr_factor"] == 0.1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"shares": ()}, "shares: none is given"),
        ({"shares": (10, 10.0)}, "share 10 is given twice"),
        ({"shares": (0,)}, "share 0: allowed: percent"),
        ({"shares": (101,)}, "share 101: allowed: percent"),
        ({"shares": (1, 2, 100)}, "1 % and 2 % of 8 images are the same 1 image: leave one"),
        ({"starts": ("sorce",)}, "unknown start 'sorce': did you mean 'source'"),
        ({"seeds": (0, 0)}, "seed 0 is given twice"),
        ({"seeds": (-1,)}, "seed -1: allowed: whole numbers from 0"),
        ({"iterations": 0}, "iterations 0: allowed"),
        ({"lr_factor": float("nan")}, "learning-rate factor nan"),
        ({"checkpoint": None}, "CHECKPOINT is missing"),
        ({"checkpoint": "none_{seed}.pth"}, "none_0.pth: no such checkpoint"),
        ({"cfg_options": {"model.decode_head.num_classes": 5}}, "head is for 19 classes"),
        ({"cfg_options": {"model.backbone.ibn": "b"}}, "norm placement is IBN-a"),
        ({"cfg_options": {"val_evaluator": {"type": "IoUMetric", "_delete_": True}}},
         "val_evaluator is not MultiDomainIoU"),
        ({"cfg_options": {"train_dataloader.dataset.type": "CityscapesDataset"}},
         "CityscapesDataset has no shares: use the data sets of ibn_seg"),
        ({"cfg_options": {"train_dataloader.dataset.data_root": "/nowhere"}}, "/nowhere"),
    ],
)  # fmt: skip
def test_what_cannot_be_done_is_one_line_and_leaves_nothing(
    change, message, target, network, tmp_path
):
    given = {"checkpoint": network, **SETTINGS, **change}
    with pytest.raises(UserError, match=message) as caught:
        transfer(target, work_dir=tmp_path / "run", **given)
    assert "\n" not in caught.value.line
    assert not (tmp_path / "run").exists()


def test_the_command_prints_a_table_for_each_domain(transferred, target, network, tmp_path):
    folder = shutil.copytree(transferred[0], tmp_path / "copy")
    done = run(
        "transfer", target, network, "--shares", "25", "--seeds", "0,1", "--iterations", "2",
        "--work-dir", folder,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("finished before") == 4
    assert "cityscapes (trained on)" in done.stdout
    assert "source - scratch" in done.stdout
    assert "few seeds" in done.stdout


def test_a_list_of_shares_is_read():
    assert split_decimals("0.5, 1,10", "--shares") == (0.5, 1.0, 10.0)
    for wrong in ("x", "-1", "1e3", "nan", "1."):
        with pytest.raises(UserError, match=f"'{wrong}' is not a number: write 0.5,1,10"):
            split_decimals(f"1,{wrong}", "--shares")


@pytest.mark.slow
def test_two_processes_by_torchrun(transferred, target, network, tmp_path):
    launcher = ["torch.distributed.run", "--standalone", "--nproc-per-node=2", "-m"]
    settings = ["--shares", "25", "--seeds", "0", "--iterations", "2", "--launcher", "pytorch"]
    done = subprocess.run(
        [sys.executable, "-m", *launcher, "ibn_seg", "transfer", str(target), str(network),
         "--work-dir", str(tmp_path), *settings],
        capture_output=True, text=True, check=False, env=environment(), timeout=240,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("training on 2 images") == 2
    result = json.loads((tmp_path / "transfer.json").read_text())
    alone = [row for row in transferred[1]["runs"] if row["seed"] == 0]
    for row, one in zip(result["runs"], alone, strict=True):
        assert json.loads((tmp_path / row["result"]).read_text())["processes"] == 2
        assert row["training_set"] == one["training_set"]
        assert row["mIoU"].keys() == one["mIoU"].keys()
