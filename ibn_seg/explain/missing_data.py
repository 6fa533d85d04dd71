"""Find data that a pipeline, a data preprocessor or a loss does not give to the next step."""

from collections.abc import Sequence

from mmcv.transforms import BaseTransform

from ibn_seg.errors import UserError
from ibn_seg.explain.blame import Frame, Place

_LABELS = "add LoadUrbanLabels, or LoadAnnotations, before PackSegInputs"


def missing_data(error: Exception, place: Place, frames: Sequence[Frame]) -> UserError | None:
    """Return the line for data that a step needs and no step before it gives, or None.

    Args:
        error: The error that was raised.
        place: The part of the config that raised.
        frames: The frames of the error.
    """
    text = str(error)
    if isinstance(error, KeyError) and isinstance(frames[-1].owner, BaseTransform):
        return UserError(
            f"{place.path}: {type(frames[-1].owner).__name__} needs {text}, but no step before it "
            "gives that",
            "add a step that does, such as LoadImageFromFile for 'img'",
        )
    if place.path == "model.data_preprocessor" and text in ("'inputs'", "'data_samples'"):
        return UserError(
            f"{place.path} gets samples without {text}", "end the pipelines with PackSegInputs"
        )
    if isinstance(error, AttributeError) and "gt_sem_seg" in text:
        return UserError(f"{place.path} gets samples without labels", _LABELS)
    if isinstance(error, TypeError) and "got (list, Parameter" in text:
        return UserError(
            "model.data_preprocessor leaves images in a list, but the network needs one tensor",
            "use type='SegDataPreProcessor'",
        )
    if isinstance(error, AttributeError) and text.endswith("has no attribute 'backward'"):
        return UserError("model has no loss to learn from", "give its heads a loss_decode")
    return None
