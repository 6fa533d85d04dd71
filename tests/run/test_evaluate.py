"""Any network, and predictions in files, scored on domains by name."""

import json
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
from mmseg.registry import DATASETS

from ibn_seg import cli
from ibn_seg.config import config_folder, load_config
from ibn_seg.datasets.all_datasets import DATA_SETS
from ibn_seg.datasets.targets import domains_of, target_configs
from ibn_seg.errors import UserError
from ibn_seg.evaluation.stored import confusions_of
from ibn_seg.report.runs import read_runs
from ibn_seg.run.evaluation import evaluate
from ibn_seg.run.score_predictions import evaluate_predictions
from tests.tiny import run


@pytest.fixture(scope="module")
def targets(tiny):
    """The two domains of the tiny experiment, as targets with their roots."""
    return [f"gta5={tiny.parent}/gta5", f"cityscapes={tiny.parent}/cityscapes"]


@pytest.fixture(scope="module")
def evaluated(trained, tiny, targets, tmp_path_factory):
    """The result of evaluating the trained network, and the folder of its predictions."""
    out = tmp_path_factory.mktemp("predictions")
    work_dir, _ = trained
    checkpoint = work_dir / "iter_6.pth"
    result = evaluate(tiny, checkpoint, targets, work_dir=out / "run", out=out, quiet=True)
    return result, out


def test_a_network_gets_the_scores_of_its_own_validation(trained, evaluated):
    result, out = evaluated
    _, training = trained
    assert result["domains"] == training["domains"]
    assert result["gap"] == training["gap"]
    assert (result["method"], result["source"]) == ("IBN-a", "gta5")
    assert result["protocol"] == "native"
    assert json.loads((out / "run" / "test.json").read_text()) == result


def test_predictions_in_files_get_the_scores_of_the_network(evaluated, targets, tmp_path):
    result, out = evaluated
    scored = evaluate_predictions(
        out, targets, method="theirs", segmentor="FCN", source="gta5", seed=3, work_dir=tmp_path,
        workers=1,
    )  # fmt: skip
    assert scored["segmentor"] == "FCN"
    assert scored["domains"] == result["domains"]
    assert scored["targets_mIoU"] == result["targets_mIoU"]
    assert scored["metrics"] == result["metrics"]
    runs = read_runs([scored])
    assert (runs[0].method, runs[0].seed, runs[0].gap) == ("theirs", 3, result["gap"])
    assert scored["versions"]["ibn_seg"]
    theirs, ours = confusions_of(scored, tmp_path), confusions_of(result, out / "run")
    for domain, stored in ours.domains.items():
        assert theirs.domains[domain].images == stored.images
        assert np.array_equal(theirs.domains[domain].counts, stored.counts)
    assert json.loads((tmp_path / "test.json").read_text()) == scored


def test_one_domain_needs_no_folder_and_two_processes_give_the_same(evaluated, targets, tmp_path):
    result, out = evaluated
    scored = evaluate_predictions(
        out / "gta5", targets[:1], method="theirs", work_dir=tmp_path, workers=2
    )
    assert scored["domains"]["gta5"] == result["domains"]["gta5"]
    assert scored["gap"] is None
    assert scored["source"] is None


def test_classes_of_a_protocol(evaluated, targets, tmp_path):
    _, out = evaluated
    scored = evaluate_predictions(
        out, targets, method="theirs", protocol="synthia16", work_dir=tmp_path, workers=1
    )
    assert not {"terrain", "truck", "train"} & set(scored["domains"]["gta5"]["IoU"])


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda path: path.unlink(), "no such prediction"),
        (lambda path: path.write_bytes(b""), "cannot be read"),
        (lambda path: _write(path, np.zeros((8, 8), np.uint8)), "8x8 pixels for a label of"),
        (
            lambda path: _write(path, _filled(path, 19)),
            "png: prediction 19 is not a class: predictions are",
        ),
        (lambda path: _write(path, np.zeros((8, 8, 3), np.uint8)), "pixels are of mode 'RGB'"),
    ],
)
def test_a_wrong_prediction_is_one_line_that_names_it(evaluated, targets, tmp_path, change, words):
    _, out = evaluated
    folder = tmp_path / "changed"
    shutil.copytree(out, folder)
    path = min((folder / "cityscapes").glob("*.png"))
    change(path)
    with pytest.raises(UserError, match=words) as caught:
        evaluate_predictions(folder, targets, method="theirs", work_dir=tmp_path / "run", workers=1)
    assert str(path) in caught.value.line
    assert not (tmp_path / "run" / "test.json").exists()


def _write(path: Path, array: np.ndarray) -> None:
    assert cv2.imwrite(str(path), array)


def _filled(path: Path, value: int) -> np.ndarray:
    return np.full_like(cv2.imread(str(path), cv2.IMREAD_UNCHANGED), value)


def test_a_protocol_that_changes_the_labels_size_is_refused(tmp_path):
    with pytest.raises(UserError, match="scores mapillary-robustnet at another size"):
        evaluate_predictions(tmp_path, ["robustnet"], method="theirs", protocol="robustnet")


def test_a_model_of_other_classes_is_refused(tiny, trained, targets):
    options = {"model.decode_head.num_classes": 150}
    with pytest.raises(UserError, match=r"its head is for 19 classes, the config's for 150"):
        evaluate(tiny, trained[0] / "iter_6.pth", targets, cfg_options=options)


def test_a_config_of_mmseg_without_anything_of_ours(tmp_path, targets):
    """The model is built from mmseg's own classes; its checkpoint has mmseg's keys."""
    import torch
    from mmseg.registry import MODELS

    config = load_config("mmseg::pspnet/pspnet_r18-d8_4xb2-80k_cityscapes-512x1024")
    config.model.pretrained = None
    config.norm_cfg = dict(type="BN", requires_grad=True)
    _use_bn(config.model)
    network = MODELS.build(config.model)
    torch.save({"state_dict": network.state_dict()}, tmp_path / "theirs.pth")
    result = evaluate(
        config, tmp_path / "theirs.pth", targets, source="cityscapes", work_dir=tmp_path, quiet=True
    )
    assert set(result["domains"]) == {"gta5", "cityscapes"}
    assert result["method"] == "pspnet_r18-d8_4xb2-80k_cityscapes-512x1024"
    assert (result["backbone"], result["segmentor"]) == ("ResNetV1c-18", "PSPHead")
    assert result["gap"] is not None


def _use_bn(part: object) -> None:
    if isinstance(part, dict):
        if part.get("type") == "SyncBN":
            part["type"] = "BN"
        for value in part.values():
            _use_bn(value)


def test_targets_by_name(monkeypatch):
    monkeypatch.setenv("IBN_SEG_BDD100K", "/data/bdd")
    monkeypatch.delenv("IBN_SEG_ACDC", raising=False)
    bdd, *acdc = target_configs(["bdd100k", "acdc"])
    assert bdd["data_root"] == "/data/bdd"
    assert [config["target"] for config in acdc] == domains_of("acdc")
    assert {config["data_root"] for config in acdc} == {"data/acdc"}
    for targets, words in (
        (["citiscapes"], "unknown target 'citiscapes'.*cityscapes"),
        (["acdc", "acdc-fog"], "'acdc-fog' is named twice"),
        (["gta5="], "has no root"),
        ([], "no target"),
    ):
        with pytest.raises(UserError, match=words):
            target_configs(targets)


@pytest.mark.parametrize("group", ["rein", "robustnet", "adverse", "world"])
def test_sets_are_those_of_the_configs(group, monkeypatch):
    for name in DATA_SETS:
        monkeypatch.delenv(f"IBN_SEG_{name.upper()}", raising=False)
    written = load_config(config_folder() / "_base_" / "datasets" / "targets" / f"{group}.py")
    for ours, theirs in zip(target_configs([group]), written.targets, strict=True):
        defaults = {"split": "val"} if "split" in ours else {}
        named = {key: value for key, value in ours.items() if key != "target"}
        assert named == {**defaults, **theirs}
        built = DATASETS.build({**theirs, "lazy_init": True, "pipeline": []})
        assert built.target == ours["target"]


@pytest.mark.parametrize("scored", ["network", "files"])
def test_a_source_that_is_not_evaluated(evaluated, tiny, trained, targets, tmp_path, scored):
    """A misspelt one is refused, as its domain would count as a target; a right one is said."""
    what = {
        "network": [tiny, trained[0] / "iter_6.pth"],
        "files": ["--predictions", evaluated[1], "--method", "x", "--workers", "1"],
    }[scored]
    args = ["evaluate", *what, "--targets", ",".join(targets), "--work-dir", tmp_path / "run"]
    done = run(*args, "--source", "citiscapes")
    assert done.returncode == 2
    assert "domain in --source 'citiscapes': did you mean 'cityscapes'?" in done.stderr
    assert not (tmp_path / "run").exists()
    done = run(*args, "--source", "synthia")
    assert done.returncode == 0
    line = "no gap: source 'synthia' is not among the evaluated domains (gta5, cityscapes)"
    assert (done.stdout + done.stderr).count(line) == 1
    result = json.loads((tmp_path / "run" / "test.json").read_text())
    assert (result["source"], result["gap"]) == ("synthia", None)


def test_a_config_that_misspells_its_source(tiny, trained, targets, tmp_path):
    options = {"experiment.source": "gta"}
    with pytest.raises(UserError, match=r"test_evaluator\.source 'gta': did you mean 'gta5'"):
        evaluate(tiny, trained[0] / "iter_6.pth", targets, work_dir=tmp_path, cfg_options=options)


def test_the_command(evaluated, tiny, trained, targets, tmp_path, capsys):
    result, out = evaluated
    names = ",".join(targets)
    args = ["evaluate", str(tiny), str(trained[0] / "iter_6.pth"), "--targets", names]
    assert cli.run([*args, "--work-dir", str(tmp_path)]) == 0
    assert f"{result['domains']['gta5']['mIoU']:.2f}" in capsys.readouterr().out
    assert json.loads((tmp_path / "test.json").read_text())["domains"] == result["domains"]
    args = ["evaluate", "--predictions", str(out), "--targets", names, "--workers", "1"]
    assert cli.run([*args, "--work-dir", str(tmp_path), "--method", "theirs"]) == 0
    assert "theirs" in capsys.readouterr().out
    for wrong, words in (
        (["--targets", names], "nothing to score"),
        ([str(tiny), "--targets", names], "no checkpoint"),
        ([str(tiny), "x.pth", "--predictions", "y"], "two things to score"),
        (["--predictions", str(out), "--targets", names], "no --method"),
        ([str(tiny), str(trained[0] / "iter_6.pth")], "no target"),
        ([str(tiny), "missing.pth", "--targets", names], "missing.pth"),
        (["--predictions", "missing", "--targets", names, "--method", "x"], "missing"),
    ):
        assert cli.run(["evaluate", *wrong]) == 2
        assert words in capsys.readouterr().err
