"""A formatted table for a page, LaTeX and Markdown alike."""

from dataclasses import dataclass

from ibn_seg.report.tables import Cell


@dataclass(frozen=True)
class Part:
    """Rows that belong together. The best value of a column is marked per part."""

    title: str | None
    rows: tuple[tuple[Cell, ...], ...]


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
    """

    key: str
    caption: str
    header: tuple[str, ...]
    parts: tuple[Part, ...]
    rules: tuple[str, ...] = ()
    names: int = 1
    notes: tuple[str, ...] = ()

    @property
    def rows(self) -> tuple[tuple[Cell, ...], ...]:
        """The rows of all parts."""
        return tuple(row for part in self.parts for row in part.rows)


def slug(text: str) -> str:
    """Return a text as letters, figures and hyphens."""
    kept = "".join(letter if letter.isalnum() else "-" for letter in text.lower())
    return "-".join(part for part in kept.split("-") if part) or "unknown"
