"""Segment a user's own pictures and videos with a trained network."""

import contextlib
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from ibn_seg.errors import EnvError, UserError
from ibn_seg.io import atomic_path, write_bytes
from ibn_seg.progress import progress_bar
from ibn_seg.tasks.setup import check_writable, trained_network

if TYPE_CHECKING:
    from mmengine.config import Config

IMAGE_SUFFIXES = (".bmp", ".jpeg", ".jpg", ".png", ".ppm", ".tif", ".tiff", ".webp")
_ANNOTATION_LOADERS = ("LoadAnnotations", "LoadUrbanLabels")
_DEFAULT_FPS = 25.0
_SILENT = 0  # OpenCV's level of logging


class Segmenter:
    """A trained network that turns pictures into trainIds.

    Args:
        config: A path, an `ibn_seg::` name, or a config, which is not changed.
        checkpoint: A .pth file; every weight must fit.
        device: Such as 'cpu' or 'cuda:1'; default the GPU if there is one.
        cfg_options: Values that replace those of the config, by dotted key.
        fuse: Fold the network's norms into its convolutions first (`ibn_seg.fuse`).
        most_pixels: The most pixels that the network sees at once. Default: 4096 x 2048. A larger
            picture goes through it window by window. Its labels are the same but for rounding. A
            network that cannot be cut so sees the whole picture, and a warning says why.

    Attributes:
        palette: The colour of each class in a (classes, 3) uint8 array, RGB.

    Raises:
        UserError: The config or the checkpoint is wrong.
    """

    def __init__(
        self,
        config: "str | os.PathLike | Config",
        checkpoint: str | os.PathLike,
        *,
        device: str | None = None,
        cfg_options: Mapping[str, Any] | None = None,
        fuse: bool = False,
        most_pixels: int | None = None,
    ) -> None:
        model, cfg, weights = trained_network(config, checkpoint, cfg_options, fuse)
        from mmengine.dataset import Compose

        from ibn_seg.engine.explain import explained
        from ibn_seg.tasks.windows.large_images import MOST_PIXELS, LargeImages

        with explained(cfg):
            self._pipeline = Compose(_array_pipeline(cfg))
        self._model = model.to(_device(device))
        self._large = LargeImages(self._model, most_pixels or MOST_PIXELS)
        self.palette = _palette(weights)

    def __call__(self, image: np.ndarray) -> np.ndarray:
        """Return the trainId of each pixel.

        Args:
            image: H x W x 3 uint8 in BGR order, as OpenCV reads it.

        Returns:
            H x W uint8.
        """
        import torch

        data = self._pipeline({"img": image})
        batch = {key: [value] for key, value in data.items()}
        with torch.inference_mode():
            if self._large.takes(data):
                return self._large.labels(data)
            sample = self._model.test_step(batch)[0]
        return sample.pred_sem_seg.data.squeeze(0).cpu().numpy().astype(np.uint8)


def predict(
    config: "str | os.PathLike | Config",
    checkpoint: str | os.PathLike,
    source: str | os.PathLike,
    out: str | os.PathLike,
    *,
    device: str | None = None,
    cfg_options: Mapping[str, Any] | None = None,
    opacity: float = 0.5,
    fuse: bool = False,
) -> list[Path]:
    """Segment a picture, all pictures of a folder and its subfolders, or a video.

    Writes `NAME_trainIds.png` (8-bit grey, the picture's own size) and `NAME_overlay.png` for
    each picture; for a video `NAME_trainIds/000001.png`, ... and `NAME_overlay.mp4`. One picture
    or frame is in memory at a time, and each file appears when it is whole. A picture of more than
    4096 x 2048 pixels goes through the network window by window; see `Segmenter`.

    Args:
        config: A path, an `ibn_seg::` name, or a config, which is not changed.
        checkpoint: A .pth file; every weight must fit.
        source: A picture, a folder or a video.
        out: The folder for the results.
        device: Such as 'cpu' or 'cuda:1'; default the GPU if there is one.
        cfg_options: Values that replace those of the config, by dotted key.
        opacity: The share of the class colours in the overlays, between 0 and 1.
        fuse: Fold the network's norms into its convolutions first (`ibn_seg.fuse`).

    Returns:
        The files written.

    Raises:
        UserError: There is no such source, it is empty, or it is neither picture nor video; the
            config or the checkpoint is wrong.
        EnvError: `out` cannot be written.
    """
    if not 0.0 <= opacity <= 1.0:
        raise UserError(f"opacity {opacity} is not between 0 and 1")
    source, out = Path(source), Path(out)
    images = _list_images(source, out)
    video = None if images else _open_video(source)
    try:
        check_writable(out)
        segment = Segmenter(config, checkpoint, device=device, cfg_options=cfg_options, fuse=fuse)
        if video is None:
            return _predict_images(segment, images, out, opacity)
        return _predict_video(segment, video, out / source.stem, opacity)
    finally:
        if video is not None:
            video.release()


def overlay(image: np.ndarray, labels: np.ndarray, palette: np.ndarray, opacity: float) -> Any:
    """Return a picture with the class colours laid over it.

    Args:
        image: H x W x 3 uint8, BGR.
        labels: H x W uint8 trainIds; values without a colour leave the picture as it is.
        palette: (classes, 3) uint8, RGB.
        opacity: The share of the colours.

    Returns:
        H x W x 3 uint8, BGR.
    """
    known = labels < len(palette)
    colours = palette[np.where(known, labels, 0)][..., ::-1]
    mixed = cv2.addWeighted(image, 1.0 - opacity, np.ascontiguousarray(colours), opacity, 0.0)
    return np.where(known[..., None], mixed, image)


def _predict_images(
    segment: Segmenter, images: dict[str, Path], out: Path, opacity: float
) -> list[Path]:
    """Segment pictures, given by the names of their results."""
    from ibn_seg.engine.predictions import encode_png

    written = []
    with progress_bar() as progress:
        task = progress.add_task("predict", total=len(images), detail="")
        for name, path in images.items():
            image = read_image(path)
            labels = segment(image)
            painted = overlay(image, labels, segment.palette, opacity)
            for kind, picture in (("trainIds", labels), ("overlay", painted)):
                written.append(out / f"{name}_{kind}.png")
                write_bytes(written[-1], encode_png(picture))
            progress.advance(task)
    return written


def _predict_video(
    segment: Segmenter, video: cv2.VideoCapture, target: Path, opacity: float
) -> list[Path]:
    """Segment the frames of a video one after the other."""
    from ibn_seg.engine.predictions import encode_png

    written = []
    frames = int(video.get(cv2.CAP_PROP_FRAME_COUNT))
    film = target.with_name(f"{target.name}_overlay.mp4")
    with atomic_path(film) as temporary, progress_bar() as progress:
        task = progress.add_task("predict", total=frames if frames > 0 else None, detail="")
        with _film(temporary, video) as writer:
            for number, frame in enumerate(_frames(video), start=1):
                labels = segment(frame)
                path = target.with_name(f"{target.name}_trainIds") / f"{number:06d}.png"
                write_bytes(path, encode_png(labels))
                written.append(path)
                writer.write(overlay(frame, labels, segment.palette, opacity))
                progress.advance(task)
        if not written:
            raise UserError(f"{target.name}: the video has no readable frame")
        _check_film(temporary, len(written), film)
    return [*written, film]


def read_image(path: Path) -> np.ndarray:
    """Return a picture as H x W x 3 uint8 in BGR order.

    Raises:
        UserError: The file is not a picture, or is damaged.
    """
    try:
        data = np.frombuffer(path.read_bytes(), dtype=np.uint8)
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from error
    with _quiet_opencv():
        image = cv2.imdecode(data, cv2.IMREAD_COLOR) if data.size else None
    if image is None:
        raise UserError(f"{path}: is not a readable picture", "replace it or take it out")
    return image


def _list_images(source: Path, out: Path) -> dict[str, Path]:
    """Return the pictures of a source by the names of their results; none if it is a video."""
    if source.is_file():
        return {source.stem: source} if source.suffix.lower() in IMAGE_SUFFIXES else {}
    if not source.is_dir():
        raise UserError(f"{source}: no such file or folder")
    inside = out.resolve()
    paths = [
        path
        for path in sorted(source.rglob("*"))
        if path.suffix.lower() in IMAGE_SUFFIXES
        and path.is_file()
        and (inside == source.resolve() or inside not in path.resolve().parents)
    ]
    if not paths:
        known = " ".join(IMAGE_SUFFIXES)
        raise UserError(f"{source}: the folder holds no pictures", f"known are {known}")
    full = [path.relative_to(source).as_posix() for path in paths]
    short = [path.relative_to(source).with_suffix("").as_posix() for path in paths]
    # a.png, a.jpg and a.png.png must not share their results.
    shared = {name for name in short if short.count(name) > 1} | set(full)
    return {
        long if name in shared else name: path
        for long, name, path in zip(full, short, paths, strict=True)
    }


def _open_video(path: Path) -> cv2.VideoCapture:
    with _quiet_opencv():
        video = cv2.VideoCapture(str(path))
    if not video.isOpened():
        video.release()
        known = " ".join(IMAGE_SUFFIXES)
        raise UserError(f"{path}: is neither a picture nor a video", f"pictures end in {known}")
    return video


def _frames(video: cv2.VideoCapture) -> Iterator[np.ndarray]:
    while True:
        read, frame = video.read()
        if not read:
            return
        yield frame


@contextlib.contextmanager
def _film(path: Path, video: cv2.VideoCapture) -> Iterator[cv2.VideoWriter]:
    """Open an MP4 writer of the same size and speed as a video."""
    keys = (cv2.CAP_PROP_FRAME_WIDTH, cv2.CAP_PROP_FRAME_HEIGHT)
    size = tuple(int(video.get(key)) for key in keys)
    fps = video.get(cv2.CAP_PROP_FPS)
    codec = cv2.VideoWriter.fourcc(*"mp4v")
    writer = cv2.VideoWriter(str(path), codec, fps if 0 < fps < 1000 else _DEFAULT_FPS, size)
    try:
        if not writer.isOpened():
            raise EnvError("this OpenCV cannot write MP4 videos", "predict on the frames instead")
        yield writer
    finally:
        writer.release()


def _check_film(path: Path, frames: int, film: Path) -> None:
    """Check that all frames arrived: OpenCV says nothing when the disk is full."""
    with _quiet_opencv():
        video = cv2.VideoCapture(str(path))
    stored = int(video.get(cv2.CAP_PROP_FRAME_COUNT)) if video.isOpened() else 0
    video.release()
    if stored < frames:
        raise EnvError(
            f"{film}: only {stored} of {frames} frames could be written", "free space on the disk"
        )


@contextlib.contextmanager
def _quiet_opencv() -> Iterator[None]:
    """Keep OpenCV's and its codecs' complaints about a file off the terminal."""
    # OpenCV 5 moved this function.
    set_level = cv2.setLogLevel if hasattr(cv2, "setLogLevel") else cv2.utils.logging.setLogLevel
    level = set_level(_SILENT)
    try:
        yield
    finally:
        set_level(level)


def _array_pipeline(cfg: "Config") -> list[dict]:
    """Return the config's test pipeline for pictures that are in memory, without labels."""
    steps = cfg.get("test_pipeline") or cfg.test_dataloader.dataset.pipeline
    steps = [step for step in steps if step["type"] not in _ANNOTATION_LOADERS]
    return [{"type": "LoadImageFromNDArray"}, *steps[1:]]


def _device(given: str | None) -> Any:
    """Return the device to use.

    Raises:
        UserError: It is not a name of a device, or is not there.
    """
    import torch

    if given is None:
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(given)
    except RuntimeError as error:
        raise UserError(f"unknown device {given!r}", "such as cpu or cuda:0") from error
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise UserError(
            f"device {given!r} is not there",
            f"PyTorch sees {torch.cuda.device_count()} GPUs; cpu always works",
        )
    return device


def _palette(checkpoint: Mapping) -> np.ndarray:
    """Return the colours of the classes that the checkpoint was trained on."""
    from ibn_seg.datasets.labels import PALETTE

    meta = (checkpoint.get("meta") or {}).get("dataset_meta") or {}
    return np.array(meta.get("palette") or PALETTE, dtype=np.uint8)
