"""What a search finds without learning: by colour histograms, and by chance."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ibn_seg.reid.distances import distance_blocks
from ibn_seg.reid.ranking import Matches, rank_matches
from ibn_seg.reid.set_numbers import searchable
from ibn_seg.retrieval.crops import read_crop

if TYPE_CHECKING:
    from ibn_seg.reid.sets.picture_set import PictureSet

_SIZE = (64, 128)
_STRIPES, _LEVELS = 6, 4
# Columns at both edges mostly show the street.
_EDGE = 12


def colour_features(paths: Sequence[Path]) -> np.ndarray:
    """Return the colour histograms of pictures, (N, 384) float32, of length 1.

    A picture has six stripes from top to bottom, each with the shares of 4 x 4 x 4 colours. Square
    roots of shares make the distance that of Hellinger.

    Raises:
        UserError: A picture cannot be read.
    """
    bins = _LEVELS**3
    stripe = (np.arange(_SIZE[1]) * _STRIPES // _SIZE[1])[:, None] * bins
    rows = []
    for path in paths:
        pixels = read_crop(path, _SIZE)[:, _EDGE : _SIZE[0] - _EDGE].astype(np.int64)
        red, green, blue = (pixels * _LEVELS // 256).transpose(2, 0, 1)
        codes = stripe + (red * _LEVELS + green) * _LEVELS + blue
        counts = np.bincount(codes.ravel(), minlength=_STRIPES * bins)
        rows.append(np.sqrt(counts / counts.sum()))
    return np.array(rows, np.float32)


def histogram_search(data: "PictureSet") -> Matches:
    """Return the ranks of all matches when pictures are compared by their colours.

    Raises:
        UserError: The data set cannot be searched.
    """
    query, gallery, labels = searchable(data)
    sides = (colour_features([one.path for one in pictures]) for pictures in (query, gallery))
    return rank_matches(distance_blocks(*sides), labels)


def chance(data: "PictureSet") -> float:
    """Return the rank-1 of a random order, percent: the mean share of right answers.

    Raises:
        UserError: The data set cannot be searched.
    """
    query, _, labels = searchable(data)
    ids, cameras = labels.gallery_ids, labels.gallery_cameras
    shares = []
    for one in query:
        own = ids == one.identity
        right = (own & (cameras != one.camera)).sum()
        if right:
            shares.append(right / (len(ids) - (own & (cameras == one.camera)).sum()))
    return 100 * float(np.mean(shares)) if shares else float("nan")
