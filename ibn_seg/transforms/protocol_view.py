"""Images and labels as an evaluation protocol shows them to the network."""

import cv2
import numpy as np
from mmcv.transforms import BaseTransform
from mmengine.registry import TRANSFORMS

from ibn_seg.datasets.labels import IGNORE_INDEX
from ibn_seg.evaluation.protocols import get_protocol


@TRANSFORMS.register_module()
class ProtocolView(BaseTransform):
    """Resize a sample as a protocol says for its domain; after the label is loaded.

    If the protocol resizes labels, image and label are first brought to that size (image bicubic,
    label nearest). They are cut or padded to its square. Then only the image is brought to the
    network's input size (bilinear). mmseg brings predictions back to `ori_shape`, which is set to
    the label's size.

    Required keys: `img`, (H, W, 3) uint8, and `target`. Modified: `img`, `gt_seg_map` if present,
    `img_shape`, `ori_shape`, `scale_factor`.

    Args:
        protocol: Name of a protocol, see `ibn_seg.evaluation.protocols`.

    Raises:
        UserError: There is no such protocol.
    """

    def __init__(self, protocol: str) -> None:
        self.protocol = get_protocol(protocol)

    def transform(self, results: dict) -> dict:
        """Resize `results['img']` and, if the protocol does so, `results['gt_seg_map']`."""
        view = self.protocol.view(results.get("target", ""))
        image, label = results["img"], results.get("gt_seg_map")
        size = image.shape[1::-1]
        wanted = view.label.apply(*size)
        if wanted != size:
            image = cv2.resize(image, wanted, interpolation=cv2.INTER_CUBIC)
            if label is not None:
                label = cv2.resize(label, wanted, interpolation=cv2.INTER_NEAREST_EXACT)
        if view.square is not None:
            image = _centre(image, view.square, 0)
            label = None if label is None else _centre(label, view.square, IGNORE_INDEX)
        scored = image.shape[:2]
        wanted = view.image.apply(*image.shape[1::-1])
        if wanted != image.shape[1::-1]:
            image = cv2.resize(image, wanted, interpolation=cv2.INTER_LINEAR)
        results["img"] = image
        if label is not None:
            results["gt_seg_map"] = label
        results["ori_shape"] = scored
        results["img_shape"] = image.shape[:2]
        results["scale_factor"] = (image.shape[1] / scored[1], image.shape[0] / scored[0])
        return results

    def __repr__(self) -> str:
        return f"{type(self).__name__}(protocol={self.protocol.name!r})"


def _centre(picture: np.ndarray, side: int, fill: int) -> np.ndarray:
    """Return the square in the centre of a picture, with `fill` outside the picture."""
    height, width = picture.shape[:2]
    result = np.full((side, side, *picture.shape[2:]), fill, picture.dtype)
    (top, to_top, rows), (left, to_left, columns) = (
        _overlap(height, side), _overlap(width, side)
    )  # fmt: skip
    result[to_top : to_top + rows, to_left : to_left + columns] = picture[
        top : top + rows, left : left + columns
    ]
    return result


def _overlap(length: int, side: int) -> tuple[int, int, int]:
    """Return the start of a centred cut in the source and in the result, and its length."""
    return max(0, (length - side) // 2), max(0, (side - length) // 2), min(length, side)
