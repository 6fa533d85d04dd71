"""Load, resize, crop and flip in one step that touches only the pixels under the crop.

The result equals mmcv's and mmseg's chain `LoadImageFromFile`, `LoadUrbanLabels`, `RandomResize`,
`RandomCrop`, `RandomFlip`. It is the same bit for bit, with the same draws from numpy's generator.
The chain decodes and resizes the whole frame and sorts whole crops of labels.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any

import cv2
import mmcv
import numpy as np
from mmcv.transforms import BaseTransform, LoadImageFromFile, RandomFlip, RandomResize
from mmengine.registry import TRANSFORMS

from ibn_seg.datasets.cache import Entry, FrameCache, label_kind
from ibn_seg.datasets.formats import check_image_file, explained_decoding
from ibn_seg.datasets.labels import IGNORE_INDEX
from ibn_seg.errors import UserError
from ibn_seg.transforms.loading import check_label_size, read_train_ids

# mmseg's RandomCrop draws ten further crops at most, and so does DAFormer for a class.
_RETRIES = 10
# Bilinear resizing reads the pixel beyond the last.
_MARGIN = 2
Window = tuple[int, int, int, int]


@TRANSFORMS.register_module()
class LoadRandomCrop(BaseTransform):
    """Load a random crop of a randomly resized frame, flipped at random, with its label.

    Replaces `LoadImageFromFile`, `LoadUrbanLabels`, `RandomResize`, `RandomCrop` and `RandomFlip`
    at the start of a training pipeline. With the data set's `cache_dir`, frames are read from its
    cache. Otherwise whole files are decoded.

    Required keys: `img_path`, `seg_map_path` and `label_table`, which `UrbanSceneDataset` sets, and
    `frame_cache` if there is one. Added keys: the same as by the transforms that it replaces.

    A sampler may request a crop; the draws then differ from mmseg's. `crop_class` has a trainId and
    the number of its pixels that the crop should exceed. Scale and crop are drawn again for it, up
    to ten times. `crop_center` has the (row, column) of a pixel of the file that the crop should
    hold. `cat_max_ratio` then does not count.

    Args:
        scale: (width, height) that the ratio multiplies, or two such pairs to draw between, as in
            `RandomResize`.
        crop_size: (height, width) of the crop, or one number for both. A smaller frame gives a
            smaller crop.
        ratio_range: Lowest and highest ratio, with one pair as `scale`.
        keep_ratio: Fit the frame into the scale rather than stretch it.
        cat_max_ratio: Draw again, at most ten times, if one class covers this share of the crop's
            labelled pixels or more.
        flip_prob: Probability of the horizontal flip.
        frame_steps: Transforms of the whole frame before it is resized, such as `PASTA`. Frames
            are then decoded or read from the cache whole.

    Raises:
        UserError: A setting is out of its range, or a file is missing, damaged or of the wrong
            kind.
        EnvError: An entry of the cache cannot be written.
    """

    # The data set leaves the check of the files to this transform.
    checks_files = True

    def __init__(
        self,
        scale: Sequence,
        crop_size: int | Sequence[int],
        ratio_range: tuple[float, float] | None = None,
        keep_ratio: bool = True,
        cat_max_ratio: float = 1.0,
        flip_prob: float = 0.5,
        frame_steps: Sequence[Mapping[str, Any]] = (),
    ) -> None:
        size = (crop_size, crop_size) if isinstance(crop_size, int) else tuple(crop_size)
        if len(size) != 2 or not all(isinstance(side, int) and side > 0 for side in size):
            raise UserError(f"LoadRandomCrop: crop_size={crop_size!r}", "give (height, width)")
        pairs = [scale] if np.ndim(scale) == 1 else scale
        if np.shape(pairs) not in ((1, 2), (2, 2)) or np.min(pairs) < 1:
            raise UserError(
                f"LoadRandomCrop: scale={scale!r}", "give (width, height), or two such pairs"
            )
        if np.ndim(scale) == 1 and (
            ratio_range is None or not 0 < ratio_range[0] <= ratio_range[1]
        ):
            raise UserError(
                f"LoadRandomCrop: ratio_range={ratio_range!r}", "give (lowest, highest) over 0"
            )
        for name, value in (("cat_max_ratio", cat_max_ratio), ("flip_prob", flip_prob)):
            if not 0 <= value <= 1:
                raise UserError(f"LoadRandomCrop: {name}={value!r}", "allowed: 0..1")
        self.crop_size = size
        self.keep_ratio = keep_ratio
        self.cat_max_ratio = cat_max_ratio
        self._load = LoadImageFromFile()
        self._scale = RandomResize(
            scale=tuple(scale) if np.ndim(scale) == 1 else [tuple(pair) for pair in scale],
            ratio_range=ratio_range,
            keep_ratio=keep_ratio,
        )
        self._flip = RandomFlip(prob=float(flip_prob))
        self.frame_steps = [TRANSFORMS.build(dict(step)) for step in frame_steps]

    @property
    def needs_partner(self) -> bool:
        """Whether a transform of the whole frame needs another image of the data set."""
        return any(getattr(step, "needs_partner", False) for step in self.frame_steps)

    def transform(self, results: dict) -> dict:
        """Add the crop and its label to `results`."""
        frame = _Frame(results, self._load)
        height, width = frame.size
        read = self._changed(frame, results) if self.frame_steps else frame.image
        for _ in range(_RETRIES + 1):
            scale = self._scale._random_scale()
            new = self._new_size(width, height, scale)
            rows, columns = nearest_indices(height, new[1]), nearest_indices(width, new[0])
            window, label = self._choose_crop(frame, rows, columns, results.get("crop_center"))
            if _shows(label, results.get("crop_class")):
                break
        image = resized_window(read, (height, width), new, window)
        direction = self._flip._choose_direction()
        if direction is not None:
            image, label = cv2.flip(image, 1), cv2.flip(label, 1)
            results["swap_seg_labels"] = None
        results.update(
            img=image,
            gt_seg_map=label,
            img_shape=image.shape[:2],
            ori_shape=(height, width),
            scale=scale,
            scale_factor=(new[0] / width, new[1] / height),
            keep_ratio=self.keep_ratio,
            flip=direction is not None,
            flip_direction=direction,
        )
        results.setdefault("seg_fields", []).append("gt_seg_map")
        return results

    def _changed(self, frame: "_Frame", results: dict) -> Callable[..., np.ndarray]:
        """Return what reads the frame after the transforms of the whole frame."""
        height, width = frame.size
        sample = {**results, "img": frame.image(0, height, 0, width)}
        for step in self.frame_steps:
            sample = step(sample)
        return lambda *window: sample["img"]

    def _new_size(self, width: int, height: int, scale: tuple[int, int]) -> tuple[int, int]:
        """Return the (width, height) to which mmcv resizes the frame."""
        return mmcv.rescale_size((width, height), scale) if self.keep_ratio else scale

    def _choose_crop(
        self,
        frame: "_Frame",
        rows: np.ndarray,
        columns: np.ndarray,
        center: tuple[int, int] | None,
    ) -> tuple[Window, np.ndarray]:
        """Draw crops as mmseg's `RandomCrop` does, or one at a centre; return it and its label."""
        if center is not None:
            # The resized row at the position of the source's row.
            factors = len(rows) / frame.size[0], len(columns) / frame.size[1]
            middle = [int(at * factor) for at, factor in zip(center, factors, strict=True)]
            window = self._draw_around(len(rows), len(columns), middle)
            return window, frame.label(rows, columns, window)
        window = self._draw(len(rows), len(columns))
        if self.cat_max_ratio >= 1:
            return window, frame.label(rows, columns, window)
        for _ in range(_RETRIES):
            label = frame.label(rows, columns, window)
            if is_varied(label, self.cat_max_ratio):
                return window, label
            window = self._draw(len(rows), len(columns))
        return window, frame.label(rows, columns, window)

    def _draw(self, height: int, width: int) -> Window:
        """Draw the rows and columns of a crop of a resized frame."""
        tall, wide = self.crop_size
        top = np.random.randint(0, max(height - tall, 0) + 1)
        left = np.random.randint(0, max(width - wide, 0) + 1)
        return top, min(top + tall, height), left, min(left + wide, width)

    def _draw_around(self, height: int, width: int, middle: Sequence[int]) -> Window:
        """Draw a crop that holds a point of a resized frame."""
        window: list[int] = []
        for length, size, at in zip((height, width), self.crop_size, middle, strict=True):
            begin = np.random.randint(at - size + 1, at + 1)
            begin = min(max(begin, 0), max(length - size, 0))
            window += [begin, min(begin + size, length)]
        return tuple(window)

    def __repr__(self) -> str:
        return (
            f"{type(self).__name__}(scale={self._scale.scale}, crop_size={self.crop_size}, "
            f"ratio_range={self._scale.ratio_range}, keep_ratio={self.keep_ratio}, "
            f"cat_max_ratio={self.cat_max_ratio}, flip_prob={self._flip.prob})"
        )


class _Frame:
    """An image and its label, read in windows: from a cache, or from the decoded file.

    Args:
        results: The sample.
        load: Loads a picture in the same way as the chain.

    Attributes:
        size: (H, W).
    """

    def __init__(self, results: dict, load: LoadImageFromFile) -> None:
        self._results = results
        self._load = load
        self._pair = open_frame(results, load)
        self.size = tuple(self._pair[0].shape[:2])

    def image(self, *window: int) -> np.ndarray:
        """Return the image, (H, W, 3); only its window is sure to hold the right pixels."""
        return self._read(0, window)

    def _read(self, which: int, window: Sequence[int]) -> np.ndarray:
        """Read the image (0) or the label (1); write damaged entries of the cache again, once."""
        source = self._pair[which]
        if not isinstance(source, Entry):
            return source
        try:
            return source.canvas(*window)
        except LookupError:
            self._pair = open_frame(self._results, self._load, anew=True)
            return self._pair[which].canvas(*window)

    def label(self, rows: np.ndarray, columns: np.ndarray, window: Window) -> np.ndarray:
        """Return a window of the label resized by nearest neighbours.

        Args:
            rows: The source row of each row of the resized label.
            columns: The source column of each of its columns.
            window: The window of the resized label.
        """
        top, bottom, left, right = window
        rows, columns = rows[top:bottom], columns[left:right]
        area = [int(end) for end in (rows[0], rows[-1] + 1, columns[0], columns[-1] + 1)]
        canvas = self._read(1, area).reshape(self.size)
        # Taking whole rows, of the transposed picture too, is twice as fast as taking columns.
        tall = cv2.transpose(canvas[area[0] : area[1], area[2] : area[3]])
        tall = cv2.transpose(np.take(tall, columns - columns[0], axis=0))
        return np.take(tall, rows - rows[0], axis=0)


def _shows(label: np.ndarray, wanted: tuple[int, float] | None) -> bool:
    """Tell whether a crop shows more pixels of the wanted class than requested."""
    return wanted is None or cv2.countNonZero(cv2.compare(label, wanted[0], cv2.CMP_EQ)) > wanted[1]


def open_frame(
    results: dict, load: LoadImageFromFile, anew: bool = False
) -> tuple[Entry | np.ndarray, Entry | np.ndarray]:
    """Return a sample's image and label: entries of its cache, or whole arrays without one.

    Sets `ori_shape`.

    Args:
        results: The sample.
        load: Loads a picture.
        anew: Make the entries again, even if they exist.

    Raises:
        UserError: A file is missing, damaged or of the wrong kind.
        EnvError: An entry cannot be written.
    """
    for key, fix in (
        ("seg_map_path", "LoadRandomCrop is for training, which needs labels"),
        ("label_table", "use a data set of ibn_seg"),
    ):
        if results.get(key) is None:
            raise UserError(f"LoadRandomCrop: {key!r} is missing", fix)
    cache: FrameCache | None = results.get("frame_cache")

    def decode_image() -> np.ndarray:
        check_image_file(results["img_path"])
        with explained_decoding(results["img_path"]):
            return load({"img_path": results["img_path"]})["img"]

    def decode_label() -> np.ndarray:
        check_image_file(results["seg_map_path"])
        return read_train_ids(results)

    if cache is None:
        image = decode_image()
        results["ori_shape"] = image.shape[:2]
        return image, decode_label()
    entry = cache.write if anew else cache.open
    image = entry(results["img_path"], "image", decode_image)
    results["ori_shape"] = image.shape[:2]
    label = entry(results["seg_map_path"], label_kind(results), decode_label)
    check_label_size(results, label.shape)
    return image, label


@lru_cache(maxsize=64)
def nearest_indices(old: int, new: int) -> np.ndarray:
    """Return the source among `old` rows for each of `new` rows in OpenCV's nearest resizing."""
    indices = cv2.resize(
        np.arange(old, dtype=np.int32)[None], (new, 1), interpolation=cv2.INTER_NEAREST
    )[0]
    indices.setflags(write=False)
    return indices


def resized_window(
    read: Callable[[int, int, int, int], np.ndarray],
    old: tuple[int, int],
    new: tuple[int, int],
    window: Window,
) -> np.ndarray:
    """Return a window of a picture resized bilinearly, as if the whole had been resized.

    OpenCV's phase is fixed at the picture's corner. So the resized part begins there and ends
    behind the window; outside the window its pixels may differ from the picture's.

    Args:
        read: Returns the picture; pixels are right at least in the window (top, bottom, left,
            right).
        old: (H, W) of the picture.
        new: (width, height) of the resized picture.
        window: (top, bottom, left, right) in it.
    """
    (height, width), (top, bottom, left, right) = old, window
    if new == (width, height):
        return read(*window)[top:bottom, left:right].copy()
    down, across = new[1] / height, new[0] / width
    first_row, last_row = _source_range(top, bottom, down, height)
    first_column, last_column = _source_range(left, right, across, width)
    if (round(last_row * down), round(last_column * across)) == (last_row, last_column):
        # OpenCV would copy a part whose size stays the same, and not shift its pixels.
        first_row, last_row, first_column, last_column = 0, height, 0, width
    picture = read(first_row, last_row, first_column, last_column)[:last_row, :last_column]
    # OpenCV uses fx and fy as given; with a size, it would divide the sizes.
    resized = cv2.resize(picture, None, fx=across, fy=down, interpolation=cv2.INTER_LINEAR)
    return resized[top:bottom, left:right]


def _source_range(begin: int, end: int, factor: float, length: int) -> tuple[int, int]:
    """Return which of `length` source rows are read for rows begin..end, resized by a factor."""
    return max(0, int(begin / factor) - _MARGIN), min(length, int(end / factor) + 1 + _MARGIN)


def is_varied(label: np.ndarray, cat_max_ratio: float) -> bool:
    """Tell if a crop has two classes and none covers too much, as mmseg's `RandomCrop` does.

    Args:
        label: (H, W) uint8 trainIds.
        cat_max_ratio: The share of the labelled pixels that no class may reach.
    """
    # OpenCV's counts are float32, exact below 2^24 pixels; np.unique takes 20 times as long.
    counts = cv2.calcHist([label], [0], None, [256], [0, 256]).ravel()[:IGNORE_INDEX]
    counts = counts.astype(np.int64)
    present = counts[counts > 0]
    return len(present) > 1 and present.max() / present.sum() < cat_max_ratio
