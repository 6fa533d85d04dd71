"""Corrupted pictures beside the summaries of a file of trust."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from ibn_seg.transforms.imagenet_c.draws_and_filters import Draws
from ibn_seg.transforms.imagenet_c.strengths import corrupt_as_published
from tests.parity.trust_cases import Figure, numbers
from tests.trust import made_pixels

FROST = "frost"


def picture_figures(given: Mapping[str, Any], frost: str | None) -> Iterator[Figure | str]:
    """Yield each summary of a corrupted picture; a text where it cannot be compared.

    Args:
        given: A picture and its corruptions.
        frost: The folder of the pictures of frost; None if there is none.
    """
    plain, named = numbers(given["picture"], "picture")
    height, width = map(int, plain)
    image = made_pixels.picture(height, width, int(named.get("seed", 0)))
    yield from _figures(f"{height}x{width} clean", given["clean"], image)
    first = int(re.fullmatch(r"(\d+) \+ severity", given["seed"])[1])
    for name, by_severity in given["corrupted"].items():
        for severity, expected in by_severity.items():
            where = f"{height}x{width} {name} {severity}"
            if name == FROST and frost is None:
                yield f"{where}: no pictures of frost"
                continue
            draws = Draws.of_seed(first + int(severity))
            found = corrupt_as_published(image, name, int(severity), draws, frost)
            yield from _figures(where, expected, found)


def _figures(where: str, expected: Mapping[str, Any], image: np.ndarray) -> Iterator[Figure]:
    found = summary(image)
    for name in ("mean", "std", "blocks", "values"):
        yield Figure(f"{where} {name}", expected[name], found[name], f"picture {name}")


def summary(image: np.ndarray) -> dict[str, np.ndarray]:
    """Return the summary of a picture, as the file says in `corruption_summary`."""
    height, width = image.shape[:2]
    rows, columns = ([side * at // 4 for at in range(5)] for side in (height, width))
    blocks = [
        [image[rows[i] : rows[i + 1], columns[j] : columns[j + 1]].mean() for j in range(4)]
        for i in range(4)
    ]
    places = np.random.default_rng([height, width, 31]).integers(0, image.size, 24)
    return {
        "mean": image.mean(axis=(0, 1)),
        "std": image.std(axis=(0, 1)),
        "blocks": np.array(blocks),
        "values": image.ravel()[places],
    }
