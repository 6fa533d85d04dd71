"""A tiny data set in Market-1501's layout: each person in one colour, with a little noise."""

import numpy as np
from PIL import Image

PEOPLE = {1: (200, 30, 30), 2: (30, 200, 30), 3: (30, 30, 200), 4: (200, 200, 30)}
LEARNED = {11: (200, 30, 200), 12: (30, 200, 200), 13: (90, 20, 20), 14: (20, 90, 20)}


def write_people(root):
    """Write training pictures of four people, and a search for four others.

    Person 4 has no match: the gallery shows him in the query's own camera alone.
    """
    rng = np.random.default_rng(0)

    def write(folder, name, colour):
        (root / folder).mkdir(parents=True, exist_ok=True)
        pixels = np.clip(rng.normal(colour, 4, (64, 32, 3)), 0, 255).astype(np.uint8)
        Image.fromarray(pixels).save(root / folder / name, "PNG")

    for person, colour in LEARNED.items():
        for number in range(5):
            write("bounding_box_train", f"{person:04}_c{number % 3 + 1}s1_{number}.jpg", colour)
    for person, colour in PEOPLE.items():
        write("query", f"{person:04}_c1s1_000001_00.jpg", colour)
        for camera in (1, 2, 3) if person != 4 else (1,):
            write("bounding_box_test", f"{person:04}_c{camera}s1_000002_01.jpg", colour)
    write("bounding_box_test", "0000_c4s1_000001_01.jpg", (90, 90, 90))
    write("bounding_box_test", "-1_c2s1_000001_01.jpg", PEOPLE[1])
    return root
