"""Images are normalised as the config says, or the config is refused; nothing is assumed."""

import pytest
import torch

from ibn_seg.analyses.robustness.run import robustness
from ibn_seg.config import load_config
from ibn_seg.errors import UserError
from ibn_seg.export.exportable import segmentor
from ibn_seg.predict.segmenter import Segmenter, array_pipeline
from ibn_seg.run import segmentation
from ibn_seg.run.evaluation import evaluate

KEY = "model.data_preprocessor"
NORMALIZE = {"type": "Normalize", "mean": [1.0] * 3, "std": [2.0] * 3, "to_rgb": True}


@pytest.fixture
def config(tiny):
    return load_config(tiny)


@pytest.fixture(scope="module")
def checkpoint(trained):
    return trained[0] / "iter_6.pth"


def commands(config, checkpoint, folder):
    """Yield every command on a trained network, and training."""
    yield lambda: segmentation.train(config, work_dir=folder, quiet=True)
    yield lambda: segmentation.test(config, checkpoint, work_dir=folder, quiet=True)
    yield lambda: evaluate(config, checkpoint, ["cityscapes=nowhere"], work_dir=folder, quiet=True)
    yield lambda: robustness(config, checkpoint, work_dir=folder, quiet=True)
    yield lambda: Segmenter(config, checkpoint)
    yield lambda: segmentor(config, checkpoint)


def test_a_model_without_preprocessor_is_refused_everywhere(config, checkpoint, tmp_path):
    del config.model["data_preprocessor"]
    for command in commands(config, checkpoint, tmp_path):
        with pytest.raises(UserError, match=rf"{KEY} is missing.*mean=") as caught:
            command()
        assert "\n" not in caught.value.line
    assert not list(tmp_path.rglob("*.pth"))


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("data_preprocessor", {"type": "SegDataPreProcessor"}, "data_preprocessor=data_preproc"),
        ("img_norm_cfg", {"mean": [1], "std": [2], "to_rgb": True}, "mmseg 0.x"),
    ],
)
def test_what_stands_in_another_place_is_named(config, checkpoint, key, value, words):
    del config.model["data_preprocessor"]
    config[key] = value
    with pytest.raises(UserError, match=words):
        Segmenter(config, checkpoint)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"std": None}, "has mean and no std"),
        ({"mean": None}, "has std and no mean"),
        ({"type": None}, "type is missing"),
        ({"std": [58.0, 0, 57.0]}, "holds a 0"),
        ({"type": "mmseg.SegDataPreProcessor", "std": None}, "has mean and no std"),
        ({"test_cfg": "pad"}, r"test_cfg is 'pad': give a dict, such as dict\(size_divisor=32\)"),
        ({"test_cfg": {"size": (8, 8), "size_divisor": 8}}, "test_cfg has both size and size_divi"),
        ({"test_cfg": {"pad": 8}}, "test_cfg has neither size nor size_divisor: give one of the"),
        ({"test_cfg": {"size": 8}}, r"test_cfg\.size=8: give two whole numbers"),
        ({"test_cfg": {"size_divisor": 8.0}}, r"test_cfg\.size_divisor=8\.0: give a whole number"),
    ],
)
def test_half_a_preprocessor_is_refused(config, checkpoint, tmp_path, change, words):
    config.model.data_preprocessor.update(change)
    for command in commands(config, checkpoint, tmp_path):
        with pytest.raises(UserError, match=words):
            command()


def test_old_values_beside_an_empty_preprocessor_are_refused(config, checkpoint):
    config.model.data_preprocessor = {"type": "SegDataPreProcessor", "size": (32, 32)}
    config.img_norm_cfg = {"mean": [1.0] * 3, "std": [2.0] * 3}
    with pytest.raises(UserError, match="img_norm_cfg has no effect"):
        segmentor(config, checkpoint)


def test_a_pipeline_that_normalises_is_not_left_out_silently(config, checkpoint):
    config.test_pipeline.insert(1, NORMALIZE)
    for command in (
        lambda: evaluate(config, checkpoint, ["cityscapes=nowhere"], quiet=True),
        lambda: segmentor(config, checkpoint),
    ):
        with pytest.raises(UserError, match=r"test_pipeline\[1\] is Normalize"):
            command()


@pytest.mark.parametrize(
    ("change", "order", "mean"),
    [
        ({}, "RGB", 123.7),
        ({"bgr_to_rgb": False}, "BGR", 123.7),
        ({"bgr_to_rgb": False, "rgb_to_bgr": True}, "RGB", 123.7),
        ({"mean": None, "std": None}, "RGB", 0.0),
    ],
)
def test_an_exported_network_names_what_it_takes(config, checkpoint, change, order, mean):
    config.model.data_preprocessor.update(change)
    images = segmentor(config, checkpoint).images
    assert (images.order, images.mean[0]) == (order, mean)
    # The file's normalisation and the network's are the same.
    network = segmentation_network(config, checkpoint)
    picture = torch.randint(0, 255, (3, 8, 8), dtype=torch.uint8)
    inputs = network.data_preprocessor({"inputs": [picture], "data_samples": []}, False)["inputs"]
    channels = picture.flip(0) if order == "RGB" else picture
    statistics = (torch.tensor(each).view(3, 1, 1) for each in (images.mean, images.std))
    expected = (channels.float() - next(statistics)) / next(statistics)
    assert torch.allclose(inputs[0], expected, atol=1e-5)


def segmentation_network(config, checkpoint):
    from ibn_seg.run.setup import trained_network

    return trained_network(config, checkpoint)[0]


def test_a_model_that_does_not_say_how_to_infer(config, checkpoint, tmp_path):
    for value in (None, {}):
        config.model.test_cfg = value
        for command in commands(config, checkpoint, tmp_path):
            with pytest.raises(UserError, match=r"model\.test_cfg\.mode is missing"):
                command()


def test_a_prediction_follows_the_whole_test_pipeline(config):
    steps = array_pipeline(config)
    assert [step["type"] for step in steps] == ["LoadImageFromNDArray", "PackSegInputs"]
    config.test_pipeline = [{"type": "mmcv.LoadImageFromFile", "to_float32": True}, NORMALIZE]
    assert array_pipeline(config)[0] == {"type": "LoadImageFromNDArray", "to_float32": True}
    config.test_pipeline = [NORMALIZE, {"type": "LoadImageFromFile"}]
    with pytest.raises(UserError, match="begins with Normalize"):
        array_pipeline(config)
    for key in ("test_pipeline", "test_dataloader"):
        config.pop(key)
    with pytest.raises(UserError, match="test_pipeline is missing"):
        array_pipeline(config)
