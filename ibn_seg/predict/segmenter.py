"""A trained network that segments pictures in memory."""

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ibn_seg.errors import UserError
from ibn_seg.run.network_colors import network_colors
from ibn_seg.run.setup import trained_network
from ibn_seg.type_names import is_named, short_name

if TYPE_CHECKING:
    from mmengine.config import Config

_ANNOTATION_LOADERS = ("LoadAnnotations", "LoadUrbanLabels")


class Segmenter:
    """A trained network that turns pictures into classes.

    Args:
        config: A path, an `ibn_seg::` name, or a config, which is not changed.
        checkpoint: A .pth file; every weight must fit.
        device: Such as 'cpu' or 'cuda:1'; default the GPU if there is one.
        cfg_options: Values that override the config's, by dotted key.
        fuse: Fold the network's norms into its convolutions first (`ibn_seg.fuse`).
        most_pixels: The most pixels that the network sees at once. Default: 4096 x 2048. A larger
            picture is processed window by window, and its labels are equal up to rounding. If a
            network does not allow windows, it sees the whole picture, and a warning says why.
        temperatures: For each predicted class the number by which a pixel's logits are divided, for
            the confidence alone.

    Attributes:
        classes: The names and colours of its classes.
        palette: The colour of each class in a (classes, 3) uint8 array, RGB.

    Raises:
        UserError: The config, the checkpoint or the device is wrong.
    """

    def __init__(
        self,
        config: "str | os.PathLike | Config",
        checkpoint: str | os.PathLike,
        *,
        device: str | None = None,
        cfg_options: Mapping[str, Any] | None = None,
        fuse: bool = False,
        most_pixels: int | None = None,
        temperatures: Sequence[float] | None = None,
    ) -> None:
        self._temperatures = temperatures
        model, cfg, weights = trained_network(
            config, checkpoint, cfg_options, fuse, reads=("test_pipeline",)
        )
        from mmengine.dataset import Compose

        from ibn_seg.explain.explain import explained
        from ibn_seg.predict.windows.large_images import MOST_PIXELS, LargeImages

        # A failure to predict has its cause in the config.
        self._explained = lambda: explained(cfg, "test_pipeline", "test_dataloader")
        with self._explained():
            self._pipeline = Compose(array_pipeline(cfg))
        self._model = model.to(_device(device))
        self._large = LargeImages(self._model, most_pixels or MOST_PIXELS)
        self.classes = network_colors(model, weights)
        self.palette = np.array(self.classes.palette, np.uint8)

    def __call__(self, image: np.ndarray) -> np.ndarray:
        """Return the index of each pixel's class; for Cityscapes' classes the trainId.

        Args:
            image: H x W x 3 uint8 in BGR order, as OpenCV reads it.

        Returns:
            H x W uint8.
        """
        import torch

        with self._explained(), torch.inference_mode():
            data = self._pipeline({"img": image})
            if self._large.takes(data):
                return self._large.labels(data)
            return _labels_of(self._sample(data))

    def labels_and_levels(self, image: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the index of each pixel's class, and the level of its confidence.

        Args:
            image: H x W x 3 uint8 in BGR order, as OpenCV reads it.

        Returns:
            H x W uint8, and H x W uint16: level L stands for the probability (L + 0.5) / 65536.

        Raises:
            UserError: The network gives no logits, or one is NaN.
        """
        import torch

        from ibn_seg.engine.pixel_confidence import check_gives_logits, confidence_levels

        check_gives_logits(self._model)
        with self._explained(), torch.inference_mode():
            data = self._pipeline({"img": image})
            if self._large.takes(data):
                return self._large.labels_and_levels(data, self._temperatures)
            sample = self._sample(data)
            levels = confidence_levels(sample.seg_logits.data, self._temperatures)
            return _labels_of(sample), levels

    def _sample(self, data: Mapping[str, Any]) -> Any:
        """Return mmseg's sample of a picture that the pipeline has prepared."""
        return self._model.test_step({key: [value] for key, value in data.items()})[0]


def _labels_of(sample: Any) -> np.ndarray:
    return sample.pred_sem_seg.data.squeeze(0).cpu().numpy().astype(np.uint8)


def array_pipeline(cfg: "Config") -> list[dict]:
    """Return the config's test pipeline for pictures in memory, without labels."""
    dataset = (cfg.get("test_dataloader") or {}).get("dataset") or {}
    steps = cfg.get("test_pipeline") or dataset.get("pipeline")
    name = cfg.filename or "config"
    if not steps:
        raise UserError(f"{name}: test_pipeline is missing", "add it; prediction needs it")
    steps = [step for step in steps if not is_named(step.get("type"), *_ANNOTATION_LOADERS)]
    first = short_name(steps[0].get("type")) if steps else "nothing"
    if not first.startswith("Load"):
        raise UserError(
            f"{name}: test_pipeline begins with {first}",
            "let it begin with LoadImageFromFile",
        )
    loader = {"type": "LoadImageFromNDArray"}
    if steps[0].get("to_float32"):
        loader["to_float32"] = True
    return [loader, *steps[1:]]


def _device(given: str | None) -> Any:
    """Return the device to use.

    Raises:
        UserError: The name is not a device's, or the device does not exist.
    """
    import torch

    if given is None:
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(given)
    except RuntimeError as error:
        raise UserError(f"unknown device {given!r}", "such as cpu or cuda:0") from error
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise UserError(
            f"device {given!r} is not there",
            f"PyTorch sees {torch.cuda.device_count()} GPUs; cpu always works",
        )
    return device
