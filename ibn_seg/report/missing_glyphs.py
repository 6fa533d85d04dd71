"""Quiet about letters that matplotlib's fonts lack, such as those of Chinese class names."""

import contextlib
import warnings
from collections.abc import Iterator


@contextlib.contextmanager
def quiet_glyphs() -> Iterator[None]:
    """Say nothing where a font of matplotlib lacks a letter.

    Drawings keep their text as text, and the reader's browser has more fonts. Only the measured
    width is a guess then.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", r"Glyph \d+ .* missing from", UserWarning)
        yield
