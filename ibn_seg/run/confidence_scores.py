"""Measures of trust of predictions in files that have pictures of confidence."""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ibn_seg.errors import UserError

if TYPE_CHECKING:
    from ibn_seg.datasets.base import UrbanSceneDataset
    from ibn_seg.datasets.class_map import ClassMap
    from ibn_seg.evaluation.stored import StoredConfusions
    from ibn_seg.trust.image_confidences import ImageHistogram

# Beside the result file, whose key `confidences` names it.
CONFIDENCE_FILE = "test_confidences.npz"


@dataclass(frozen=True, eq=False)
class CountedImage:
    """The counts of one image.

    Attributes:
        domain: Its domain.
        image: Its file.
        confusion: As in `ibn_seg.evaluation.confusion`.
        histogram: Its confidences in bins of the log-odds; None without a picture of confidence.
        levels: (3, 65536) int32, the same pixels by 16-bit level.
    """

    domain: str
    image: str
    confusion: np.ndarray
    histogram: "ImageHistogram | None" = None
    levels: np.ndarray | None = None


def found_confidences(dataset: "UrbanSceneDataset", folder: Path) -> dict[str, Path]:
    """Return the picture of confidence of each image, by the image's file; none without any.

    Raises:
        UserError: Some images have one and others do not.
    """
    from ibn_seg.engine.predictions import images_of, prediction_names
    from ibn_seg.trust.confidence_files import CONFIDENCE, paired_name

    found, missing = {}, []
    for file, spellings in prediction_names(images_of(dataset)).items():
        paths = [folder / paired_name(name, CONFIDENCE) for name in spellings]
        here = [path for path in paths if path.is_file()]
        if here:
            found[file] = here[0]
        else:
            missing.append(paths[0])
    if found and missing:
        more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
        raise UserError(
            f"{missing[0]}{more}: no such picture of confidence, and other images have one",
            "give one for every image of the domain, or for none",
        )
    return found


def count_confidence(
    counted: CountedImage,
    path: Path,
    predicted: np.ndarray,
    label: np.ndarray,
    num_classes: int,
    mapping: "ClassMap | None",
) -> CountedImage:
    """Return an image's counts with those of its confidence.

    Args:
        counted: The image.
        path: Its picture of confidence.
        predicted: (H, W) the network's classes.
        label: (H, W) classes or groups, 255 for pixels that do not count.
        num_classes: The number of the network's classes.
        mapping: The map to the groups of the labels, if they have others.

    Raises:
        UserError: The picture is not of 16 bits, or of another size than the prediction.
    """
    from ibn_seg.trust.confidence_bins import LEVELS, LOG_ODDS
    from ibn_seg.trust.confidence_files import read_levels
    from ibn_seg.trust.image_confidences import count_image

    levels = read_levels(path, predicted.shape)
    meant = predicted if mapping is None else mapping.lookup[predicted]
    known = label != 255
    right = known & (meant == label)
    # Pixels that do not count may hold any value.
    histogram = count_image(
        LOG_ODDS, np.where(known, predicted, 0), (levels + 0.5) / LEVELS.count, label,
        num_classes=num_classes, right=right,
    )  # fmt: skip
    by_level = [np.bincount(levels[m], minlength=LEVELS.count) for m in (known & ~right, right)]
    by_level.append(np.zeros(LEVELS.count, np.int64))
    return replace(counted, histogram=histogram, levels=np.stack(by_level).astype(np.int32))


@dataclass
class DomainTrust:
    """Collects the confidences of domains, image by image.

    Attributes:
        histograms: Those of each domain's images, in their order.
        levels: (3, 65536) pixels of each domain by 16-bit level.
    """

    histograms: "dict[str, list[ImageHistogram]]" = field(default_factory=dict)
    levels: dict[str, np.ndarray] = field(default_factory=dict)

    def add(self, images: Iterable[CountedImage]) -> None:
        """Take the next images; those without confidence are left out."""
        for one in images:
            if one.histogram is not None:
                self.histograms.setdefault(one.domain, []).append(one.histogram)
                self.levels[one.domain] = self.levels.get(one.domain, 0) + one.levels.astype(int)

    def finish(self, stored: "StoredConfusions", folder: Path) -> dict[str, Any]:
        """Write the histograms, and return the entries of the result; none without confidence.

        Args:
            stored: The confusion matrices of the same images.
            folder: The folder of the result.

        Raises:
            EnvError: The file cannot be written.
        """
        from ibn_seg.trust.confidence_bins import LOG_ODDS
        from ibn_seg.trust.image_confidences import stack_images
        from ibn_seg.trust.image_intervals import image_intervals
        from ibn_seg.trust.stored_confidences import StoredConfidences, write_confidences
        from ibn_seg.trust.trust_measures import class_measures, trust_measures

        if not self.histograms:
            return {}
        domains = {
            name: stack_images(stored.domains[name].images, LOG_ODDS, histograms)
            for name, histograms in self.histograms.items()
        }
        write_confidences(folder / CONFIDENCE_FILE, StoredConfidences(stored.classes, domains))
        return {
            "trust": {
                name: trust_measures(one, self.levels[name]) for name, one in domains.items()
            },
            "trust_classes": {
                name: class_measures(one, stored.classes) for name, one in domains.items()
            },
            "trust_intervals": {name: image_intervals(one) for name, one in domains.items()},
            "confidences": CONFIDENCE_FILE,
        }
