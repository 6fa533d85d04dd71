import shutil
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.imagenet.shapes import write_shapes

# Few pixels are enough for a training that has to be exact, not good.
SIZE = 32


@pytest.fixture(scope="session")
def shapes(tmp_path_factory):
    """The generated ImageFolder, tiny: 40 training and 29 held-out pictures."""
    root = write_shapes(tmp_path_factory.mktemp("imagenet") / "shapes", train=4, val=3, size=40)
    # An odd number: a sampler of two processes must pad it.
    (root / "val" / "ring" / "002.png").unlink()
    return root


@pytest.fixture(scope="session")
def recipe():
    """Three epochs of three iterations, with all that a resumed run must restore."""
    pytest.importorskip("torchvision")
    from ibn_seg.imagenet.recipe import Recipe

    return Recipe(
        epochs=3, batch_size=12, lr=0.02, schedule="cosine", warmup_epochs=1, ema=0.3,
        image_size=SIZE, val_batch_size=10,
    )  # fmt: skip


@pytest.fixture(scope="session")
def trained(shapes, recipe, tmp_path_factory):
    """The work dir and the result of an undisturbed training."""
    pytest.importorskip("mmengine")
    from ibn_seg.imagenet.run_imagenet import train

    work_dir = tmp_path_factory.mktemp("trained")
    result = train(
        "resnet18_ibn_a", shapes, recipe, work_dir=work_dir, workers=0, quiet=True, command="train"
    )
    return work_dir, result


def interrupted(work_dir: Path, copy: Path, last: int) -> Path:
    """Copy a work dir as a run leaves it that is killed after the checkpoint of an iteration."""
    shutil.copytree(work_dir, copy)
    for name in ("result.json", "last_checkpoint"):
        (copy / name).unlink()
    for path in copy.glob("iter_*.pth"):
        if int(path.stem.removeprefix("iter_")) > last:
            path.unlink()
    return copy


def without_time(result: Mapping) -> dict:
    """Return of a result what two runs of the same must agree in."""
    keys = ("errors", "metrics", "curves", "images", "classes", "iterations", "experiment")
    return {key: result.get(key) for key in keys}
