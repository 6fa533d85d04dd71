"""Draws the contact sheet of a search: a row for each query, with its first gallery pictures."""

import os
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from ibn_seg.io import atomic_path
from ibn_seg.retrieval.crops import read_crop
from ibn_seg.retrieval.run_retrieval import Found, Ranking

# A crop's width and height, its frame, its caption, and the pixels between two.
_WIDTH, _HEIGHT, _FRAME, _CAPTION, _GAP = 64, 128, 3, 14, 4
# Blue, orange and grey are told apart by eyes that do not see red and green.
COLOURS = {"right": (0, 90, 181), "wrong": (220, 110, 20), "same camera": (140, 140, 140)}
_BLACK, _WHITE = (0, 0, 0), 255


def write_ranked_sheet(rankings: Sequence[Ranking], path: str | os.PathLike) -> None:
    """Write a PNG: a row for each query, the query first, then its gallery pictures.

    Frames are blue for right, orange for wrong and grey for the query's own camera; none where
    names do not say. The captions are the same in words.

    Args:
        rankings: The rankings.
        path: The PNG file.

    Raises:
        UserError: A picture cannot be read.
        EnvError: The sheet cannot be written.
    """
    rows = [
        np.hstack([_query_cell(ranking.query), *map(_found_cell, ranking.found)])
        for ranking in rankings
    ]
    width = max(row.shape[1] for row in rows)
    sheet = np.vstack(
        [
            np.pad(row, ((0, 0), (0, width - row.shape[1]), (0, 0)), constant_values=_WHITE)
            for row in rows
        ]
    )
    with atomic_path(path) as temporary:
        Image.fromarray(sheet).save(temporary, format="PNG")


def _query_cell(path: Path) -> np.ndarray:
    return _cell(path, "query", _BLACK)


def _found_cell(found: Found) -> np.ndarray:
    caption = found.verdict or f"{found.distance:.2f}"
    return _cell(found.path, caption, COLOURS.get(found.verdict))


def _cell(path: Path, caption: str, colour: tuple[int, int, int] | None) -> np.ndarray:
    """Return a picture with its caption above and its frame, RGB."""
    width, height = _WIDTH + 2 * _FRAME, _HEIGHT + 2 * _FRAME
    cell = np.full((_CAPTION + height + _GAP, width + _GAP, 3), _WHITE, np.uint8)
    framed = np.full((height, width, 3), _WHITE if colour is None else colour, np.uint8)
    framed[_FRAME:-_FRAME, _FRAME:-_FRAME] = read_crop(path, (_WIDTH, _HEIGHT))
    cell[_CAPTION : _CAPTION + height, :width] = framed
    cv2.putText(cell, caption, (1, 10), cv2.FONT_HERSHEY_SIMPLEX, 0.33, _BLACK, 1, cv2.LINE_AA)
    return cell
