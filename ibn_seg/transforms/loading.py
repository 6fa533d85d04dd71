"""Loading of label files; pictures are loaded by mmcv's `LoadImageFromFile`."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from mmcv.transforms import BaseTransform
from mmengine.registry import TRANSFORMS

from ibn_seg.datasets.formats import map_ids, read_values
from ibn_seg.datasets.orientation import advice_on_sizes
from ibn_seg.errors import UserError


@TRANSFORMS.register_module()
class LoadUrbanLabels(BaseTransform):
    """Load a label file, check it, and map its values to trainIds.

    Palette PNGs are read as indices and grey ones as values, both by Pillow. OpenCV cannot read
    indices. For a grey label of 2048x1024 Pillow takes 5.5 ms and OpenCV 5.2 ms (one core), too
    little to justify a second path. Mapping and checking the values take 1.4 ms together.

    Images are loaded upright, following their EXIF. Labels are read as they are stored, so a label
    has to be upright in its file (`ibn_seg.datasets.orientation`).

    Required keys: `seg_map_path`, `label_table` (set by `UrbanSceneDataset`) and `ori_shape` (set
    by the image's loading step, which comes first). Added keys: `gt_seg_map`, (H, W) uint8 trainIds
    at the file's own size with 255 for ignored pixels, also listed in `seg_fields`. A sample
    without `seg_map_path`, as in inference on pictures, passes unchanged.

    Raises:
        UserError: The file cannot be read, is no label file or has another size than its image. Or
            it holds a value that its table does not know.
    """

    def transform(self, results: dict) -> dict:
        """Add `gt_seg_map` to `results`."""
        path = results.get("seg_map_path")
        if path is None:
            return results
        for key, source in (
            ("label_table", "use a data set of ibn_seg, or LoadAnnotations with mmseg's own"),
            ("ori_shape", "put LoadUrbanLabels after LoadImageFromFile"),
        ):
            if key not in results:
                raise UserError(f"LoadUrbanLabels: {key!r} is missing", source)
        results["gt_seg_map"] = read_train_ids(results)
        results.setdefault("seg_fields", []).append("gt_seg_map")
        return results

    def __repr__(self) -> str:
        return f"{type(self).__name__}()"


def read_train_ids(results: Mapping[str, Any]) -> np.ndarray:
    """Return the trainIds of a sample's label file, (H, W) uint8, at the file's own size.

    Args:
        results: A sample with `seg_map_path`, `label_table` and `ori_shape`.

    Raises:
        UserError: The file cannot be read, is no label file or has another size than its image. Or
            it holds an unknown value.
    """
    path, table = results["seg_map_path"], results["label_table"]
    ids = read_values(path, table, results.get("segments"))
    check_label_size(results, ids.shape)
    return map_ids(ids, table, path)


def check_label_size(results: Mapping[str, Any], shape: tuple[int, ...]) -> None:
    """Raise the error for a label of another size than its image.

    Args:
        results: A sample with `seg_map_path` and `ori_shape`.
        shape: The label's; height and width come first.
    """
    height, width = results["ori_shape"][:2]
    if shape[:2] != (height, width):
        path, label = results.get("img_path"), (shape[1], shape[0])
        exif = advice_on_sizes(path, (width, height), label) if path else None
        raise UserError(
            f"{results['seg_map_path']}: label of {shape[1]}x{shape[0]} pixels for an image of "
            f"{width}x{height} ({path})",
            exif or "both must have the same size; unpack both again or move the pair away",
        )
