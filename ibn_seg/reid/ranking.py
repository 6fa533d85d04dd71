"""The ranks of a query's matches in the gallery: all that the measures are computed from.

For a query, gallery images of its identity from its own camera are ignored, and so are images of
identity -1 (junk) for every query. Identity 0 (distractors) stays and is wrong for every query.
These are the rules of Market-1501 (Zheng et al., ICCV 2015) and of all tools.

No row is sorted. A match's rank is 1 plus the number of images before it, and counting them takes
one pass over the row per match. Market-1501 has 15 matches a query.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from ibn_seg.errors import UserError, unknown

JUNK, DISTRACTOR = -1, 0
# How equal distances are ranked: in the order of the gallery, matches before or behind all others,
# or all at the last rank of the distance (as scikit-learn's average precision counts).
TIES = ("gallery", "matches_first", "matches_last", "together")
# From so many matches of a query on, sorting its row is faster than counting.
_SORT_FROM = 200


@dataclass(frozen=True)
class SearchLabels:
    """Identities and cameras of a search.

    Attributes:
        query_ids: (Q,) identities.
        query_cameras: (Q,) cameras.
        gallery_ids: (G,) identities; -1 is junk, 0 a distractor.
        gallery_cameras: (G,) cameras.

    Raises:
        UserError: There is no query, no gallery, or a length does not fit.
    """

    query_ids: np.ndarray
    query_cameras: np.ndarray
    gallery_ids: np.ndarray
    gallery_cameras: np.ndarray

    def __post_init__(self) -> None:
        for side in ("query", "gallery"):
            ids, cameras = getattr(self, f"{side}_ids"), getattr(self, f"{side}_cameras")
            if not len(ids) or len(ids) != len(cameras):
                raise UserError(f"{side}: {len(ids)} identities and {len(cameras)} cameras")


@dataclass(frozen=True)
class Matches:
    """The ranks of all matches of all queries.

    Attributes:
        query_ids: (Q,) identities of the queries.
        query_cameras: (Q,) their cameras.
        counts: (Q,) number of matches; 0 for a query without one.
        ranks: (sum of counts,) ranks from 1, by query and ascending.
        found: (sum of counts,) number of matches up to this rank. It is 1, 2, ... of each query,
            but for `ties='together'`.
        gallery: Number of gallery images that are no junk.
    """

    query_ids: np.ndarray
    query_cameras: np.ndarray
    counts: np.ndarray
    ranks: np.ndarray
    found: np.ndarray
    gallery: int


def rank_matches(
    blocks: Iterable[np.ndarray], labels: SearchLabels, ties: str = "gallery"
) -> Matches:
    """Rank the matches of every query.

    Args:
        blocks: The rows of the (Q, G) distance matrix in order, some queries at a time; one block
            may hold all. They are not changed.
        labels: Identities and cameras.
        ties: One of `TIES`.

    Raises:
        UserError: `ties` is unknown, or distances are not finite or do not fit the labels.
    """
    if ties not in TIES:
        raise unknown("order of ties", ties, TIES)
    kept = np.flatnonzero(np.asarray(labels.gallery_ids) != JUNK)
    cameras = np.asarray(labels.gallery_cameras)[kept]
    same_id = _places_by_identity(np.asarray(labels.gallery_ids)[kept])
    nobody = np.zeros(0, np.int64)
    ranks, found, query = [], [], 0
    for block in blocks:
        _check_block(block, labels, query)
        for row in block:
            if kept.size != row.size:
                row = row[kept]
            same = same_id.get(int(labels.query_ids[query]), nobody)
            own = cameras[same] == labels.query_cameras[query]
            places = _ranks(row, same[~own], same[own], ties)
            ranks.append(places[0])
            found.append(places[1])
            query += 1
    if query != len(labels.query_ids):
        raise UserError(f"distances of {query} queries, labels of {len(labels.query_ids)}")
    return Matches(
        query_ids=np.asarray(labels.query_ids),
        query_cameras=np.asarray(labels.query_cameras),
        counts=np.array([len(part) for part in ranks]),
        ranks=np.concatenate(ranks),
        found=np.concatenate(found),
        gallery=kept.size,
    )


def _check_block(block: np.ndarray, labels: SearchLabels, query: int) -> None:
    """Refuse distances of another width, too many rows, and what is not finite."""
    wanted = len(labels.query_ids), len(labels.gallery_ids)
    if block.ndim != 2 or block.shape[1] != wanted[1] or query + len(block) > wanted[0]:
        raise UserError(f"distances do not fit labels of {wanted[0]} queries and {wanted[1]}")
    # One sum finds NaN and infinity; no array of flags is made. Its own overflow is looked at.
    with np.errstate(over="ignore", invalid="ignore"):
        suspicious = not np.isfinite(block.sum(dtype=np.float64))
    if suspicious and not np.isfinite(block).all():
        raise UserError("distances are not finite", "check the features")


def _places_by_identity(ids: np.ndarray) -> dict[int, np.ndarray]:
    """Return the places of each identity in the gallery, ascending."""
    order = np.argsort(ids, kind="stable")
    values, starts = np.unique(ids[order], return_index=True)
    return dict(zip(values.tolist(), np.split(order, starts[1:]), strict=True))


def _ranks(
    row: np.ndarray, matches: np.ndarray, ignored: np.ndarray, ties: str
) -> tuple[np.ndarray, np.ndarray]:
    """Return ranks and numbers found of one query's matches.

    Args:
        row: (G,) distances.
        matches: Places of its matches, ascending.
        ignored: Places that do not count.
        ties: One of `TIES`.
    """
    distances = row[matches]
    order = np.argsort(distances, kind="stable")
    distances = distances[order]
    found = np.arange(1, len(matches) + 1)
    if ties == "gallery":
        ahead = _count_before(row, distances, matches[order])
        hidden = (row[ignored] < distances[:, None]) | (
            (row[ignored] == distances[:, None]) & (ignored < matches[order][:, None])
        )
        return 1 + ahead - hidden.sum(axis=1), found
    side = "left" if ties == "matches_first" else "right"
    values = np.sort(np.delete(row, np.concatenate([matches, ignored])))
    if ties == "together":
        found = np.searchsorted(distances, distances, side="right")
    return np.searchsorted(values, distances, side=side) + found, found


def _count_before(row: np.ndarray, distances: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Return how many images stand before each match; of equal ones, those at lower places."""
    if len(distances) >= _SORT_FROM:
        rank = np.empty(len(row), np.int64)
        rank[np.argsort(row, kind="stable")] = np.arange(len(row))
        return rank[places]
    return np.fromiter(
        (
            np.count_nonzero(row[:place] <= distance) + np.count_nonzero(row[place:] < distance)
            for distance, place in zip(distances, places.tolist(), strict=True)
        ),
        np.int64,
        len(distances),
    )
