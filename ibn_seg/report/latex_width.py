"""The width of a text in LaTeX, by the fonts that matplotlib has."""

import functools

from matplotlib import get_data_path
from matplotlib.font_manager import get_font

from ibn_seg.report.missing_glyphs import quiet_glyphs

# Large, so that hinting, which fits letters to pixels, moves nothing that counts.
_SIZE = 1000


@functools.cache
def text_width(text: str) -> float:
    """Return the width of a text in LaTeX's footnotesize, in points.

    Matplotlib has Computer Modern at 10 points. That of 8 points is 1.0625 times as wide in
    relation to its size (the widths of a digit in cmr10 and cmr8: 0.5 and 0.53125 em).
    """
    # The box of a text has no room for spaces at its ends. The bars keep it.
    framed, bars = (_box_width(each) for each in (f"|{text}|", "||"))
    return 1.0625 * 8 * (framed - bars)


def _box_width(text: str) -> float:
    """Return the width of the ink of a text in cmr10, in em."""
    font = get_font(f"{get_data_path()}/fonts/ttf/cmr10.ttf")
    font.set_size(_SIZE, 72)
    with quiet_glyphs():
        font.set_text(text)
    return font.get_width_height()[0] / 64 / _SIZE
