"""Training and testing through the Python functions, in this process."""

import dataclasses
import json

import numpy as np
import pytest
import torch

pytest.importorskip("mmengine")
pytest.importorskip("torchvision")

from PIL import Image
from torchvision import transforms

from ibn_seg.errors import UserError
from ibn_seg.imagenet.run_imagenet import test as evaluate
from ibn_seg.imagenet.run_imagenet import train
from ibn_seg.models import create_model
from tests.imagenet.conftest import SIZE, interrupted, without_time

MODEL = "resnet18_ibn_a"
MEAN = np.array([0.485, 0.456, 0.406]).reshape(3, 1, 1)
STD = np.array([0.229, 0.224, 0.225]).reshape(3, 1, 1)


def same_state(first, second):
    """Compare what two checkpoints hold of the training, bit for bit."""
    a, b = (torch.load(path, weights_only=True) for path in (first, second))
    for part in ("state_dict", "ema_state_dict"):
        assert a[part].keys() == b[part].keys()
        for key, value in a[part].items():
            assert torch.equal(value, b[part][key]), f"{part}: {key}"
    assert repr(a["param_schedulers"]) == repr(b["param_schedulers"])
    return a


def test_the_record(trained, recipe):
    work_dir, result = trained
    assert json.loads((work_dir / "result.json").read_text()) == result
    assert result["iterations"] == 3 * 3
    assert (result["images"], result["classes"]) == (29, 10)
    assert result["experiment"]["model"] == MODEL
    for name, value in dataclasses.asdict(recipe).items():
        if value is not None:
            assert result["experiment"][name] == value, name
    assert result["command"] == "train"
    assert result["versions"]["torch"] == torch.__version__.partition("+")[0]
    assert "git_commit" in result
    assert [row["iter"] for row in result["curves"]["val"]] == [3, 6, 9]
    assert len(result["curves"]["loss"]) == 9
    assert sorted(path.name for path in work_dir.glob("*.pth")) == ["iter_6.pth", "iter_9.pth"]


def test_resumed_equals_undisturbed_bit_for_bit(trained, shapes, recipe, tmp_path):
    """Weights, averages, losses and errors; also with another number of data workers."""
    work_dir, result = trained
    copy = interrupted(work_dir, tmp_path / "run", last=6)
    again = train(MODEL, shapes, recipe, work_dir=copy, resume=True, workers=2, quiet=True)
    assert again["resumed_at"] == [6]
    assert without_time(again) == without_time(result)
    checkpoint = same_state(work_dir / "iter_9.pth", copy / "iter_9.pth")
    # The average is saved as the weights, and is not the newest ones; statistics belong to it.
    for key in ("backbone.layer4.1.conv2.weight", "backbone.layer4.1.bn2.running_mean"):
        average = checkpoint["state_dict"][key]
        assert not torch.equal(average, checkpoint["ema_state_dict"][f"module.{key}"]), key


def by_hand(work_dir, shapes, change):
    """Measure top-1 and top-5 error without a line of the code under test but the network."""
    checkpoint = torch.load(work_dir / "iter_9.pth", weights_only=True)
    network = create_model(MODEL, num_classes=10).eval()
    network.load_state_dict(
        {key.removeprefix("backbone."): value for key, value in checkpoint["state_dict"].items()}
    )
    resize = transforms.Compose(
        [transforms.Resize(round(SIZE * 256 / 224)), transforms.CenterCrop(SIZE)]
    )
    wrong = {1: 0, 5: 0}
    files = sorted((shapes / "val").glob("*/*.png"))
    names = sorted({path.parent.name for path in files})
    for path in files:
        with Image.open(path) as picture:
            pixels = np.asarray(resize(picture), dtype=np.float64).transpose(2, 0, 1)
        inputs = (np.clip(change(pixels), 0, 255) / 255 - MEAN) / STD
        with torch.no_grad():
            logits = network(torch.from_numpy(inputs).float()[None])[0]
        for k in wrong:
            wrong[k] += names.index(path.parent.name) not in logits.topk(k).indices
    return {f"top{k}_error": 100 * count / len(files) for k, count in wrong.items()}


def redder(pixels):
    return pixels + np.array([50, 0, 0]).reshape(3, 1, 1)


def more_contrast(pixels):
    mean = pixels.mean(axis=(1, 2), keepdims=True)
    return mean + 1.5 * (pixels - mean)


def test_errors_equal_those_counted_by_hand(trained, shapes, tmp_path):
    """Of all appearances in one pass; the validation of the training measured the same."""
    work_dir, result = trained
    tested = evaluate(
        MODEL, shapes, checkpoint=work_dir / "iter_9.pth",
        transforms=("none", "RGB+50", "r+50", "std1.5"), batch_size=7, work_dir=tmp_path,
        workers=0, quiet=True,
    )  # fmt: skip
    assert json.loads((tmp_path / "test.json").read_text()) == tested
    assert tested["errors"] == {
        "none": by_hand(work_dir, shapes, lambda pixels: pixels),
        "rgb+50": by_hand(work_dir, shapes, lambda pixels: pixels + 50),
        "r+50": by_hand(work_dir, shapes, redder),
        "std1.5": by_hand(work_dir, shapes, more_contrast),
    }
    assert tested["errors"]["none"] == result["errors"]["none"]
    assert tested["images"] == 29
    assert tested["experiment"]["image_size"] == SIZE


def test_resumed_with_another_seed_is_refused(trained, shapes, recipe, tmp_path):
    copy = interrupted(trained[0], tmp_path / "run", last=6)
    with pytest.raises(UserError, match="began with seed 0, now it is 3: resume with what it"):
        train(MODEL, shapes, recipe, work_dir=copy, resume=True, seed=3, quiet=True)


def test_same_seed_same_numbers_and_bfloat16(trained, shapes, recipe, tmp_path):
    """Mixed precision on a CPU and channels last: repeatable, and close to full precision."""
    mixed = dataclasses.replace(recipe, epochs=1, warmup_epochs=0, amp=True, channels_last=True)
    first, second = (
        train(MODEL, shapes, mixed, work_dir=tmp_path / name, workers=0, quiet=True)
        for name in ("a", "b")
    )
    assert first["experiment"]["amp_type"] == "bfloat16"
    assert first["curves"] == second["curves"]
    same_state(tmp_path / "a" / "iter_3.pth", tmp_path / "b" / "iter_3.pth")
    # The first loss is of the same pictures and the same initial weights.
    losses = [run["curves"]["loss"][0] for run in (first, trained[1])]
    assert losses[0] != losses[1]
    assert losses[0] == pytest.approx(losses[1], rel=0.02)
