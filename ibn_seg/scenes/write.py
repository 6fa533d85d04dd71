"""Writes rendered frames as data sets on disk, in the layouts of GTA5, Cityscapes and ACDC."""

import concurrent.futures
import multiprocessing
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from ibn_seg.datasets.class_space import IGNORE_INDEX
from ibn_seg.datasets.labels import CITYSCAPES_RAW_IDS, raw_id_palette
from ibn_seg.errors import UserError
from ibn_seg.io import atomic_path, read_json, write_bytes, write_json
from ibn_seg.scenes.frames import COMPARED_START, Frame, pair_frames, styled_frames
from ibn_seg.scenes.ids import DYNAMIC
from ibn_seg.scenes.oddities import ODDITIES
from ibn_seg.scenes.render import check_size, render
from ibn_seg.scenes.variation import VARIED, without

Progress = Callable[[int, int], None]

# Says with which parameters a folder was written.
MANIFEST = "scenes.json"
# Changes whenever the same parameters would give other frames.
RENDERER_VERSION = 1


def write_frame(frame: Frame, seed: int, size: tuple[int, int]) -> None:
    """Render one frame and write its files, each whole or not at all.

    Raises:
        EnvError: The folder cannot be written, or the disk is full.
    """
    image, label = render(frame.domain, frame.index, seed=seed, size=size)
    for form, path in frame.labels.items():
        with atomic_path(path) as temporary:
            _label_image(label, form).save(temporary, compress_level=1)
    # The image comes last: a frame whose image is there has its labels too.
    # This strategy of OpenCV is about the fastest and makes the smallest files here.
    options = [
        cv2.IMWRITE_PNG_COMPRESSION,
        1,
        cv2.IMWRITE_PNG_STRATEGY,
        cv2.IMWRITE_PNG_STRATEGY_HUFFMAN_ONLY,
    ]
    _, encoded = cv2.imencode(".png", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), options)
    write_bytes(frame.image, encoded.tobytes())


def write_frames(
    frames: list[Frame],
    *,
    seed: int = 0,
    size: tuple[int, int] = (256, 128),
    workers: int = 1,
    progress: Progress | None = None,
) -> int:
    """Write the frames that miss at least one file.

    Args:
        frames: The frames to write.
        seed: Chooses the series of scenes.
        size: Width and height in pixels.
        workers: Number of processes; it does not change the files. With more than one, the calling
            script needs the usual `if __name__ == "__main__":`.
        progress: Called with (frames done, frames in all) after each.

    Returns:
        How many frames were written.

    Raises:
        UserError: A size or a number of workers out of range.
        EnvError: The folder cannot be written, or the disk is full.
    """
    _check(size, workers)
    missing = [frame for frame in frames if not frame.complete()]
    done = len(frames) - len(missing)
    if progress:
        progress(done, len(frames))
    for _ in _written(missing, seed, size, min(workers, max(len(missing), 1))):
        done += 1
        if progress:
            progress(done, len(frames))
    return len(missing)


def write_pair(
    out_dir: str | os.PathLike,
    *,
    size: tuple[int, int] = (256, 128),
    source_frames: int = 300,
    target_train: int = 60,
    target_val: int = 60,
    adverse_train: int = 0,
    adverse_val: int = 0,
    varied: int = 0,
    varied_without: Sequence[str] = (),
    oddities: int = 0,
    seed: int = 0,
    workers: int = 1,
    progress: Progress | None = None,
) -> dict[str, int]:
    """Write a source and a target data set of the embedded scenes, and more of both if asked.

    `out_dir/gta5` gets the source in the GTA5 layout. `out_dir/cityscapes` gets the target in the
    Cityscapes layout. `out_dir/acdc` gets the targets night and fog in the ACDC layout.
    `out_dir/varied` gets the second source in the GTA5 layout, and `out_dir/varied_without_KIND`
    the same without one kind of variation. A repeated call resumes an
    interrupted one and leaves a complete folder alone. Unknown things may be added to a folder
    that was written without them.

    Args:
        out_dir: Where to write.
        size: Width and height of the frames in pixels.
        source_frames: Number of source frames.
        target_train: Number of target frames in the training split.
        target_val: Number of target frames in the validation split.
        adverse_train: Number of training frames of night, and the same number of fog.
        adverse_val: Number of validation frames of night, and the same number of fog.
        varied: Number of frames of the source `varied`.
        varied_without: Kinds of variation, of `variation.KINDS`; for each a source without it.
        oddities: Number of frames with unknown things on the road, in `out_dir/oddities`.
        seed: Chooses the series of scenes.
        workers: Number of processes (see `write_frames`).
        progress: Called with (frames done, frames in all) after each frame.

    Returns:
        Numbers of frames: 'source', 'target_train' and 'target_val', and 'written' by this call.
        With night and fog also 'adverse_train' and 'adverse_val', the number for each. With the
        second source also 'varied', and 'varied_without_KIND' for each kind. With unknown things
        also 'oddities'.

    Raises:
        UserError: An argument out of range, or `out_dir` holds frames of other parameters.
        EnvError: The folder cannot be written, or the disk is full.
    """
    out = Path(out_dir)
    _check(size, workers)
    frames = pair_frames(
        out, source_frames, target_train, target_val, adverse_train, adverse_val, varied,
        varied_without, oddities,
    )  # fmt: skip
    counts = {"source": source_frames, "target_train": target_train, "target_val": target_val}
    if adverse_train or adverse_val:
        counts |= {"adverse_train": adverse_train, "adverse_val": adverse_val}
    if varied:
        counts |= dict.fromkeys((VARIED, *map(without, varied_without)), varied)
    odd = {ODDITIES: oddities} if oddities else {}
    written = _write_claimed(out, frames, counts, seed, size, workers, progress, odd)
    return {**counts, **odd, "written": written}


def write_styles(
    out_dir: str | os.PathLike,
    counts: Mapping[str, int],
    *,
    size: tuple[int, int] = (256, 128),
    seed: int = 0,
    workers: int = 1,
    progress: Progress | None = None,
) -> dict[str, Path]:
    """Write scenes in several styles, one data set in the GTA5 layout for each.

    Existing frames stay, so a folder can grow and be used again.

    Args:
        out_dir: Where to write.
        counts: Number of frames by style.
        size: Width and height of the frames in pixels.
        seed: Chooses the series of scenes.
        workers: Number of processes (see `write_frames`).
        progress: Called with (frames done, frames in all) after each frame.

    Returns:
        The folder of each style.

    Raises:
        UserError: An argument out of range, or `out_dir` holds frames of other parameters.
        EnvError: The folder cannot be written, or the disk is full.
    """
    out = Path(out_dir)
    _check(size, workers)
    frames = [
        frame for style, count in counts.items() for frame in styled_frames(out, style, count)
    ]
    _write_claimed(out, frames, {"first_scene": COMPARED_START}, seed, size, workers, progress)
    return {style: out / style for style in counts}


def _write_claimed(
    out: Path,
    frames: list[Frame],
    parameters: Mapping[str, int],
    seed: int,
    size: tuple[int, int],
    workers: int,
    progress: Progress | None,
    odd: Mapping[str, int] | None = None,
) -> int:
    """Write missing frames into a folder of these parameters; return how many were missing.

    Frames of unknown things have their own parameters, `odd`, in a file beside their pictures.
    """
    drawn = {"renderer": RENDERER_VERSION, "seed": seed, "size": list(size)}
    claim_folder(out, out / MANIFEST, {**drawn, **parameters})
    if odd:
        claim_folder(out / ODDITIES, out / ODDITIES / MANIFEST, {**drawn, **odd})
    return write_frames(frames, seed=seed, size=size, workers=workers, progress=progress)


def claim_folder(out: Path, manifest: Path, parameters: dict) -> None:
    """Record the parameters of a folder in a file, or raise UserError if it has other ones."""
    if manifest.is_file():
        known = read_json(manifest)
        if not isinstance(known, dict):
            known = {}
        if known != parameters:
            differing = [k for k in parameters | known if known.get(k) != parameters.get(k)]
            change = ", ".join(
                f"{key} {known.get(key, 0)} instead of {parameters.get(key, 0)}"
                for key in differing
            )
            raise UserError(
                f"{out}: holds pictures of other parameters ({change})",
                "choose another folder or delete this one",
            )
        return
    write_json(manifest, parameters)


def _written(frames: list[Frame], seed: int, size: tuple[int, int], workers: int) -> Iterator[None]:
    """Write frames in this process or in several; yield after each."""
    if workers == 1:
        for frame in frames:
            write_frame(frame, seed, size)
            yield
        return
    # A process forked while OpenCV threads run may hang. A spawned one starts clean.
    context = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(workers, context, _one_thread) as pool:
        pending = [pool.submit(write_frame, frame, seed, size) for frame in frames]
        try:
            for future in concurrent.futures.as_completed(pending):
                future.result()
                yield
        finally:
            for future in pending:
                future.cancel()


def _one_thread() -> None:
    """Keep OpenCV to one thread in a worker: the workers already use the cores."""
    cv2.setNumThreads(1)


def _check(size: tuple[int, int], workers: int) -> None:
    """Raise UserError for a size or a number of workers out of range."""
    check_size(size)
    if workers < 1:
        raise UserError(f"workers = {workers}", "give 1 or more")


def _label_image(label: np.ndarray, form: str) -> Image.Image:
    """Return a label of raw ids as a picture of a form, see `Frame`."""
    if form == "palette":
        picture = Image.frombytes("P", label.shape[::-1], label.tobytes())
        picture.putpalette(raw_id_palette().tobytes())
        return picture
    train_ids = CITYSCAPES_RAW_IDS.train_ids[label]
    if form == "unknown":
        void = np.where(train_ids == IGNORE_INDEX, np.uint8(IGNORE_INDEX), np.uint8(0))
        return Image.fromarray(np.where(label == DYNAMIC, np.uint8(1), void))
    return Image.fromarray(train_ids if form == "labelTrainIds" else label)
