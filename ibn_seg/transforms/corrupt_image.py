"""The pipeline step that corrupts a loaded picture."""

from pathlib import Path

import numpy as np
from mmcv.transforms import BaseTransform
from mmengine.registry import TRANSFORMS

from ibn_seg.errors import UserError
from ibn_seg.transforms.corruption_sets import FROST, corrupted, planned_conditions
from ibn_seg.transforms.imagenet_c.weathers import frost_folder


@TRANSFORMS.register_module()
class CorruptImage(BaseTransform):
    """Corrupt a picture; right after `LoadImageFromFile`, labels untouched.

    Random parts depend only on the seed and the picture's domain and file name, see
    `ibn_seg.transforms.corruptions.generator`.

    Required keys: `img`, (H, W, 3) BGR, uint8 or float of that range, and `img_path`. Modified:
    `img`, of the same shape and type.

    Args:
        corruption: A name in `ibn_seg.transforms.corruption_sets.NAMES`, such as `haze` or
            `imagenet_c.fog`.
        severity: 1 to 5.
        seed: Chooses noise and directions.
        frost: The folder of the pictures of frost, for `imagenet_c.frost`. Default: that of the
            environment variable IBN_SEG_FROST.

    Raises:
        UserError: There is no such corruption or severity, or a key is missing.
    """

    def __init__(
        self, corruption: str, severity: int, seed: int = 0, frost: str | None = None
    ) -> None:
        found = planned_conditions([corruption], [severity], frost)
        if len(found) > 1:
            raise UserError(f"CorruptImage: {corruption!r} is a set", "name one corruption")
        ((self.corruption, self.severity),) = found
        self.seed = seed
        self.frost = frost_folder(frost) if corruption == FROST else None

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
        changed = corrupted(
            rgb, self.corruption, self.severity, seed=self.seed, picture=picture, frost=self.frost
        )
        results["img"] = np.ascontiguousarray(changed[..., ::-1]).astype(image.dtype)
        return results

    def __repr__(self) -> str:
        given = f"corruption={self.corruption!r}, severity={self.severity}, seed={self.seed}"
        return f"{type(self).__name__}({given})"
