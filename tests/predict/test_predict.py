import itertools
import re

import cv2
import numpy as np
import pytest
from PIL import Image

from ibn_seg.datasets.labels import PALETTE
from ibn_seg.errors import EnvError, UserError
from ibn_seg.predict.predict_pictures import Segmenter, overlay, predict
from ibn_seg.run import segmentation
from tests.helpers import truncate, write_image
from tests.tiny import run


@pytest.fixture(scope="module")
def checkpoint(trained):
    return trained[0] / "iter_6.pth"


def picture(seed, size=(48, 64)):
    return np.random.default_rng(seed).integers(0, 256, (*size, 3)).astype(np.uint8)


def test_a_picture_is_predicted_as_in_the_test(tiny, checkpoint, tmp_path):
    """The same trainIds as the Runner's test writes, at the picture's own size."""
    segmentation.test(
        tiny, checkpoint, work_dir=tmp_path / "run", out=tmp_path / "tested", quiet=True
    )
    expected = sorted(tmp_path.glob("tested/cityscapes/*.png"))
    for file in expected:
        source = next(tiny.parent.glob(f"cityscapes/leftImg8bit/val/*/{file.name}"))
        written = predict(tiny, checkpoint, source, tmp_path / "out")
        assert [path.name for path in written] == [
            f"{file.stem}_trainIds.png",
            f"{file.stem}_overlay.png",
        ]
        with Image.open(written[0]) as labels, Image.open(file) as reference:
            assert labels.mode == "L"
            assert np.array_equal(np.asarray(labels), np.asarray(reference))
        with Image.open(written[1]) as painted:
            assert (painted.mode, painted.size) == ("RGB", (64, 48))
    assert expected


def test_a_folder_with_subfolders_and_equal_names(tiny, checkpoint, tmp_path):
    source = tmp_path / "in"
    write_image(source / "a.png", picture(0))
    write_image(source / "deep" / "b.PNG", picture(1, (30, 50)))
    write_image(source / "a.jpg", picture(2))
    write_image(source / "a.png.png", picture(3))
    (source / "notes.txt").write_text("not a picture")
    # The results may lie inside the source: they are not taken for pictures the next time.
    for _ in range(2):
        written = predict(tiny, checkpoint, source, source / "out")
        names = sorted(p.relative_to(source / "out").as_posix() for p in written)
        assert names == sorted(
            f"{name}_{kind}.png"
            for name, kind in itertools.product(
                ("a.png", "a.jpg", "a.png.png", "deep/b"), ("trainIds", "overlay")
            )
        )
    with Image.open(source / "out" / "deep" / "b_trainIds.png") as labels:
        assert labels.size == (50, 30)


def test_a_video(tiny, checkpoint, tmp_path):
    film = tmp_path / "drive.mp4"
    writer = cv2.VideoWriter(str(film), cv2.VideoWriter.fourcc(*"mp4v"), 10.0, (64, 48))
    if not writer.isOpened():
        pytest.skip("this OpenCV has no MP4 codec")
    for seed in range(4):
        writer.write(picture(seed))
    writer.release()
    written = predict(tiny, checkpoint, film, tmp_path / "out")
    frames = sorted((tmp_path / "out" / "drive_trainIds").iterdir())
    assert [path.name for path in frames] == [f"{n:06d}.png" for n in range(1, 5)]
    assert written == [*frames, tmp_path / "out" / "drive_overlay.mp4"]
    result = cv2.VideoCapture(str(written[-1]))
    assert int(result.get(cv2.CAP_PROP_FRAME_COUNT)) == 4
    assert result.get(cv2.CAP_PROP_FPS) == 10.0


def test_overlay_mixes_the_class_colours():
    image = picture(3, (2, 2))
    labels = np.array([[0, 18], [255, 10]], np.uint8)
    palette = np.array(PALETTE, np.uint8)
    assert np.array_equal(overlay(image, labels, palette, 0.0), image)
    full = overlay(image, labels, palette, 1.0)
    assert full[0, 0].tolist() == list(PALETTE[0])[::-1]
    assert full[0, 1].tolist() == list(PALETTE[18])[::-1]
    assert np.array_equal(full[1, 0], image[1, 0])


def test_wrong_sources(tiny, checkpoint, tmp_path, capfd):
    out = tmp_path / "out"
    with pytest.raises(UserError, match=r"missing\.png: no such file or folder"):
        predict(tiny, checkpoint, tmp_path / "missing.png", out)
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="holds no pictures: known are"):
        predict(tiny, checkpoint, tmp_path / "empty", out)
    (tmp_path / "notes.txt").write_text("not a picture")
    with pytest.raises(UserError, match="neither a picture nor a video"):
        predict(tiny, checkpoint, tmp_path / "notes.txt", out)
    with pytest.raises(UserError, match="opacity"):
        predict(tiny, checkpoint, tmp_path / "empty", out, opacity=2.0)
    assert not out.exists()
    (tmp_path / "fake.png").write_text("not a picture")
    with pytest.raises(UserError, match=r"fake\.png: is not a readable picture"):
        predict(tiny, checkpoint, tmp_path / "fake.png", out)
    cut = truncate(write_image(tmp_path / "cut.png", picture(1)))
    capfd.readouterr()
    with pytest.raises(UserError, match=r"cut\.png: is not a readable picture"):
        predict(tiny, checkpoint, cut, out)
    assert "WARN" not in capfd.readouterr().err  # OpenCV's own complaint
    with pytest.raises(UserError, match="unknown device 'gpu7'"):
        predict(tiny, checkpoint, write_image(tmp_path / "a.png", picture(1)), out, device="gpu7")
    assert list(out.iterdir()) == []


def test_an_out_folder_that_cannot_be(tiny, checkpoint, tmp_path):
    source = write_image(tmp_path / "a.png", picture(1))
    with pytest.raises(EnvError, match="cannot be written"):
        predict(tiny, checkpoint, source, source / "out")


def test_the_command(tiny, checkpoint, tmp_path):
    source = write_image(tmp_path / "street.png", picture(1))
    done = run(
        "predict", tiny, checkpoint, source, "--out", tmp_path / "out", "--device", "cpu",
        "--opacity", "1", "--cfg-options", "model.test_cfg.mode=whole",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert f"2 files in {tmp_path}/out" in done.stdout
    labels = np.asarray(Image.open(tmp_path / "out" / "street_trainIds.png"))
    painted = np.asarray(Image.open(tmp_path / "out" / "street_overlay.png"))
    assert np.array_equal(painted, np.array(PALETTE, np.uint8)[labels])


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"model.test_cfg.mode": "slide"}, "model.test_cfg has mode='slide' and crop_size=None"),
        ({"model": "fcn"}, "model is 'fcn': it must be a dict"),
    ],
)
def test_a_model_that_cannot_be_one_is_one_line(options, expected, tiny, trained):
    with pytest.raises(UserError, match=re.escape(expected)):
        Segmenter(tiny, trained[0] / "iter_6.pth", cfg_options=options)
