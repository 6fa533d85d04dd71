"""Finds the images on which methods differ most, from each image's confusion matrices."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from ibn_seg.errors import UserError
from ibn_seg.evaluation.confusion import percent
from ibn_seg.evaluation.stored import ImageConfusions, StoredConfusions


@dataclass(frozen=True)
class Disagreement:
    """One image, and each method's accuracy on it.

    Args:
        domain: Domain of the image.
        image: Its name in the stored matrices.
        accuracies: Percentage of labelled pixels that are right, by method.
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
    """Return the images of a domain on which the methods' scores differ most.

    The score of an image is its pixel accuracy, because a reader sees area. In a mean over classes,
    a sign of ten pixels would weigh as much as the road. Images without a labelled pixel are left
    out.

    Args:
        stored: The matrices of each method's network on the same images, all of one seed.
        domain: The domain.
        count: Number of images to return; all if there are fewer.

    Returns:
        The images by descending spread; equal ones by name.

    Raises:
        UserError: There is no method, or a method was not evaluated on the domain. Or their images
            or labels differ.
    """
    methods = _of_domain(stored, domain)
    first = next(iter(methods.values()))
    labelled = first.scored_counts.sum(axis=(-2, -1))
    accuracies = {
        name: percent(_hits(images), labelled.astype(np.float64))
        for name, images in methods.items()
    }
    found = [
        Disagreement(domain, image, {name: float(values[k]) for name, values in accuracies.items()})
        for k, image in enumerate(first.images)
        if labelled[k]
    ]
    # The images are sorted by name, and images of equal spread keep this order. The division's
    # rounding must not decide between them.
    return sorted(found, key=lambda one: -round(one.spread, 9))[:count]


def _of_domain(stored: Mapping[str, StoredConfusions], domain: str) -> dict[str, ImageConfusions]:
    """Return the matrices of each method on a domain, after checking that labels are equal."""
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
        if not np.array_equal(*(one.scored_counts.sum(axis=-1) for one in (images, first))):
            raise UserError(
                f"{name} and {first_name} were evaluated on other labels of {domain}",
                "compare cells of one plan and protocol",
            )
    return found


def _by_name(images: ImageConfusions) -> ImageConfusions:
    """Return the matrices in the order of the images' names."""
    order = np.argsort(np.array(images.images, dtype=object), kind="stable")
    names = tuple(images.images[k] for k in order)
    return dataclasses.replace(images, images=names, counts=images.counts[order])


def _hits(images: ImageConfusions) -> np.ndarray:
    """Return the number of right pixels in each image, (N,) float64."""
    hits = np.diagonal(images.scored_counts, axis1=-2, axis2=-1)
    return hits.sum(axis=-1).astype(np.float64)
