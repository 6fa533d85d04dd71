"""Aligns the numbers of a column at the point, whatever stands behind them."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ibn_seg.report.tables import Cell

# A number as `figures` typesets it: sign and whole part, fraction, and the rest, as in '± 1.2'. A
# list, such as '0, 1', is none.
_NUMBER = re.compile(r"^([+\N{MINUS SIGN}]?\d+(?:,\d{3})*)(\.\d+)?((?:[^\d.,].*)?)$", re.DOTALL)
_NOTHING = "\N{EN DASH}"


@dataclass(frozen=True)
class Shown:
    """A cell in pieces. The fillers are not seen; they are as wide as what other rows have there.

    Args:
        cell: The cell.
        number: Its number up to the last decimal, or all of its text.
        filler: What would fill its fraction up to that of the column.
        rest: What stands behind the number.
        end: What would fill the rest up to that of the column.
    """

    cell: Cell
    number: str
    filler: str = ""
    rest: str = ""
    end: str = ""


def aligned(rows: Sequence[Sequence[Cell]], typeset: Callable[[str], str]) -> list[list[Shown]]:
    """Return rows of cells in pieces, each column aligned at the point.

    Args:
        rows: Rows of one length.
        typeset: Typesets a text, see `ibn_seg.report.page.figures`.
    """
    columns = [_column(column, typeset) for column in zip(*rows, strict=True)]
    return [list(row) for row in zip(*columns, strict=True)]


def _column(cells: Sequence[Cell], typeset: Callable[[str], str]) -> list[Shown]:
    parts = [_split(typeset(cell.text)) for cell in cells]
    fraction = max((part[1] for part in parts if part), key=len, default="")
    rest = max((part[2] for part in parts if part), key=len, default="")
    shown = []
    for cell, part in zip(cells, parts, strict=True):
        if part is None:
            shown.append(Shown(cell, typeset(cell.text)))
            continue
        whole, mine, behind = part
        filler, end = fraction[len(mine) :], rest[len(behind) :]
        shown.append(Shown(cell, whole + mine, filler, behind, end))
    return shown


def _split(text: str) -> tuple[str, str, str] | None:
    """Return whole part, fraction and rest; None for words."""
    if text == _NOTHING:
        return text, "", ""
    found = _NUMBER.match(text)
    return (found[1], found[2] or "", found[3]) if found else None
