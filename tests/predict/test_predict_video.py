import os
import shutil
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
from PIL import Image

from ibn_seg.errors import EnvError, UserError
from ibn_seg.predict.predict_pictures import predict
from ibn_seg.predict.predict_video import Video
from tests.helpers import truncate, write_image


@pytest.fixture(scope="module")
def checkpoint(trained):
    return trained[0] / "iter_6.pth"


def picture(seed, size=(48, 64)):
    return np.random.default_rng(seed).integers(0, 256, (*size, 3)).astype(np.uint8)


def write_film(path, frames=4, size=(48, 64), fps=10.0, codec="mp4v"):
    path.parent.mkdir(parents=True, exist_ok=True)
    # FFmpeg chooses the container by the suffix, and knows no path with a colon that is relative.
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*codec), fps, size[::-1])
    if not writer.isOpened():
        pytest.skip(f"this OpenCV cannot write {codec}")
    for seed in range(frames):
        writer.write(picture(seed, size))
    writer.release()
    return path


def write_animation(path, size=(48, 64)):
    frames = [Image.fromarray(picture(seed, size)) for seed in range(3)]
    frames[0].save(path, save_all=True, append_images=frames[1:], duration=100)
    return path


def frames_of(path):
    video = cv2.VideoCapture(str(path))
    count = int(video.get(cv2.CAP_PROP_FRAME_COUNT))
    video.release()
    return count


def numbers(folder):
    return [int(path.stem) for path in sorted(folder.iterdir())]


def replace_capture(monkeypatch, get=lambda key, value: value, read=lambda frame: frame):
    """Let OpenCV's reader of videos say other things than the file does."""

    class Capture:
        def __init__(self, path):
            self.inner = cv2.VideoCapture(path)
            self.isOpened, self.release = self.inner.isOpened, self.inner.release

        def get(self, key):
            return get(key, self.inner.get(key))

        def read(self):
            done, frame = self.inner.read()
            return done, read(frame) if done else None

    codecs = SimpleNamespace(**{**vars(cv2), "VideoCapture": Capture})
    monkeypatch.setattr("ibn_seg.predict.predict_video.cv2", codecs)


@pytest.mark.parametrize(
    ("name", "stem"),
    [
        ("ä ü.v1.mp4", "ä ü.v1"),
        ("12:30.avi", "12:30"),
        ("100%03d.mp4", "100%03d"),
        ("film", "film"),
    ],
)
def test_names_of_videos(tiny, checkpoint, tmp_path, monkeypatch, name, stem):
    monkeypatch.chdir(tmp_path)
    film = write_film(tmp_path / "plain.avi", 2, codec="MJPG").rename(tmp_path / name)
    written = predict(tiny, checkpoint, film.name, "out")
    assert numbers(tmp_path / "out" / f"{stem}_trainIds") == [1, 2]
    assert frames_of(tmp_path / written[-1]) == 2


def test_an_odd_size(tiny, checkpoint, tmp_path):
    film = write_animation(tmp_path / "odd.gif", (47, 63))
    written = predict(tiny, checkpoint, film, tmp_path / "out")
    assert np.asarray(Image.open(written[0])).shape == (47, 63)
    assert frames_of(written[-1]) == 3


@pytest.mark.parametrize("fps", [0.0, 1e-5, float("nan"), 90000.0, -1.0])
def test_a_video_without_a_speed_gets_the_usual_one(tmp_path, monkeypatch, fps):
    film = write_film(tmp_path / "drive.mp4", 2)
    replace_capture(monkeypatch, get=lambda key, value: fps if key == cv2.CAP_PROP_FPS else value)
    assert Video(film).fps == 25.0


def test_a_size_that_the_header_does_not_have(tiny, checkpoint, tmp_path, monkeypatch):
    """Frames that are turned while they are read, and frames of different sizes."""
    film = write_film(tmp_path / "turned.mp4", 3)
    shapes = iter([(64, 48), (64, 48), (32, 24)])

    replace_capture(monkeypatch, read=lambda frame: cv2.resize(frame, next(shapes)[::-1]))
    written = predict(tiny, checkpoint, film, tmp_path / "out")
    assert np.asarray(Image.open(written[2])).shape == (32, 24)
    monkeypatch.undo()
    result = cv2.VideoCapture(str(written[-1]))
    assert (result.get(cv2.CAP_PROP_FRAME_WIDTH), result.get(cv2.CAP_PROP_FRAME_HEIGHT)) == (48, 64)
    assert frames_of(written[-1]) == 3


def test_a_video_that_breaks_off_is_said(tiny, checkpoint, tmp_path, capfd):
    film = truncate(write_film(tmp_path / "cut.avi", 12, codec="MJPG"), 0.5)
    promised = frames_of(film)
    capfd.readouterr()
    written = predict(tiny, checkpoint, film, tmp_path / "out")
    read = len(written) - 1
    assert 0 < read < 12
    assert frames_of(written[-1]) == read
    err = capfd.readouterr().err
    if promised > read:
        assert f"{film}: {read} frames could be read, and its header promises {promised}" in err
    assert "[" not in err.replace("[bold]", "").partition("may be damaged")[0]


def test_a_video_without_frames_is_refused(tiny, checkpoint, tmp_path, capfd):
    film = truncate(write_film(tmp_path / "no.mp4"), 0.3)
    empty = tmp_path / "empty.mp4"
    empty.touch()
    capfd.readouterr()
    for path in (film, empty):
        with pytest.raises(UserError, match=rf"{path.name}: the video has no readable frame"):
            predict(tiny, checkpoint, path, tmp_path / "out")
    assert capfd.readouterr().err == ""
    assert not (tmp_path / "out").exists()


def test_a_shorter_video_leaves_no_frames_of_the_longer_one(tiny, checkpoint, tmp_path, capfd):
    out = tmp_path / "out"
    film = write_film(tmp_path / "drive.mp4", 5)
    predict(tiny, checkpoint, film, out)
    write_film(film, 3)
    predict(tiny, checkpoint, film, out)
    assert numbers(out / "drive_trainIds") == [1, 2, 3]
    # What is not known to be ours stays, with a word.
    write_image(out / "drive_trainIds" / "000009.png", picture(0))
    capfd.readouterr()
    predict(tiny, checkpoint, film, out)
    assert numbers(out / "drive_trainIds") == [1, 2, 3, 9]
    assert "drive_trainIds: 1 other pictures are not of this video" in capfd.readouterr().err


def test_two_videos_of_one_name(tiny, checkpoint, tmp_path):
    out = tmp_path / "out"
    first = write_film(tmp_path / "drive.mp4", 2)
    second = write_film(tmp_path / "b" / "drive.mp4", 3)
    predict(tiny, checkpoint, first, out)
    with pytest.raises(UserError, match=r"b/drive\.mp4: .* has the results of .*/drive\.mp4"):
        predict(tiny, checkpoint, second, out)
    assert numbers(out / "drive_trainIds") == [1, 2]
    shutil.copy(first, tmp_path / "b" / "drive.mp4")
    predict(tiny, checkpoint, second, out)
    # A picture of that name has results of other names.
    predict(tiny, checkpoint, write_image(tmp_path / "drive.png", picture(1)), out)
    assert (out / "drive_overlay.png").is_file()
    assert frames_of(out / "drive_overlay.mp4") == 2


def test_an_animation_by_itself_is_a_video_and_in_a_folder_a_picture(
    tiny, checkpoint, tmp_path, capfd
):
    source = tmp_path / "in"
    source.mkdir()
    write_animation(source / "moving.gif")
    Image.fromarray(picture(1)).save(source / "still.gif")
    assert len(predict(tiny, checkpoint, source / "moving.gif", tmp_path / "a")) == 4
    written = predict(tiny, checkpoint, source / "still.gif", tmp_path / "a")
    assert [path.name for path in written] == ["still_trainIds.png", "still_overlay.png"]
    capfd.readouterr()
    assert len(predict(tiny, checkpoint, source, tmp_path / "b")) == 4
    assert f"{source}/moving.gif: holds 3 frames" in capfd.readouterr().err


def test_a_picture_with_the_suffix_of_a_video(tiny, checkpoint, tmp_path):
    path = write_image(tmp_path / "a.png", picture(1)).rename(tmp_path / "a.mp4")
    assert [p.name for p in predict(tiny, checkpoint, path, tmp_path / "out")] == [
        "a_trainIds.png",
        "a_overlay.png",
    ]


def test_a_video_with_the_suffix_of_a_picture(tiny, checkpoint, tmp_path):
    path = write_film(tmp_path / "a.avi", 2, codec="MJPG").rename(tmp_path / "a.jpg")
    assert predict(tiny, checkpoint, path, tmp_path / "out")[-1].name == "a_overlay.mp4"


def test_what_is_no_file_is_not_opened(tiny, checkpoint, tmp_path):
    os.mkfifo(tmp_path / "pipe.mp4")
    with pytest.raises(UserError, match=r"pipe\.mp4: is neither a file nor a folder"):
        predict(tiny, checkpoint, tmp_path / "pipe.mp4", tmp_path / "out")


def test_an_out_folder_that_is_a_file(tiny, checkpoint, tmp_path):
    film = write_film(tmp_path / "drive.mp4", 2)
    (tmp_path / "out").write_text("mine")
    with pytest.raises(EnvError, match="out: cannot be written"):
        predict(tiny, checkpoint, film, tmp_path / "out")
    assert (tmp_path / "out").read_text() == "mine"
