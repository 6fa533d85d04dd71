"""Tiny downloads of re-identification data sets, with real pictures."""

import numpy as np
from PIL import Image

MARKET = {
    "bounding_box_train": ["0002_c1s1_000451_03.jpg", "0002_c6s3_012345_01.jpg",
                           "0007_c2s3_000777_02.jpg"],
    "query": ["0001_c1s1_001051_00.jpg", "1488_c5s3_071737_00.jpg.jpg"],
    "bounding_box_test": ["-1_c3s1_000001_04.jpg", "0000_c4s6_022316_04.jpg.jpg",
                          "0000_c1s1_000151_01.jpg", "0001_c2s1_001051_01.jpg",
                          "1488_c1s6_023021_02.jpg.jpg"],
}  # fmt: skip


def write_pictures(root, folders, size=(8, 16)):
    """Write a picture of its own for each name; any other file is empty."""
    generator = np.random.default_rng(0)
    for folder, names in folders.items():
        (root / folder).mkdir(parents=True, exist_ok=True)
        for name in names:
            pixels = generator.integers(0, 256, (*size[::-1], 3), np.uint8)
            Image.fromarray(pixels).save(root / folder / name, "PNG" if ".png" in name else "JPEG")
    return root


def write_market(root):
    """Write a tiny Market-1501 with doubled suffixes, junk, distractors and `Thumbs.db`."""
    write_pictures(root, MARKET)
    (root / "bounding_box_test" / "Thumbs.db").touch()
    return root
