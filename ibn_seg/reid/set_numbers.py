"""Counts of a data set's parts, and what stands in the way of a search."""

import collections
from collections.abc import Sequence
from dataclasses import dataclass

from ibn_seg.errors import UserError
from ibn_seg.reid.ranking import DISTRACTOR, JUNK
from ibn_seg.reid.sets.picture_set import Picture, SetCard


@dataclass(frozen=True)
class PartNumbers:
    """The counts of a part.

    Attributes:
        pictures: Pictures, junk included.
        identities: Identities, without junk and distractors.
        cameras: Pictures by camera, from 0.
        junk: Pictures of identity -1.
        distractors: Pictures of identity 0, if it means one.
        doubled: Names that end in the suffix twice.
        per_identity: Least, mean and most pictures of an identity.
        cameras_per_identity: Identities by their number of cameras.
    """

    pictures: int
    identities: int
    cameras: dict[int, int]
    junk: int
    distractors: int
    doubled: int
    per_identity: tuple[int, float, int]
    cameras_per_identity: dict[int, int]


def part_numbers(pictures: Sequence[Picture], card: SetCard) -> PartNumbers:
    """Count the pictures of a part."""
    other = {JUNK, DISTRACTOR} if card.distractors else {JUNK}
    people = [picture for picture in pictures if picture.identity not in other]
    counts = collections.Counter(picture.identity for picture in people)
    seen: dict[int, set[int]] = collections.defaultdict(set)
    for picture in people:
        seen[picture.identity].add(picture.camera)
    cameras = collections.Counter(picture.camera for picture in pictures)
    spread = collections.Counter(len(where) for where in seen.values())
    few, many = min(counts.values(), default=0), max(counts.values(), default=0)
    return PartNumbers(
        pictures=len(pictures),
        identities=len(counts),
        cameras=dict(sorted(cameras.items())),
        junk=sum(picture.identity == JUNK for picture in pictures),
        distractors=sum(picture.identity == DISTRACTOR in other for picture in pictures),
        doubled=sum(_doubled(picture.path.name) for picture in pictures),
        per_identity=(few, len(people) / max(len(counts), 1), many),
        cameras_per_identity=dict(sorted(spread.items())),
    )


def unmatched(query: Sequence[Picture], gallery: Sequence[Picture]) -> list[Picture]:
    """Return the queries whose identity no other camera shows in the gallery."""
    cameras: dict[int, set[int]] = collections.defaultdict(set)
    for picture in gallery:
        cameras[picture.identity].add(picture.camera)
    return [one for one in query if not cameras[one.identity] - {one.camera}]


def repeated(query: Sequence[Picture]) -> list[Picture]:
    """Return the queries whose file stands in the list before them."""
    seen: set[str] = set()
    again = []
    for picture in query:
        if str(picture.path) in seen:
            again.append(picture)
        seen.add(str(picture.path))
    return again


def check_search(query: Sequence[Picture], gallery: Sequence[Picture]) -> None:
    """Refuse what cannot be searched.

    Raises:
        UserError: There is one camera only, no identity in common, or a query twice.
    """
    if not query or not gallery:
        raise UserError(f"{len(query)} queries and {len(gallery)} gallery pictures")
    if again := repeated(query):
        raise UserError(f"{again[0].path}: the query is listed twice")
    if not {one.identity for one in query} & {one.identity for one in gallery}:
        raise UserError("query and gallery have no identity in common")
    cameras = {picture.camera for picture in (*query, *gallery)}
    if len(cameras) == 1:
        raise UserError(
            f"all pictures are from camera {cameras.pop()}",
            "a search needs two: matches of the query's own camera do not count",
        )


def _doubled(name: str) -> bool:
    """Tell whether a name ends in its suffix twice, such as `.jpg.jpg`."""
    stem, _, suffix = name.rpartition(".")
    return stem.lower().endswith(f".{suffix.lower()}")
