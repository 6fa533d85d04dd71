"""A data preprocessor that applies the draws of `AppearanceTransform`s; its import loads mmseg."""

from typing import Any

from mmseg.models.data_preprocessor import SegDataPreProcessor

from ibn_seg.transforms.appearance import RECORD
from ibn_seg.transforms.tensor_operations import applied


class AppearancePreProcessor(SegDataPreProcessor):
    """mmseg's `SegDataPreProcessor`, but each image's recorded changes are applied first.

    They are applied on the network's device, only in training, before normalisation and padding.
    Without a record, and in testing, it behaves as in mmseg. The arguments are mmseg's too. In a
    config, with the transforms that have `on_device=True`:

        model = dict(data_preprocessor=dict(type='AppearancePreProcessor'))

    Off by default: it has been tested on a CPU and never been run on a GPU. A conversion through
    HSV (`Uint8PhotoMetricDistortion`) takes a table of 35 MB of the device's memory.
    """

    def forward(self, data: dict, training: bool = False) -> dict[str, Any]:
        """Return the batch as the network takes it; see `SegDataPreProcessor.forward`."""
        samples = data.get("data_samples")
        if training and samples is not None:
            images = self.cast_data(data["inputs"])
            pairs = zip(images, samples, strict=True)
            images = [applied(image, sample.get(RECORD) or ()) for image, sample in pairs]
            data = {**data, "inputs": images}
        return super().forward(data, training)
