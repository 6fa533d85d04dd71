"""Tables that commands write into pages of the documents.

A page holds `<!-- table: NAME -->` and `<!-- end -->`. What stands between them is replaced.
"""

import re
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from ibn_seg.errors import UserError, unknown
from ibn_seg.io import write_text

# The lines of a table, its header first.
Lines = list[list[str]]
_BEGIN = re.compile(r"^<!-- table: (.*?) -->$")
_END = "<!-- end -->"


def rewrite(
    pages: Iterable[Path], tables: Mapping[str, Callable[[], list[str]]], *, check: bool
) -> int:
    """Write the tables of pages anew, say which pages changed, and return the exit code.

    Args:
        pages: The pages.
        tables: A function that returns the Markdown of a table (`markdown`), by name.
        check: Write nothing, and return 2 if a table is old.

    Returns:
        0, or that of an error, which is printed as one line.
    """
    old = 0
    try:
        for page in pages:
            if not page.is_file():
                raise UserError(f"{page}: no such file")
            text = page.read_text(encoding="utf-8")
            new = filled(text, tables, str(page))
            if new != text:
                old += 1
                print(f"{page}: {'old tables' if check else 'written'}")
                if not check:
                    write_text(page, new)
    except UserError as error:
        print(f"error: {error.line}", file=sys.stderr)
        return error.exit_code
    return 2 if check and old else 0


def filled(text: str, tables: Mapping[str, Callable[[], list[str]]], where: str) -> str:
    """Return a page with its tables written anew.

    Args:
        text: The page.
        tables: A function that returns the Markdown of a table, by name.
        where: What messages call the page.

    Raises:
        UserError: A table is not known, or a mark has no partner.
    """
    out, open_at = [], 0
    for at, line in enumerate(text.split("\n"), 1):
        begin = _BEGIN.match(line)
        if begin and open_at:
            break
        if begin:
            name = begin[1]
            if name not in tables:
                raise unknown(f"table of {where}, line {at}:", name, tables)
            out += [line, *tables[name]()]
            open_at = at
        elif line == _END and not open_at:
            raise UserError(f"{where}, line {at}: {_END} without a table", "take it out")
        elif line == _END or not open_at:
            out.append(line)
            open_at = 0
    if open_at:
        raise UserError(
            f"{where}, line {open_at}: the table has no end", f"write {_END} on a line behind it"
        )
    return "\n".join(out)


def markdown(lines: Lines, numbers: Sequence[int]) -> list[str]:
    """Return the lines of a table in Markdown.

    Args:
        lines: Its lines.
        numbers: The columns that stand to the right, from 0; the others stand to the left.
    """
    header, *body = ["| " + " | ".join(line) + " |" for line in lines]
    rule = "".join("|---:" if column in numbers else "|---" for column in range(len(lines[0])))
    rows = (header, f"{rule}|", *body)
    return [line.replace("|  |", "| |").replace("|  |", "| |") for line in rows]
