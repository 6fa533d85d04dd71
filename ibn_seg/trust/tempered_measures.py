"""What a temperature does to the confidence of a domain."""

from collections.abc import Collection
from typing import Any

from ibn_seg.trust.image_confidences import ImageConfidences, some_images
from ibn_seg.trust.trust_measures import trust_measures


def tempered_measures(
    before: ImageConfidences, after: ImageConfidences, fitted_on: Collection[str] = ()
) -> dict[str, Any]:
    """Return the measures of a domain at a temperature, ready for JSON.

    Args:
        before: The histograms without a temperature.
        after: Those of the same images at the temperature.
        fitted_on: Names of images that the temperature was fitted on. They are left out.

    Returns:
        `images`: how many are left. `trust`: their measures at the temperature, as from
        `trust_measures`. `ece_before`: their ECE without it. `ece_removed`: the share of that ECE
        which the temperature takes away; below 0 if it makes ECE larger. On the source it says what
        the temperature is worth at home, and on a target how much of this survives there. None
        where there is nothing to measure.
    """
    kept = [at for at, name in enumerate(before.images) if name not in fitted_on]
    if not kept:
        return {"images": 0, "trust": None, "ece_before": None, "ece_removed": None}
    found = trust_measures(some_images(after, kept))
    first = trust_measures(some_images(before, kept))["pooled"]["ece"]
    last = found["pooled"]["ece"]
    return {
        "images": len(kept),
        "trust": found,
        "ece_before": first,
        "ece_removed": 1 - last / first if first else None,
    }
