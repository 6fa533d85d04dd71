import dataclasses
import gc
import hashlib
import json
import logging
import math
import shutil
import subprocess
import sys

import numpy as np
import pytest
import torch
from mmengine.logging import MMLogger
from PIL import Image

from ibn_seg.config import load_config
from ibn_seg.datasets.gta5 import GTA5Dataset
from ibn_seg.datasets.labels import CLASSES
from ibn_seg.errors import UserError
from ibn_seg.evaluation.stored import confusions_of, read_confusions, write_confusions
from ibn_seg.models import ResNet
from ibn_seg.run import segmentation
from tests.helpers import write_image
from tests.predict.test_predict import picture
from tests.tiny import ROOT, environment, run


def weights(work_dir):
    return torch.load(work_dir / "iter_6.pth", weights_only=True)["state_dict"]


def assert_same_training(first, second):
    """Compare (work dir, result) pairs bit for bit."""
    for key in ("curves", "domains", "targets_mIoU", "gap"):
        assert first[1][key] == second[1][key], key
    a, b = weights(first[0]), weights(second[0])
    assert a.keys() == b.keys()
    assert all(torch.equal(a[key], b[key]) for key in a)


def test_the_result_says_everything(trained, tiny):
    work_dir, result = trained
    assert json.loads((work_dir / "result.json").read_text()) == result
    assert result["schema"] == 1
    assert result["kind"] == "train"
    assert result["name"] == work_dir.name
    assert (result["method"], result["backbone"]) == ("IBN-a", "ResNet-18")
    assert result["seed"] == 0
    assert result["threads"] == torch.get_num_threads()
    assert result["device"] == "cpu"
    assert result["iterations"] == 6
    assert result["command"] == "ibn-seg train tiny"
    assert result["config_file"] == str(tiny)
    assert "IBNResNet" in result["config"]
    assert result["checkpoint"].endswith("iter_6.pth")
    assert result["versions"]["torch"]
    assert result["wall_time_s"] > 0
    assert result["peak_memory_mib"] > 50
    assert set(result["domains"]) == {"gta5", "cityscapes"}
    for scores in result["domains"].values():
        assert np.array(scores["confusion"]).shape == (19, 19)
        assert scores["images"] == 2
        mean = np.mean(list(scores["IoU"].values()))
        assert math.isclose(scores["mIoU"], mean, abs_tol=1e-9)
    assert result["targets_mIoU"] == result["domains"]["cityscapes"]["mIoU"]
    assert result["gap"] == result["domains"]["gta5"]["mIoU"] - result["targets_mIoU"]
    curves = result["curves"]
    assert curves["iter"] == [1, 2, 3, 4, 5, 6]
    assert len(curves["loss"]) == len(curves["lr"]) == 6
    assert curves["lr"][0] == 0.01 > curves["lr"][1] > curves["lr"][-1]
    assert [point["iter"] for point in curves["val"]] == [3, 6]
    assert curves["val"][-1]["gta5/mIoU"] == result["domains"]["gta5"]["mIoU"]


def test_every_image_has_its_matrix_beside_the_result(trained, tiny, tmp_path):
    work_dir, result = trained
    assert result["confusions"] == "confusions.npz"
    stored = confusions_of(result, work_dir, CLASSES)
    assert stored.step == 6
    images = {domain: part.images for domain, part in stored.domains.items()}
    assert images == {
        "gta5": ("images/00201.png", "images/00202.png"),
        "cityscapes": (
            "leftImg8bit/val/frankfurt/frankfurt_000000_000019_leftImg8bit.png",
            "leftImg8bit/val/lindau/lindau_000001_000019_leftImg8bit.png",
        ),
    }
    tested = segmentation.test(tiny, work_dir / "iter_6.pth", work_dir=tmp_path, quiet=True)
    assert tested["confusions"] == "test_confusions.npz"
    again = confusions_of(tested, tmp_path)
    assert again.step == 0
    for domain, part in again.domains.items():
        assert part.images == images[domain]
        assert np.array_equal(part.counts, stored.domains[domain].counts)


@pytest.mark.parametrize("left", ["nothing", "an earlier validation", "an older version's"])
def test_a_lost_file_of_matrices_is_written_again(trained, tiny, tmp_path, left):
    """A finished run whose file is gone, or of other weights, is validated once more."""
    work_dir = shutil.copytree(trained[0], tmp_path / "copy")
    file = work_dir / "confusions.npz"
    expected = file.read_bytes()
    stored = read_confusions(file)
    file.unlink()
    if left == "an earlier validation":
        write_confusions(file, dataclasses.replace(stored, step=3))
    elif left == "an older version's":
        notes = json.loads((work_dir / "validations.json").read_text())
        for entry in notes:
            del entry["confusions"]
        (work_dir / "validations.json").write_text(json.dumps(notes))
    result = segmentation.train(tiny, work_dir=work_dir, resume=True, quiet=True)
    assert result["confusions"] == "confusions.npz"
    assert file.read_bytes() == expected
    assert [point["iter"] for point in result["curves"]["val"]] == [3, 6]


def test_the_result_says_what_it_was_trained_on(trained, tiny, tmp_path):
    names = [f"images/0000{number}.png" for number in (1, 2, 3, 4)]
    digest = hashlib.sha256("\n".join(names).encode()).hexdigest()
    assert trained[1]["training_set"] == {"images": 4, "names": digest}
    assert (trained[1]["share"], trained[1]["start"]) == (None, None)
    options = {"train_dataloader.dataset.share": 0.5, "train_cfg.max_iters": 1}
    result = segmentation.train(tiny, work_dir=tmp_path, cfg_options=options, quiet=True)
    part = GTA5Dataset(tiny.parent / "gta5", share=0.5)
    names = ["/".join(part.get_data_info(i)["img_path"].split("/")[-2:]) for i in range(2)]
    digest = hashlib.sha256("\n".join(names).encode()).hexdigest()
    assert result["training_set"] == {"images": 2, "names": digest}


@pytest.mark.parametrize("part", ["val", "test"])
def test_no_share_of_a_set_is_evaluated(part, tiny, tmp_path):
    options = {f"{part}_dataloader.dataset.datasets.1.share": 0.5}
    with pytest.raises(UserError, match=rf"^{part}_dataloader\.dataset\.datasets\.1\.share = 0\.5"):
        segmentation.train(tiny, work_dir=tmp_path, cfg_options=options, quiet=True)


def test_nothing_half_written_is_left(trained):
    assert not list(trained[0].rglob(".*"))


def test_the_log_file_is_complete(trained):
    log = next(trained[0].glob("2*/*.log")).read_text()
    for expected in ("System environment", "Config:", "Iter(train) [6/6]", "Saving checkpoint"):
        assert expected in log


@pytest.mark.parametrize("step", [2, 4])
def test_resumed_equals_undisturbed(trained, tiny, tmp_path, step):
    """As after a kill: the checkpoint is there, and the validations that had ended."""
    work_dir, _ = trained
    shutil.copy(work_dir / f"iter_{step}.pth", tmp_path)
    done = json.loads((work_dir / "validations.json").read_text())
    (tmp_path / "validations.json").write_text(json.dumps([v for v in done if v["iter"] <= step]))
    result = segmentation.train(tiny, work_dir=tmp_path, resume=True, quiet=True)
    assert result["resumed_at"] == [step]
    assert result["wall_time_s"] > 0
    assert_same_training(trained, (tmp_path, result))


def test_a_finished_run_resumes_to_the_same_result(trained, tiny, tmp_path):
    """Also when the process was killed before it wrote the result."""
    work_dir = shutil.copytree(trained[0], tmp_path / "copy")
    (work_dir / "result.json").unlink()
    (work_dir / "validations.json").unlink()
    result = segmentation.train(tiny, work_dir=work_dir, resume=True, quiet=True)
    assert result["domains"] == trained[1]["domains"]
    assert result["curves"]["loss"] == trained[1]["curves"]["loss"]


def test_resume_without_a_checkpoint_begins(trained, tiny, tmp_path):
    """The second and third run of one process: equal to the first, and with their own logs."""
    first = segmentation.train(tiny, work_dir=tmp_path / "a", resume=True, quiet=True)
    assert first["resumed_at"] == []
    assert_same_training(trained, (tmp_path / "a", first))
    assert [p.name for p in (tmp_path / "a").glob("2*/*.log")]
    other = segmentation.train(tiny, work_dir=tmp_path / "b", seed=1, quiet=True)
    assert other["seed"] == 1
    # The config does not say that seed, the checkpoint does.
    tested = segmentation.test(
        tiny, tmp_path / "b" / "iter_6.pth", work_dir=tmp_path / "c", quiet=True
    )
    assert tested["seed"] == 1
    assert other["curves"]["loss"] != first["curves"]["loss"]
    for logger in MMLogger._instance_dict.values():
        assert not [h for h in logger.handlers if isinstance(h, logging.FileHandler)]
    gc.collect()


def test_the_callers_config_is_not_changed(tiny, tmp_path):
    from ibn_seg.config import load_config

    cfg = load_config(tiny)
    before = cfg.pretty_text
    options = {"train_cfg.max_iters": 1}
    segmentation.train(cfg, work_dir=tmp_path, cfg_options=options, quiet=True)
    assert cfg.pretty_text == before


def test_a_config_that_was_dumped_as_json_trains_the_same(trained, tiny, tmp_path):
    load_config(tiny).dump(tmp_path / "dumped.json")
    result = segmentation.train(tmp_path / "dumped.json", work_dir=tmp_path / "run", quiet=True)
    assert_same_training((tmp_path / "run", result), trained)


def test_testing_gives_what_the_last_validation_gave(trained, tiny, tmp_path):
    work_dir, result = trained
    tested = segmentation.test(
        tiny, work_dir / "iter_6.pth", work_dir=tmp_path, out=tmp_path / "out",
        show_dir=tmp_path / "show", quiet=True,
    )  # fmt: skip
    assert tested["kind"] == "test"
    assert tested["domains"] == result["domains"]
    assert tested["gap"] == result["gap"]
    assert json.loads((tmp_path / "test.json").read_text()) == tested
    written = sorted(p.relative_to(tmp_path / "out").parts[0] for p in tmp_path.glob("out/*/*.png"))
    assert written == ["cityscapes"] * 2 + ["gta5"] * 2
    for file in tmp_path.glob("out/*/*.png"):
        with Image.open(file) as picture:
            assert picture.mode == "L"
            assert picture.size == (64, 48)
            assert np.asarray(picture).max() < 19
    assert len(list((tmp_path / "show").rglob("*.png"))) == 4


def test_test_time_augmentation(trained, tiny, tmp_path):
    result = segmentation.test(
        tiny, trained[0] / "iter_6.pth", work_dir=tmp_path, tta=True, quiet=True
    )
    assert set(result["domains"]) == {"gta5", "cityscapes"}
    assert result["domains"] != trained[1]["domains"]


def test_sync_bn_becomes_bn_without_gpus(trained, tiny, tmp_path):
    options = {
        "model.backbone.norm_cfg.type": "SyncBN",
        "model.decode_head.norm_cfg.type": "SyncBN",
    }
    result = segmentation.train(tiny, work_dir=tmp_path, cfg_options=options, quiet=True)
    assert_same_training(trained, (tmp_path, result))


def test_other_metrics_are_recorded_too(trained, tiny, tmp_path):
    """Such as mmseg's own, in any mmseg config."""
    options = {"test_evaluator": dict(type="IoUMetric", iou_metrics=["mIoU"], _delete_=True)}
    result = segmentation.test(
        tiny, trained[0] / "iter_6.pth", work_dir=tmp_path, cfg_options=options, quiet=True
    )
    assert result["domains"] == {}
    assert 0 <= result["metrics"]["aAcc"] <= 100


def test_mmsegs_apis_take_config_and_checkpoint(trained, tiny):
    from mmseg.apis import MMSegInferencer, inference_model, init_model

    checkpoint = str(trained[0] / "iter_6.pth")
    model = init_model(str(tiny), checkpoint, device="cpu")
    picture = next(tiny.parent.glob("cityscapes/leftImg8bit/val/*/*.png"))
    from_file = inference_model(model, str(picture)).pred_sem_seg.data
    assert from_file.shape == (1, 48, 64)
    assert model.dataset_meta["classes"][0] == "road"
    inferencer = MMSegInferencer(str(tiny), checkpoint, device="cpu", scope="mmseg")
    labels = inferencer(str(picture), return_datasamples=True).pred_sem_seg.data
    assert torch.equal(labels, from_file)


def test_a_config_of_the_package_in_mmsegs_apis(tmp_path):
    """In a process in which nothing is registered but by the config's `custom_imports`."""
    config = ROOT / "configs/demo/mlp_r18-ibn-a_1xb8-600_scenes-128x128.py"
    write_image(tmp_path / "street.png", picture(1, (64, 128)))
    code = f"""
import torch
from mmseg.apis import MMSegInferencer, inference_model, init_model
model = init_model({str(config)!r}, device="cpu")
torch.save({{"state_dict": model.state_dict(), "meta": {{}}}}, "weights.pth")
model = init_model({str(config)!r}, "weights.pth", device="cpu")
labels = inference_model(model, "street.png").pred_sem_seg.data
infer = MMSegInferencer({str(config)!r}, "weights.pth", device="cpu", scope="mmseg")
again = infer("street.png", return_datasamples=True).pred_sem_seg.data
assert labels.shape == (1, 64, 128) and torch.equal(labels, again)
"""
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=environment(), capture_output=True,
        text=True, check=False, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


def test_weights_to_start_from_must_fit(trained, tiny, tmp_path):
    options = {"load_from": str(trained[0] / "iter_6.pth"), "train_cfg.max_iters": 1}
    result = segmentation.train(
        tiny, work_dir=tmp_path / "fits", quiet=True, cfg_options=options, seed=7
    )
    assert result["iterations"] == 1
    options["model.backbone.ibn"] = "b"
    with pytest.raises(UserError, match="its norm placement is IBN-a, the config's is IBN-b"):
        segmentation.train(tiny, work_dir=tmp_path / "fits not", quiet=True, cfg_options=options)
    options["load_from"] = "torchvison://resnet18"
    with pytest.raises(UserError, match="did you mean 'torchvision'"):
        segmentation.train(tiny, work_dir=tmp_path / "no such", quiet=True, cfg_options=options)


def test_resuming_comes_before_weights_to_start_from(trained, tiny, tmp_path):
    """An interrupted fine-tuning goes on; one that has not begun begins from the weights."""
    options = {"load_from": str(trained[0] / "iter_6.pth")}
    whole = segmentation.train(
        tiny, work_dir=tmp_path / "whole", quiet=True, cfg_options=options, resume=True
    )
    assert whole["resumed_at"] == []
    assert whole["curves"]["iter"] == [1, 2, 3, 4, 5, 6]
    assert whole["curves"]["loss"] != trained[1]["curves"]["loss"]
    (tmp_path / "parts").mkdir()
    shutil.copy(tmp_path / "whole" / "iter_2.pth", tmp_path / "parts")
    parts = segmentation.train(
        tiny, work_dir=tmp_path / "parts", quiet=True, cfg_options=options, resume=True
    )
    assert parts["resumed_at"] == [2]
    assert_same_training((tmp_path / "whole", whole), (tmp_path / "parts", parts))


def test_a_config_may_name_the_run_that_goes_on(trained, tiny, tmp_path):
    """As in mmengine: `resume` and `load_from` of the config together."""
    options = {"load_from": str(trained[0] / "iter_4.pth"), "resume": True}
    result = segmentation.train(tiny, work_dir=tmp_path, quiet=True, cfg_options=options)
    assert result["resumed_at"] == [4]
    assert torch.equal(
        weights(tmp_path)["decode_head.conv_seg.weight"],
        weights(trained[0])["decode_head.conv_seg.weight"],
    )


def test_what_was_split_is_said_on_the_terminal(trained, tiny, tmp_path):
    """Also where log lines are kept off the terminal."""
    twin = ResNet(18, base_channels=8)
    torch.save(twin.state_dict(), tmp_path / "twin.pth")
    done = run(
        "train", tiny, "--work-dir", tmp_path / "run", "--cfg-options", "train_cfg.max_iters=1",
        "model.backbone.init_cfg.type=Pretrained",
        f"model.backbone.init_cfg.checkpoint={tmp_path}/twin.pth",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("twin.pth: split 6 batch norms into IN and BN") == 1
