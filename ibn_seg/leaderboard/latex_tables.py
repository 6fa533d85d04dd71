"""Writes tables for LaTeX with the package booktabs, as wide as a paper's column."""

from collections.abc import Iterable, Sequence

from ibn_seg.errors import UserError, unknown
from ibn_seg.report.latex_width import text_width
from ibn_seg.report.table import Table
from ibn_seg.report.tables import Cell

# Points. The column of CVPR's, ECCV's and NeurIPS' templates is at least as wide.
COLUMN_WIDTH = 237
# Points between two columns, half on either side: \tabcolsep is 2 pt.
_BETWEEN = 4.0
# A header longer than this stands on two lines.
_LONG_HEADER = 8
_SPECIAL = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_",
    "{": r"\{", "}": r"\}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}",
    "±": r"$\pm$", "<": r"\textless{}", ">": r"\textgreater{}",
}  # fmt: skip


def latex_text(tables: Sequence[Table], facts: Sequence[str], columns: Sequence[str] = ()) -> str:
    """Return tables for LaTeX. One that is wider than a column is a `table*`, over both.

    Args:
        tables: The tables.
        facts: Lines on how the results were made, as comments.
        columns: Beginnings of the names of columns to keep, in every table that has any of them.
            Default: all. A ranked table drops sources and intervals until it fits a column.

    Raises:
        UserError: No table has a column of one of these names.
    """
    every = [name for table in tables for name in table.header[table.names :]]
    for word in columns:
        if not any(_begins(name, [word]) for name in every):
            raise unknown("column", word, dict.fromkeys(every))
    head = ["% \\usepackage{booktabs}", *(f"% {' '.join(fact.split())}" for fact in facts), ""]
    return "\n".join([*head, *(_latex_table(table, columns) for table in tables)])


def latex_escaped(text: str) -> str:
    """Return text for LaTeX, with every special character escaped."""
    return "".join(_SPECIAL.get(letter, letter) for letter in " ".join(text.split()))


def _latex_table(table: Table, columns: Sequence[str]) -> str:
    kept = _kept(table, columns)
    wide = _width(table, kept) > COLUMN_WIDTH
    name, count = "table*" if wide else "table", len(kept)
    caption = ". ".join([table.caption, *table.rules])
    lines = [
        f"\\begin{{{name}}}",
        f"\\caption{{{latex_escaped(caption)}}}",
        f"\\label{{tab:{table.key}}}",
        "\\centering\\footnotesize\\setlength{\\tabcolsep}{2pt}",
        f"\\begin{{tabular}}{{{'l' * table.names}{'r' * (count - table.names)}}}",
        "\\toprule",
        " & ".join(_header(table.header[at], at < table.names) for at in kept) + r" \\",
    ]
    for part in table.parts:
        lines.append("\\midrule")
        if part.title is not None:
            lines.append(f"\\multicolumn{{{count}}}{{l}}{{{latex_escaped(part.title)}}} \\\\")
        lines += [" & ".join(_cell(row[at]) for at in kept) + r" \\" for row in part.rows]
    lines += ["\\bottomrule", "\\end{tabular}"]
    lines += [f"\\par {latex_escaped(note)}" for note in table.notes]
    return "\n".join([*lines, f"\\end{{{name}}}", ""])


def _kept(table: Table, columns: Sequence[str]) -> list[int]:
    """Return the columns to write."""
    names = list(range(table.names))
    numbers = [at for at in range(table.names, len(table.header)) if at != table.drawn]
    chosen = [at for at in numbers if _begins(table.header[at], columns)]
    if chosen:
        return names + chosen
    if table.drawn is None:
        return names + numbers
    interval = [table.drawn - 1]
    sources = [at for at in numbers if table.header[at].endswith("(source)")]
    for left_out in ([], sources, sources + interval):
        kept = names + [at for at in numbers if at not in left_out]
        if _width(table, kept) <= COLUMN_WIDTH:
            return kept
    # Over two columns there is room for all.
    return names + numbers


def _width(table: Table, kept: Iterable[int]) -> float:
    """Return the width of some columns, in points."""
    return sum(
        _BETWEEN
        + max(
            *(text_width(line) for line in _header_lines(table.header[at])),
            *(_cell_width(row[at]) for row in table.rows),
        )
        for at in kept
    )


def _cell_width(cell: Cell) -> float:
    # Bold letters are wider by 15 %, and scriptsize is 7 of footnotesize's 8 points.
    width = text_width(cell.text) * (1.15 if cell.best else 1.0)
    return width + (text_width(f" {cell.small_print}") * 7 / 8 if cell.detail else 0.0)


def _header(name: str, left: bool) -> str:
    lines = _header_lines(name)
    if len(lines) == 1:
        return latex_escaped(name)
    stacked = "\\\\".join(map(latex_escaped, lines))
    return f"\\shortstack[{'l' if left else 'r'}]{{{stacked}}}"


def _header_lines(name: str) -> list[str]:
    """Return a long name on two lines, broken at the space that is nearest to its middle."""
    spaces = [at for at, letter in enumerate(name) if letter == " "]
    if len(name) <= _LONG_HEADER or not spaces:
        return [name]
    at = min(spaces, key=lambda at: abs(2 * at - len(name)))
    return [name[:at], name[at + 1 :]]


def _cell(cell: Cell) -> str:
    # Without braces, LaTeX would read a row that begins with a bracket as an argument of \\.
    text = latex_escaped(cell.text)
    text = f"\\textbf{{{text}}}" if cell.best else f"{{{text}}}" if text[:1] in "[*" else text
    return f"{text} {{\\scriptsize {latex_escaped(cell.small_print)}}}" if cell.detail else text


def _begins(name: str, words: Iterable[str]) -> bool:
    return any(name.lower().startswith(word.lower()) for word in words)


def check_columns(columns: Sequence[str], exports: Iterable[str]) -> None:
    """Raise if columns are chosen for a table that is not written.

    Raises:
        UserError: No LaTeX is written.
    """
    if columns and "latex" not in exports:
        raise UserError("--columns chooses columns of LaTeX tables", "add --export latex")
