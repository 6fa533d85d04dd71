"""The tiny data, network and weights that stand for those of the pages."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from tests.made_weights import publish, write_release


@pytest.fixture
def tiny_files(tiny, trained, tmp_path, monkeypatch):
    """The data of the tiny experiment where pages have theirs; what their placeholders mean."""
    import cv2

    from tests.helpers import write_cityscapes

    monkeypatch.chdir(tmp_path)
    work_dir, _ = trained
    write_cityscapes(tmp_path / "data" / "cityscapes")
    rng = np.random.default_rng(0)
    for path in ("photo.png", "my_photos/first.png", "my_photos/second.jpg"):
        Path(path).parent.mkdir(exist_ok=True)
        cv2.imwrite(path, rng.integers(0, 256, (40, 60, 3), np.uint8))
    for folder in ("images", "labels"):
        Path("data/my_city", folder).mkdir(parents=True)
    cv2.imwrite("data/my_city/images/a.jpg", rng.integers(0, 256, (40, 60, 3), np.uint8))
    cv2.imwrite("data/my_city/labels/a_train_id.png", rng.integers(0, 19, (40, 60), np.uint8))
    for folder in ("photos", "masks"):
        Path("data/yard", folder).mkdir(parents=True)
    cv2.imwrite("data/yard/photos/a.jpg", rng.integers(0, 256, (40, 60, 3), np.uint8))
    cv2.imwrite("data/yard/masks/a_mask.png", rng.choice(np.uint8([2, 3, 7, 8, 250]), (40, 60)))
    Path("data/yard/train.txt").write_text("a.jpg\n")
    Path("data/yard/val.txt").write_text("a\n")
    for seed in (0, 1, 2):
        for name in ("bn", "ibn-a"):
            shutil.copytree(work_dir, Path("work_dirs", f"{name}_seed{seed}"))
    return {"CONFIG": tiny, "CHECKPOINT": work_dir / "iter_6.pth"}


@pytest.fixture(scope="session")
def release(tmp_path_factory):
    """A folder with weights made here in the form of the published ones, and their spec."""
    folder = tmp_path_factory.mktemp("release")
    return folder, write_release(folder, "resnet50_ibn_a")


@pytest.fixture
def weights(release, tmp_path, monkeypatch):
    """Let the published weights be those made here."""
    folder, spec = release
    publish(monkeypatch, spec, str(folder), tmp_path / "hub")
