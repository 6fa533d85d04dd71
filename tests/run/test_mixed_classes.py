"""Data of different classes: refused for a training, scored each on its own in an evaluation."""

import pytest

from ibn_seg.errors import UserError
from ibn_seg.evaluation.stored import confusions_of
from ibn_seg.run.evaluation import evaluate
from ibn_seg.run.segmentation import train
from tests.datasets import own_class_writers as own


def mixed(tiny, folder):
    """Return options that train on GTA5 and IDD-Lite together."""
    idd = {"type": "IDDLiteDataset", "data_root": str(folder), "split": "val"}
    city = {"type": "GTA5Dataset", "data_root": f"{tiny.parent}/gta5", "split": "train"}
    steps = [
        {"type": "LoadImageFromFile"}, {"type": "LoadUrbanLabels"},
        {"type": "RandomCrop", "crop_size": (32, 32)}, {"type": "PackSegInputs"},
    ]  # fmt: skip
    dataset = {"type": "MultiDomainDataset", "datasets": [city, idd], "pipeline": steps}
    return {"train_dataloader.dataset": {"_delete_": True, **dataset}}


def test_a_training_on_different_classes_is_refused(tiny, tmp_path):
    own.idd_lite(tmp_path / "idd")
    with pytest.raises(UserError) as caught:
        train(tiny, work_dir=tmp_path / "run", cfg_options=mixed(tiny, tmp_path / "idd"))
    line = caught.value.line
    assert "its data sets have different classes (gta5: 19, idd_lite: 7)" in line
    assert "read them in the same classes by read_as" in line


def test_an_evaluation_on_different_classes_scores_each(tiny, trained, tmp_path):
    own.idd_lite(tmp_path / "idd")
    own.camvid_segnet(tmp_path / "camvid")
    result = evaluate(
        tiny, trained[0] / "iter_6.pth",
        [f"gta5={tiny.parent}/gta5", f"idd_lite={tmp_path}/idd", f"camvid={tmp_path}/camvid"],
        work_dir=tmp_path / "run", quiet=True,
    )  # fmt: skip
    stored = confusions_of(result, tmp_path / "run")
    shapes = {name: part.counts.shape[1:] for name, part in stored.domains.items()}
    assert shapes == {"gta5": (19, 19), "idd_lite": (8, 19), "camvid": (12, 19)}
    assert result["targets_mIoU"] is None
    assert result["gap"] is None
    assert result["domains"]["gta5"] == trained[1]["domains"]["gta5"]
