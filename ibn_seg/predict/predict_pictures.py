"""Segments a user's own pictures and videos with a trained network."""

import errno
import hashlib
import os
import sys
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ibn_seg.errors import EnvError, UserError
from ibn_seg.io import write_bytes
from ibn_seg.predict.picture_folder import FolderContent, search_folder
from ibn_seg.predict.picture_formats import HEAD, picture_format
from ibn_seg.predict.picture_results import (
    label_and_measure,
    label_and_paint,
    overlay,
    too_large,
)
from ibn_seg.predict.predict_video import Painter, Video, has_two_frames, predict_video
from ibn_seg.predict.prediction_log import LOG_NAME, PredictionLog, network_identity
from ibn_seg.predict.read_picture import PictureError, decode_picture, read_bytes
from ibn_seg.predict.segmenter import Segmenter, array_pipeline
from ibn_seg.progress import progress_bar
from ibn_seg.run.config_loading import load_named
from ibn_seg.run.setup import check_writable
from ibn_seg.trust.confidence_files import CONFIDENCE, HEAT, PREDICTION
from ibn_seg.trust.stored_temperature import read_temperature

if TYPE_CHECKING:
    from mmengine.config import Config

__all__ = ["BadPicturesError", "Segmenter", "overlay", "predict"]

# Picture formats whose animations count as videos if given directly.
_ANIMATIONS = {"GIF": (".gif",), "PNG": (".apng",), "JPEG": (".mjpeg", ".mjpg")}


class BadPicturesError(UserError):
    """Some pictures of a folder could not be predicted; all others were.

    Args:
        problems: A line for each.
        total: The number of pictures, including the bad ones.

    Attributes:
        problems: A line for each.
    """

    def __init__(self, problems: Sequence[str], total: int) -> None:
        self.problems = tuple(problems)
        summary = (
            f"{len(problems)} of {total} pictures could not be predicted, the others are done: "
            "mend them or take them out, then give the same call again"
        )
        super().__init__("\n".join([summary, *self.problems]))

    @property
    def line(self) -> str:
        """The message without the list of pictures."""
        return str(self).partition("\n")[0]


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
    overwrite: bool = False,
    confidence: bool = False,
    temperature: str | None = None,
) -> list[Path]:
    """Segment a picture, all pictures of a folder and its subfolders, or a video.

    Writes `NAME_trainIds.png` (8-bit grey, the picture's own size) and `NAME_overlay.png` for each
    picture. For a video it writes `NAME_trainIds/000001.png`, ... and `NAME_overlay.mp4`. Beside
    them, `classes.yaml` says which class each value of `trainIds` is, and its colour. One picture
    or frame is in memory at a time. Each file appears when it is complete. A picture of more than
    4096 x 2048 pixels is processed window by window; see `Segmenter`.

    The content of a file decides whether it is a picture, not its name. If a picture has several
    frames, the first is predicted, and a line on stderr says so. An animated .gif, .apng or .mjpeg
    that is given directly is a video.

    A bad picture does not stop the rest of a folder. A later call skips a picture if its results
    exist and are unchanged, and the content, network and options are the same. `out` holds a log of
    this (`prediction_log`). Files that such logs in `source` list are left out, and a line on
    stderr gives their number.

    Args:
        config: A path, an `ibn_seg::` name, or a config, which is not changed.
        checkpoint: A .pth file; every weight must fit.
        source: A picture, a folder or a video.
        out: The folder for the results.
        device: Such as 'cpu' or 'cuda:1'; default the GPU if there is one.
        cfg_options: Values that override the config's, by dotted key.
        opacity: The share of the class colours in the overlays, between 0 and 1.
        fuse: Fold the network's norms into its convolutions first (`ibn_seg.fuse`).
        overwrite: Predict every picture of a folder again, and replace results of another picture
            with the same name.
        confidence: Write `NAME_pred.png`, `NAME_conf.png` and `NAME_heat.png` for each picture,
            too; see `ibn_seg.trust.confidence_files`.
        temperature: 'global' or 'class': divide logits by the temperatures beside the checkpoint,
            for the confidence alone.

    Returns:
        The files of the results, including existing ones, without `classes.yaml`.

    Raises:
        BadPicturesError: Some pictures of the folder cannot be predicted; all others were.
        UserError: The source does not exist, is empty, or is neither picture nor video. Or it is a
            video, and `confidence` is asked for. Or the config, the checkpoint, the device or the
            opacity is wrong. Or results of another picture have the same name.
        EnvError: `out` cannot be written.
    """
    if not 0.0 <= opacity <= 1.0:
        raise UserError(f"opacity {opacity} is not between 0 and 1")
    if temperature is not None and not confidence:
        raise UserError("--temperature without --confidence", "it changes the confidence alone")
    values = None if temperature is None else read_temperature(checkpoint, temperature).values
    source, out = Path(source), Path(out)
    log = PredictionLog(out)
    content = search_folder(source, out, log.results()) if source.is_dir() else None
    video = Video(source) if content is None and _is_video(source) else None
    try:
        if confidence and video is not None:
            raise UserError(f"{source}: a video", "--confidence is for pictures")
        check_writable(out)
        segment = Segmenter(
            config, checkpoint, device=device, cfg_options=cfg_options, fuse=fuse,
            temperatures=values,
        )  # fmt: skip
        # `Segmenter` has said what nothing reads.
        cfg = load_named(config, cfg_options, reads=None)
        network = network_identity(
            checkpoint, model=cfg.model, pipeline=array_pipeline(cfg), opacity=opacity, fuse=fuse,
            **({"confidence": True} if confidence else {}),
            **({} if values is None else {"temperatures": values}),
        )  # fmt: skip
        session = _Session(segment, log, out, network, opacity, overwrite, confidence)
        if video is not None:
            return session.predict_film(video)
        if content is not None:
            return session.predict_folder(source, content)
        return session.predict_one(source)
    finally:
        if video is not None:
            video.close()


def _is_video(path: Path) -> bool:
    """Tell whether a directly given file is a video: not a picture, or an animation.

    Raises:
        UserError: There is no such file, or it cannot be read.
    """
    if not path.exists():
        raise UserError(f"{path}: no such file or folder")
    if not path.is_file():
        raise UserError(f"{path}: is neither a file nor a folder")
    try:
        with path.open("rb") as file:
            kind = picture_format(file.read(HEAD), path.suffix)
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from error
    if kind is None:
        return True
    return path.suffix.lower() in _ANIMATIONS.get(kind, ()) and has_two_frames(path)


@dataclass(frozen=True)
class _Session:
    """One call of `predict`: a network that writes to a folder."""

    segment: Segmenter
    log: PredictionLog
    out: Path
    network: str
    opacity: float
    overwrite: bool
    confidence: bool

    def predict_one(self, path: Path) -> list[Path]:
        """Predict a directly given picture, even if its results exist."""
        self._say_mixture([path.stem])
        try:
            data = read_bytes(path)
            return self._predict(path.stem, path, data, hashlib.sha256(data).hexdigest())
        except MemoryError as error:
            raise too_large(path) from error

    def predict_folder(self, source: Path, content: FolderContent) -> list[Path]:
        """Predict the unfinished pictures of a folder; name the bad ones at the end."""
        self._say_mixture(content.pictures)
        written, problems, skipped = [], list(content.refused), 0
        with progress_bar() as progress:
            task = progress.add_task("predict", total=len(content.pictures), detail="")
            for name, path in content.pictures.items():
                try:
                    data = read_bytes(path)
                    digest = hashlib.sha256(data).hexdigest()
                    if not self.overwrite and self.log.is_done(name, digest, self.network):
                        skipped += 1
                        written += self._files(name)
                    else:
                        written += self._predict(name, path, data, digest)
                except PictureError as error:
                    problems.append(error.line)
                except MemoryError:
                    problems.append(too_large(path).line)
                progress.advance(task)
        if skipped:
            _say(f"skipped {skipped} pictures that were done (--overwrite predicts them again)")
        if content.videos:
            _say(f"{source}: {content.videos} videos are left out: give each by itself")
        if content.results:
            _say(
                f"{source}: {content.results} files are left out: they are results of earlier "
                f"calls, as {LOG_NAME} beside them says"
            )
        if problems:
            raise BadPicturesError(problems, len(content.pictures) + len(content.refused))
        return written

    def predict_film(self, video: Video) -> list[Path]:
        """Predict a video, and remove surplus frames of an earlier, longer one."""
        name = f"{video.path.stem}_trainIds/"
        self._say_mixture([name])
        with video.path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        self._check_owner(name, video.path, digest)
        written = predict_video(video, self._painter(video.path), self.out / video.path.stem)
        results = {path.relative_to(self.out).as_posix(): sha for path, sha in written.items()}
        for path in self.log.outdated(name, results):
            path.unlink(missing_ok=True)
        self.log.add(name, video.path, digest, self.network, results)
        self.segment.classes.write(self.out)
        left = len(list((self.out / name).glob("*.png"))) - (len(written) - 1)
        if left > 0:
            _say(f"{self.out / name}: {left} other pictures are not of this video: remove them")
        return list(written)

    def _predict(self, name: str, path: Path, data: bytes, digest: str) -> list[Path]:
        """Predict one picture and note it in the log."""
        from ibn_seg.engine.predictions import encode_png

        self._check_owner(name, path, digest)
        picture = decode_picture(data, path)
        pictures = self._painter(path)(picture.pixels)
        files = self._files(name)
        results = {}
        for file, pixels in zip(files, pictures, strict=True):
            encoded = encode_png(pixels)
            _write_result(file, encoded, path)
            results[file.relative_to(self.out).as_posix()] = hashlib.sha256(encoded).hexdigest()
        self.log.add(name, path, digest, self.network, results)
        self.segment.classes.write(self.out)
        for remark in picture.remarks:
            _say(remark)
        return files

    def _painter(self, path: Path) -> Painter:
        palette = self.segment.palette
        if self.confidence:
            measure = self.segment.labels_and_levels
            return lambda image: label_and_measure(measure, palette, image, self.opacity, path)
        return lambda image: label_and_paint(self.segment, palette, image, self.opacity, path)

    def _files(self, name: str) -> list[Path]:
        pair = (PREDICTION, CONFIDENCE, HEAT) if self.confidence else ()
        return [self.out / f"{name}_{kind}.png" for kind in ("trainIds", "overlay", *pair)]

    def _check_owner(self, name: str, path: Path, digest: str) -> None:
        """Refuse to replace the results of another picture."""
        owner = None if self.overwrite else self.log.other_owner(name, path, digest)
        if owner is not None:
            raise PictureError(
                f"{path}: {self.out / name} has the results of {owner}",
                "choose another --out, or give --overwrite",
            )

    def _say_mixture(self, names: Collection[str]) -> None:
        """Report that the folder holds results of another network or other options."""
        others = self.log.of_other_networks(self.network)
        again = len(others.intersection(names))
        beside = len(others) - again
        reason = "of another network, other options or another version"
        if again:
            _say(f"{self.out}: {again} results are {reason} and are made again")
        if beside:
            _say(f"{self.out}: also holds {beside} results {reason}: use one --out for each")


def _write_result(file: Path, data: bytes, path: Path) -> None:
    """Write a file; blame the picture, not the disk, for a name that is too long."""
    try:
        write_bytes(file, data)
    except EnvError as error:
        if getattr(error.__cause__, "errno", None) != errno.ENAMETOOLONG:
            raise
        raise PictureError(f"{path}: the names of its results are too long", "rename it") from error


def _say(line: str) -> None:
    print(line, file=sys.stderr)
