"""Who is seen by which camera, and under which name the picture is stored."""

import random
from collections.abc import Iterator
from dataclasses import dataclass

from ibn_seg.errors import UserError
from ibn_seg.scenes.camera_networks.sightings import Sighting

# The first person of each network; no person is in both.
_FIRST_PERSON = {"source": 1, "target": 2001}
NETWORKS = tuple(_FIRST_PERSON)
# Chance that a camera sees a person; everybody is seen by at least two.
_SEEN = 0.7
_LEAST_CAMERAS = 2
_TRAIN, _QUERY, _GALLERY = "bounding_box_train", "query", "bounding_box_test"
FOLDERS = (_TRAIN, _QUERY, _GALLERY)


@dataclass(frozen=True)
class CastPlan:
    """The size of a network.

    Attributes:
        train: People of the training part.
        test: People of the search.
        cameras: Number of cameras, 2 to 9.
        crops: Training pictures of a person in a camera.
        distractors: False alarms in the gallery, identity 0.
        junk: Loose boxes in the gallery, identity -1.
    """

    train: int = 200
    test: int = 150
    cameras: int = 6
    crops: int = 3
    distractors: int = 120
    junk: int = 120

    def check(self) -> None:
        """Raise a `UserError` if a number is out of range."""
        for name, least, most in (
            ("train", 2, 1000), ("test", 2, 1000), ("cameras", 2, 9), ("crops", 1, 99),
            ("distractors", 0, 10000), ("junk", 0, 10000),
        ):  # fmt: skip
            value = getattr(self, name)
            if not least <= value <= most:
                raise UserError(f"{name} = {value}", f"allowed: {least} to {most}")


def cast(network: str, seed: int, plan: CastPlan) -> Iterator[tuple[str, Sighting]]:
    """Yield each picture's path in the data set, and what it shows.

    More people or cameras leave the other pictures as they are.
    """
    first = _FIRST_PERSON[network]
    for person in range(first, first + plan.train):
        for camera in _cameras_of(network, seed, person, plan.cameras):
            for number in range(plan.crops):
                sighting = Sighting("person", person, camera, number)
                yield f"{_TRAIN}/{_name(sighting, number + 1)}", sighting
    # Numbers of the test begin behind the largest training part.
    people = range(first + 1000, first + 1000 + plan.test)
    for person in people:
        # Some names of Market-1501 end in .jpg.jpg; here those of the last person.
        twice = ".jpg" if person == people[-1] else ""
        for camera in _cameras_of(network, seed, person, plan.cameras):
            for folder, number in ((_QUERY, 0), (_GALLERY, 1)):
                sighting = Sighting("person", person, camera, number)
                yield f"{folder}/{_name(sighting, number)}{twice}", sighting
    yield from _others(people, plan)


def _others(people: range, plan: CastPlan) -> Iterator[tuple[str, Sighting]]:
    """Yield the distractors and the junk of the gallery."""
    for number in range(plan.distractors):
        sighting = Sighting("distractor", number, number % plan.cameras, number)
        twice = ".jpg" if number == 0 else ""
        yield f"{_GALLERY}/{_name(sighting, 1, '0000')}{twice}", sighting
    for number in range(plan.junk):
        person = people[number % len(people)]
        sighting = Sighting("junk", person, number % plan.cameras, number)
        yield f"{_GALLERY}/{_name(sighting, 1, '-1')}", sighting


def _cameras_of(network: str, seed: int, person: int, cameras: int) -> list[int]:
    """Return the cameras that see a person; each draws for itself."""
    draws = [
        random.Random(f"seen/{network}/{seed}/{person}/{camera}").random()
        for camera in range(cameras)
    ]
    sure = sorted(range(cameras), key=draws.__getitem__)[:_LEAST_CAMERAS]
    return [camera for camera in range(cameras) if draws[camera] < _SEEN or camera in sure]


def _name(sighting: Sighting, box: int, identity: str = "") -> str:
    """Return a name of Market-1501: identity, camera, sequence, frame and box."""
    identity = identity or f"{sighting.identity:04}"
    frame = 25 * sighting.number + (0 if sighting.kind == "junk" else 7 * sighting.identity)
    return f"{identity}_c{sighting.camera + 1}s1_{frame:06}_{box:02}.jpg"
