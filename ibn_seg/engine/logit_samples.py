"""Keeps the logits of some labelled pixels of every image of a test."""

import hashlib
import os
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmengine.runner import Runner

from ibn_seg.engine.pixel_confidence import check_gives_logits
from ibn_seg.errors import UserError


class LogitSampleHook(Hook):
    """Collect logits and labels of pixels, drawn by the name of their image.

    Args:
        most: The most pixels of an image. If it has more, they are drawn without replacement.
        ignore_index: The label of pixels that do not count.

    Attributes:
        pixels: Of each image, in their order, (P, C) float32 logits and (P,) uint8 labels.
    """

    needs_logits = True

    def __init__(self, most: int, ignore_index: int = 255) -> None:
        self._most, self._ignored = most, ignore_index
        self.pixels: list[tuple[np.ndarray, np.ndarray]] = []

    def before_test(self, runner: Runner) -> None:
        """Begin; the network must give logits."""
        self.pixels.clear()
        model = runner.model
        check_gives_logits(model.module if is_model_wrapper(model) else model)

    def after_test_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Sequence = ()
    ) -> None:
        """Keep pixels of a batch."""
        for sample in outputs:
            logits, label = sample.seg_logits.data, sample.gt_sem_seg.data.squeeze(0)
            if len(logits) < 2:
                raise UserError("temperature: the network has one output", "two or more are needed")
            label = label.flatten().cpu()
            places = (label != self._ignored).nonzero()[:, 0]
            if len(places) > self._most:
                name = os.fsencode(os.path.basename(sample.get("img_path") or ""))
                seed = int.from_bytes(hashlib.sha256(name).digest()[:8], "big")
                drawn = np.random.default_rng(seed).choice(len(places), self._most, replace=False)
                places = places[torch.from_numpy(np.sort(drawn))]
            kept = logits.flatten(1)[:, places.to(logits.device)].T.float().cpu().numpy()
            self.pixels.append((kept, label[places].numpy()))
