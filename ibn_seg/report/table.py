"""A formatted table for a page, LaTeX and Markdown alike."""

from dataclasses import dataclass

from ibn_seg.report.interval_marks import Axis
from ibn_seg.report.tables import Cell


@dataclass(frozen=True)
class Part:
    """Rows that belong together. The best value of a column is marked per part.

    Args:
        title: What they have in common; None if the caption says it.
        rows: The rows.
        reference: How many of the last rows are for reference only, such as an oracle's. They stay
            last in every order.
    """

    title: str | None
    rows: tuple[tuple[Cell, ...], ...]
    reference: int = 0


@dataclass(frozen=True)
class Table:
    """A formatted table.

    Args:
        key: Its name in exports, of letters, figures and hyphens.
        caption: Its caption.
        header: Names of the columns.
        parts: The rows.
        rules: Selection, protocol, seeds.
        names: How many of the first columns hold text.
        notes: Notes on some rows.
        short: Its caption where a heading has said what `about` says. Default: `caption`.
        about: What it has in common with others of its section, such as the network.
        axis: The axis of the drawings in its rows.
        drawn: The column, from 0, that holds the drawings; None without any.
        unsorted: Columns, from 0, that a reader cannot sort.
        sorted_by: The column, from 0, by which its rows fall; None if they have another order.
        phone: How many of the first columns a phone shows; None for all.
        whole: Key of the table of all columns, which a phone links to.
    """

    key: str
    caption: str
    header: tuple[str, ...]
    parts: tuple[Part, ...]
    rules: tuple[str, ...] = ()
    names: int = 1
    notes: tuple[str, ...] = ()
    short: str = ""
    about: str = ""
    axis: Axis | None = None
    drawn: int | None = None
    unsorted: tuple[int, ...] = ()
    sorted_by: int | None = None
    phone: int | None = None
    whole: str = ""

    @property
    def rows(self) -> tuple[tuple[Cell, ...], ...]:
        """The rows of all parts."""
        return tuple(row for part in self.parts for row in part.rows)


def slug(text: str) -> str:
    """Return a text as letters, figures and hyphens."""
    kept = "".join(letter if letter.isalnum() else "-" for letter in text.lower())
    return "-".join(part for part in kept.split("-") if part) or "unknown"
