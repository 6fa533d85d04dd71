"""The pipeline step that corrupts a loaded picture."""

from pathlib import Path

import numpy as np
from mmcv.transforms import BaseTransform
from mmengine.registry import TRANSFORMS

from ibn_seg.errors import UserError
from ibn_seg.transforms.corruptions import check_names, check_severities, corrupt, generator


@TRANSFORMS.register_module()
class CorruptImage(BaseTransform):
    """Corrupt a picture; right after `LoadImageFromFile`, labels untouched.

    Random parts depend only on the seed and the picture's domain and file name, see
    `ibn_seg.transforms.corruptions.generator`.

    Required keys: `img`, (H, W, 3) BGR, uint8 or float of that range, and `img_path`. Modified:
    `img`, of the same shape and type.

    Args:
        corruption: A name in `ibn_seg.transforms.corruptions.CORRUPTIONS`.
        severity: 1 to 5.
        seed: Chooses noise and directions.

    Raises:
        UserError: There is no such corruption or severity, or a key is missing.
    """

    def __init__(self, corruption: str, severity: int, seed: int = 0) -> None:
        (self.corruption,) = check_names([corruption])
        (self.severity,) = check_severities([severity])
        self.seed = seed

    def transform(self, results: dict) -> dict:
        """Change `results['img']`."""
        for key in ("img", "img_path"):
            if key not in results:
                raise UserError(
                    f"CorruptImage: {key!r} is missing", "put it right after LoadImageFromFile"
                )
        image = results["img"]
        picture = f"{results.get('target', '')}/{Path(results['img_path']).name}"
        rgb = np.ascontiguousarray(np.rint(image[..., ::-1]).astype(np.uint8))
        changed = corrupt(
            rgb, self.corruption, self.severity, generator(self.seed, self.corruption, picture)
        )
        results["img"] = np.ascontiguousarray(changed[..., ::-1]).astype(image.dtype)
        return results

    def __repr__(self) -> str:
        given = f"corruption={self.corruption!r}, severity={self.severity}, seed={self.seed}"
        return f"{type(self).__name__}({given})"
