"""Pictures of predictions, where labels have other classes than the network."""

from ibn_seg.run.segmentation import test as run_test
from tests.datasets import own_class_writers as own


def test_predictions_have_the_classes_of_the_network(tiny, trained, tmp_path, monkeypatch):
    """mmseg would name the network's road 'sky', CamVid's first class."""
    from mmseg.visualization import SegLocalVisualizer

    drawn = []

    def draw(self, name, image, data_sample, **kwargs):
        drawn.append((self.dataset_meta["classes"], "gt_sem_seg" in data_sample))

    monkeypatch.setattr(SegLocalVisualizer, "add_datasample", draw)
    own.camvid_segnet(tmp_path / "camvid")
    city = {"type": "GTA5Dataset", "data_root": f"{tiny.parent}/gta5", "split": "val"}
    other = {"type": "CamVidDataset", "data_root": str(tmp_path / "camvid"), "split": "test"}
    options = {"test_dataloader.dataset.datasets": [other, city]}
    run_test(
        tiny, trained[0] / "iter_6.pth", work_dir=tmp_path, show_dir=tmp_path / "pictures",
        cfg_options=options, quiet=True,
    )  # fmt: skip
    assert [labelled for _, labelled in drawn] == [False, True, True]
    assert all(len(classes) == 19 and classes[0] == "road" for classes, _ in drawn)
