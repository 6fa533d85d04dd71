"""Large pictures by `Segmenter` and by `ibn-seg predict`."""

import sys

import numpy as np
import pytest
import torch
from PIL import Image

from ibn_seg.predict.predict_pictures import Segmenter
from tests.helpers import write_image
from tests.memory import run_measured
from tests.networks import segmentor
from tests.tiny import environment


def picture(size):
    random = np.random.default_rng(0)
    coarse = random.integers(0, 216, (size[0] // 50 + 1, size[1] // 50 + 1, 3)).astype(np.uint8)
    image = coarse.repeat(50, axis=0).repeat(50, axis=1)[: size[0], : size[1]]
    return image + random.integers(0, 40, (*size, 3), dtype=np.uint8)


def test_windows_are_used_above_the_given_size_only(tiny, trained):
    image, seen = picture((650, 1005)), []
    found = {}
    for most in (None, 640 * 1000):
        segment = Segmenter(tiny, trained[0] / "iter_6.pth", device="cpu", most_pixels=most)
        segment._model.backbone.register_forward_pre_hook(
            lambda module, inputs: seen.append(inputs[0].shape[2:].numel())
        )
        found[most] = segment(image)
        if most is None:
            assert seen == [650 * 1005]
            seen.clear()
    assert len(seen) > 2
    assert max(seen) <= 640 * 1000
    whole, windows = found.values()
    assert (whole != windows).mean() <= 1e-4


@pytest.mark.slow
@pytest.mark.parametrize("variant", ["", "-ibn-a", "-ibn-b"])
def test_memory_of_24_megapixels(variant, tmp_path):
    """At once it would take 6 to 8 GB."""
    config = f"demo/mlp_r18{variant}_1xb8-600_scenes-128x128"
    torch.save(
        {"state_dict": segmentor(f"ibn_seg::{config}").state_dict(), "meta": {}},
        tmp_path / "net.pth",
    )
    source = write_image(tmp_path / "large.png", picture((4000, 6000)))
    command = [
        sys.executable, "-m", "ibn_seg", "predict", f"ibn_seg::{config}", tmp_path / "net.pth",
        source, "--out", tmp_path / "out", "--device", "cpu",
    ]  # fmt: skip
    done, peak = run_measured([*map(str, command)], cwd=tmp_path, env=environment())
    assert done.returncode == 0, done.stdout
    assert "as a whole" not in done.stdout
    with Image.open(tmp_path / "out" / "large_trainIds.png") as labels:
        assert labels.size == (6000, 4000)
    assert peak < 4096
