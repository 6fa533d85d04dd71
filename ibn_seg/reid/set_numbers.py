"""Counts of a data set's parts, and what stands in the way of a search."""

import collections
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ibn_seg.errors import UserError
from ibn_seg.reid.ranking import DISTRACTOR, JUNK, SearchLabels
from ibn_seg.reid.sets.picture_set import GALLERY, QUERY, Picture, PictureSet, SetCard


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
    people = [picture for picture in pictures if picture.identity not in card.nobody]
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
        distractors=sum(one.identity == DISTRACTOR for one in pictures) * card.distractors,
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


def check_search(
    query: Sequence[Picture], gallery: Sequence[Picture], where: object = None
) -> None:
    """Refuse what cannot be searched.

    Args:
        query: The queries.
        gallery: The gallery.
        where: What lines begin with, such as the folder of the data set.

    Raises:
        UserError: There is one camera only, no identity in common, or a query twice.
    """
    start = "" if where is None else f"{where}: "
    if not query or not gallery:
        numbers = f"{len(query)} queries and {len(gallery)} gallery pictures"
        raise UserError(f"{start}{numbers}", "a search needs both")
    if again := repeated(query):
        raise UserError(f"{again[0].path}: the query is listed twice", "list it once")
    if not {one.identity for one in query} & {one.identity for one in gallery}:
        raise UserError(
            f"{start}query and gallery have no identity in common",
            "give both of the same people",
        )
    cameras = {picture.camera for picture in (*query, *gallery)}
    if len(cameras) == 1:
        raise UserError(
            f"{start}all pictures are from camera {cameras.pop()}",
            "a search needs two: matches of the query's own camera do not count",
        )


def searchable(data: PictureSet) -> tuple[list[Picture], list[Picture], SearchLabels]:
    """Return the queries of a data set, its gallery without junk, and the labels of both.

    Raises:
        UserError: The data set cannot be searched; the line begins with its folder.
    """
    query = data.pictures(QUERY)
    gallery = [one for one in data.pictures(GALLERY) if one.identity != JUNK]
    check_search(query, gallery, data.root)
    labels = SearchLabels(
        *(np.array([getattr(one, what) for one in pictures])
          for pictures in (query, gallery) for what in ("identity", "camera"))
    )  # fmt: skip
    return query, gallery, labels


def _doubled(name: str) -> bool:
    """Tell whether a name ends in its suffix twice, such as `.jpg.jpg`."""
    stem, _, suffix = name.rpartition(".")
    return stem.lower().endswith(f".{suffix.lower()}")
