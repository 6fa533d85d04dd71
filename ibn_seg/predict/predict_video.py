"""Segments the frames of a video one after the other."""

import contextlib
import hashlib
import itertools
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np

from ibn_seg.errors import EnvError, UserError
from ibn_seg.io import atomic_path, sha256, write_bytes
from ibn_seg.predict.picture_formats import PICTURE_SUFFIXES, VIDEO_SUFFIXES
from ibn_seg.predict.quiet_codecs import quiet_codecs
from ibn_seg.progress import progress_bar

_DEFAULT_FPS = 25.0
_USUAL_FPS = (0.001, 1000.0)  # files without a frame rate have a value outside this range

# A frame's labels and its overlay.
Painter = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]


class Video:
    """A video that is open for reading.

    Attributes:
        path: The file.
        promised: The number of frames in the file's header; 0 if the header has none.
        fps: Frames per second.
        complaint: The decoder's first line about damage; empty if there was none.

    Raises:
        UserError: The file is not a video, or none of its frames can be read.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.complaint = ""
        with quiet_codecs():
            # FFmpeg reads text before a colon as a protocol, but not in absolute paths.
            self._capture = cv2.VideoCapture(os.path.abspath(path))
            opened = self._capture.isOpened()
            self.promised = max(int(self._capture.get(cv2.CAP_PROP_FRAME_COUNT)), 0)
            fps = self._capture.get(cv2.CAP_PROP_FPS)
        self.fps = fps if _USUAL_FPS[0] <= fps < _USUAL_FPS[1] else _DEFAULT_FPS
        # FFmpeg also opens any file with a picture's suffix, so a frame must be read.
        self._next = self._read() if opened else None
        if self._next is None:
            self.close()
            raise _no_source(path)

    def frames(self) -> Iterator[np.ndarray]:
        """Yield the frames, H x W x 3 uint8 in BGR order."""
        while self._next is not None:
            yield self._next
            self._next = self._read()

    def _read(self) -> np.ndarray | None:
        with quiet_codecs() as complaints:
            read, frame = self._capture.read()
        self.complaint = self.complaint or complaints.text.strip().partition("\n")[0]
        return frame if read else None

    def close(self) -> None:
        """Close the file."""
        self._capture.release()


def has_two_frames(path: Path) -> bool:
    """Tell whether a file can be opened as a video of several frames."""
    try:
        video = Video(path)
    except UserError:
        return False
    frames = video.frames()
    count = len(list(itertools.islice(frames, 2)))
    video.close()
    return count == 2


def predict_video(video: Video, paint: Painter, target: Path) -> dict[Path, str]:
    """Write the labels of each frame, and the film of overlays.

    Args:
        video: The video; it is read to its end.
        paint: The network.
        target: The results' path without the endings.

    Returns:
        The SHA-256 of each file written, by its path; the film comes last.

    Raises:
        EnvError: A file cannot be written.
    """
    from ibn_seg.engine.predictions import encode_png

    written = {}
    folder = target.with_name(f"{target.name}_trainIds")
    film = target.with_name(f"{target.name}_overlay.mp4")
    with atomic_path(film) as temporary, progress_bar() as progress:
        task = progress.add_task("predict", total=video.promised or None, detail="")
        with _film(temporary, video.fps) as append:
            for number, frame in enumerate(video.frames(), start=1):
                labels, painted = paint(frame)
                data = encode_png(labels)
                path = folder / f"{number:06d}.png"
                write_bytes(path, data)
                written[path] = hashlib.sha256(data).hexdigest()
                append(painted)
                progress.advance(task)
        _check_film(temporary, len(written), film)
    written[film] = sha256(film)
    _say_what_is_missing(video, len(written) - 1)
    return written


def _say_what_is_missing(video: Video, frames: int) -> None:
    """Report on stderr that a video was cut off, or that its decoder complained."""
    if frames < video.promised:
        print(
            f"{video.path}: {frames} frames could be read, and its header promises "
            f"{video.promised}: if it is cut off, copy it again",
            file=sys.stderr,
        )
    if video.complaint:
        print(f"{video.path}: may be damaged ({video.complaint})", file=sys.stderr)


@contextlib.contextmanager
def _film(path: Path, fps: float) -> Iterator[Callable[[np.ndarray], None]]:
    """Yield a function that appends frames to an MP4 film of the first frame's size.

    The header's size is not used, because phone videos are rotated while they are read.
    """
    writers: list[cv2.VideoWriter] = []
    sizes: list[tuple[int, int]] = []

    def append(frame: np.ndarray) -> None:
        size = frame.shape[1], frame.shape[0]
        if not writers:
            sizes.append(size)
            writers.append(_open_writer(path, fps, size))
        same = frame if size == sizes[0] else cv2.resize(frame, sizes[0])
        writers[0].write(same)

    try:
        yield append
    finally:
        for writer in writers:
            with quiet_codecs():
                writer.release()


def _open_writer(path: Path, fps: float, size: tuple[int, int]) -> cv2.VideoWriter:
    with quiet_codecs():
        writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), fps, size)
    if not writer.isOpened():
        writer.release()
        raise EnvError(
            f"this OpenCV cannot write MP4 videos of {size[0]}x{size[1]} pixels",
            "predict on the frames instead",
        )
    return writer


def _check_film(path: Path, frames: int, film: Path) -> None:
    """Check that all frames arrived, because OpenCV is silent when the disk is full."""
    with quiet_codecs():
        video = cv2.VideoCapture(str(path))
        stored = int(video.get(cv2.CAP_PROP_FRAME_COUNT)) if video.isOpened() else 0
        video.release()
    if stored < frames:
        raise EnvError(
            f"{film}: only {stored} of {frames} frames could be written", "free space on the disk"
        )


def _no_source(path: Path) -> UserError:
    if path.suffix.lower() in PICTURE_SUFFIXES:
        return UserError(f"{path}: is not a readable picture", "replace it or take it out")
    if path.suffix.lower() in VIDEO_SUFFIXES:
        return UserError(f"{path}: the video has no readable frame", "copy or download it again")
    return UserError(
        f"{path}: is neither a picture nor a video that can be read here",
        "convert it to JPEG, PNG or MP4",
    )
