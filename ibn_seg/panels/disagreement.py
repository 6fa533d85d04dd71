"""Which images tell methods apart most, from the confusion matrices of every image."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from ibn_seg.errors import UserError
from ibn_seg.evaluation.confusion import percent
from ibn_seg.evaluation.stored import ImageConfusions, StoredConfusions


@dataclass(frozen=True)
class Disagreement:
    """One image, and how many of its pixels each method has right.

    Args:
        domain: Domain of the image.
        image: Its name, as the matrices are stored under.
        accuracies: Share of the labelled pixels that are right, percent, by method.
    """

    domain: str
    image: str
    accuracies: Mapping[str, float]

    @property
    def spread(self) -> float:
        """The best accuracy minus the worst, points."""
        return max(self.accuracies.values()) - min(self.accuracies.values())


def most_disagreed(
    stored: Mapping[str, StoredConfusions], domain: str, count: int
) -> list[Disagreement]:
    """Return the images of a domain on which the methods' scores are farthest apart.

    The score of an image is its pixel accuracy: what a reader sees of a prediction is area, and a
    mean over classes would let a sign of ten pixels weigh as much as the road. Images without a
    labelled pixel are left out.

    Args:
        stored: What each method's network, all of one seed, counted on the same images.
        domain: The domain.
        count: As many images as this, or all if there are fewer.

    Returns:
        The images, those of the largest spread first, equal ones by name.

    Raises:
        UserError: There is no method, one was not evaluated on the domain, or their images or
            labels differ.
    """
    methods = _of_domain(stored, domain)
    first = next(iter(methods.values()))
    labelled = first.counts.sum(axis=(-2, -1))
    accuracies = {
        name: percent(_hits(images), labelled.astype(np.float64))
        for name, images in methods.items()
    }
    found = [
        Disagreement(domain, image, {name: float(values[k]) for name, values in accuracies.items()})
        for k, image in enumerate(first.images)
        if labelled[k]
    ]
    # The images are sorted by name, and equal ones stay so; the rounding of the division must not
    # decide between them.
    return sorted(found, key=lambda one: -round(one.spread, 9))[:count]


def _of_domain(stored: Mapping[str, StoredConfusions], domain: str) -> dict[str, ImageConfusions]:
    """Return the matrices of each method on a domain, checked to be of the same labels."""
    if not stored:
        raise UserError("no method to compare", "give the matrices of two or more")
    found: dict[str, ImageConfusions] = {}
    for name, one in stored.items():
        if domain not in one.domains:
            raise UserError(
                f"{name}: was not evaluated on {domain}", f"it has {', '.join(one.domains)}"
            )
        found[name] = _by_name(one.domains[domain])
    first_name, first = next(iter(found.items()))
    for name, images in found.items():
        if images.images != first.images:
            raise UserError(
                f"{name} and {first_name} were evaluated on other images of {domain}",
                "compare cells of one plan",
            )
        if not np.array_equal(images.counts.sum(axis=-1), first.counts.sum(axis=-1)):
            raise UserError(
                f"{name} and {first_name} were evaluated on other labels of {domain}",
                "compare cells of one plan and protocol",
            )
    return found


def _by_name(images: ImageConfusions) -> ImageConfusions:
    """Return the matrices in the order of the images' names."""
    order = np.argsort(np.array(images.images, dtype=object), kind="stable")
    return ImageConfusions(
        tuple(images.images[k] for k in order), images.counts[order], images.scored
    )


def _hits(images: ImageConfusions) -> np.ndarray:
    """Return the pixels of each image that are right, (N,) float64."""
    return np.einsum("nii->n", images.counts).astype(np.float64)
