"""Predictions of a test run as trainId PNGs, for evaluation by other programs."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.hooks import Hook
from mmengine.registry import HOOKS
from mmengine.runner import Runner

from ibn_seg.errors import EnvError
from ibn_seg.io import write_bytes


def encode_png(image: np.ndarray) -> bytes:
    """Return an 8-bit image (H x W grey, or H x W x 3 in BGR order) as a PNG file."""
    import cv2

    done, data = cv2.imencode(".png", image)
    if not done:
        raise EnvError("OpenCV cannot write PNG files", "install opencv-python-headless again")
    return data.tobytes()


@HOOKS.register_module()
class SavePredictionsHook(Hook):
    """Write each prediction of a test as `OUT/DOMAIN/NAME.png`, 8-bit grey trainIds.

    Args:
        out_dir: The folder.
    """

    needs_logits = False

    def __init__(self, out_dir: str) -> None:
        self.out_dir = Path(out_dir)

    def after_test_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Sequence = ()
    ) -> None:
        """Write the predictions of a batch."""
        for sample in outputs:
            labels = sample.pred_sem_seg.data.squeeze(0).cpu().numpy().astype(np.uint8)
            folder = self.out_dir / str(sample.get("target", ""))
            write_bytes(folder / f"{Path(sample.img_path).stem}.png", encode_png(labels))
