"""The width of a text in LaTeX, by the fonts that matplotlib has."""

import functools

from matplotlib import get_data_path
from matplotlib.font_manager import FontProperties
from matplotlib.textpath import TextPath


@functools.cache
def text_width(text: str) -> float:
    """Return the width of a text in LaTeX's footnotesize, in points.

    Matplotlib has Computer Modern at 10 points. That of 8 points is 1.0625 times as wide in
    relation to its size (the widths of a digit in cmr10 and cmr8: 0.5 and 0.53125 em).
    """
    font = FontProperties(fname=f"{get_data_path()}/fonts/ttf/cmr10.ttf")
    # A path has no room for spaces at its ends. The bars keep it.
    framed, bars = (
        TextPath((0, 0), t, size=8, prop=font).get_extents().width for t in (f"|{text}|", "||")
    )
    return 1.0625 * (framed - bars)
