"""Fills a cache of decoded frames before training, in several processes."""

import concurrent.futures
import contextlib
import multiprocessing
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ibn_seg.config import load_config
from ibn_seg.errors import UserError
from ibn_seg.run import setup

if TYPE_CHECKING:
    from mmengine.config import Config

Progress = Callable[[int, int], None]
# A killed writer leaves its temporary file. No live writer takes this long.
_ABANDONED_S = 3600


def build_cache(
    config: "str | os.PathLike | Config",
    cache_dir: str | os.PathLike | None = None,
    *,
    codec: str | None = None,
    workers: int = 1,
    cfg_options: Mapping[str, Any] | None = None,
    progress: Progress | None = None,
) -> dict[str, int]:
    """Put every training frame of a config into the cache that its data sets name.

    Frames with up-to-date entries are only checked, so a repeated call resumes an interrupted one.
    Training or another call may run at the same time.

    Args:
        config: A path, an `ibn_seg::` name, or a config, which is not changed.
        cache_dir: The folder, in place of the data sets' `cache_dir`.
        codec: As in `FrameCache`, in place of the data sets' `cache_codec`.
        workers: Number of processes. With more than one, the calling script needs the usual `if
            __name__ == "__main__":`.
        cfg_options: Values that override the config's, by dotted key.
        progress: Called with (frames done, frames in all) after each.

    Returns:
        Numbers of 'frames' and of 'made' entries (a frame has two). And the bytes of all entries
        ('bytes') and of their source files ('source_bytes').

    Raises:
        UserError: The config is wrong, no data set has a cache or reads it, or a file is missing or
            damaged.
        EnvError: The folder cannot be written, the disk is full, or the codec's package is missing.
    """
    if workers < 1:
        raise UserError(f"workers = {workers}", "give 1 or more")
    from ibn_seg.explain.explain import explained

    setup.register()
    cfg = load_config(config, cfg_options)
    if not cfg.get("train_dataloader"):
        raise UserError(f"{cfg.filename or 'config'}: train_dataloader is missing", "nothing to do")
    with explained(cfg):
        infos = _infos(cfg.train_dataloader.dataset, cache_dir, codec)
    total = {"frames": 0, "made": 0, "bytes": 0, "source_bytes": 0}
    for folder in {info["frame_cache"].folder for info in infos}:
        setup.check_writable(folder)
        _remove_abandoned(folder)
    for done, sizes in enumerate(_filled(infos, min(workers, len(infos))), start=1):
        total = {key: total[key] + sizes[key] for key in total}
        if progress:
            progress(done, len(infos))
    return total


def _infos(
    dataset: Mapping[str, Any], cache_dir: str | os.PathLike | None, codec: str | None
) -> list[dict]:
    """Return the samples of all data sets in a data set's config, with the cache of each."""
    from mmengine.registry import init_default_scope
    from mmseg.registry import DATASETS

    from ibn_seg.datasets.base import UrbanSceneDataset
    from ibn_seg.datasets.cache import FrameCache
    from ibn_seg.engine.sampling import members

    init_default_scope("mmseg")
    infos = []
    for part in members(DATASETS.build(dataset)):
        if not isinstance(part, UrbanSceneDataset):
            raise UserError(
                f"{type(part).__name__} cannot be cached", "use the data sets of ibn_seg"
            )
        cache = part.cache
        if cache_dir is not None or codec is not None:
            folder = cache_dir if cache_dir is not None else cache and cache.folder
            known = codec or (cache.codec if cache else "zstd")
            cache = FrameCache(folder, known) if folder else None
        if cache is None:
            raise UserError(
                f"{type(part).__name__}: no cache_dir",
                "give --dir, or set train_dataloader.dataset.cache_dir",
            )
        part.check_cache_is_read()
        infos += [{**part.get_data_info(i), "frame_cache": cache} for i in range(len(part))]
    return infos


def _filled(infos: Sequence[dict], workers: int) -> Iterator[dict[str, int]]:
    """Fill the cache in this process or in several; yield each frame's counts."""
    if workers <= 1:
        yield from map(_fill, infos)
        return
    # A process forked while OpenCV threads run may hang. A spawned one starts clean.
    context = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(workers, context, _start_worker) as pool:
        pending = [pool.submit(_fill, info) for info in infos]
        try:
            for future in concurrent.futures.as_completed(pending):
                yield future.result()
        finally:
            for future in pending:
                future.cancel()


def _start_worker() -> None:
    """Keep OpenCV to one thread, because workers already use the cores; import quietly."""
    import cv2

    cv2.setNumThreads(1)
    setup.register()


def _fill(info: dict) -> dict[str, int]:
    """Make the missing entries of one frame and return its counts."""
    from mmcv.transforms import LoadImageFromFile

    from ibn_seg.transforms.random_crop import open_frame

    entries = open_frame(info, LoadImageFromFile())
    sources = (info["img_path"], info["seg_map_path"])
    return {
        "frames": 1,
        "made": sum(entry.made for entry in entries),
        "bytes": sum(entry.size for entry in entries),
        "source_bytes": sum(os.path.getsize(source) for source in sources),
    }


def _remove_abandoned(folder: Path) -> None:
    """Remove the temporary files of killed writers."""
    from ibn_seg.datasets.cache import SUFFIX

    for path in folder.glob(f"??/.*.tmp{SUFFIX}"):
        with contextlib.suppress(FileNotFoundError):
            if time.time() - path.stat().st_mtime > _ABANDONED_S:
                path.unlink()
