"""The table of kept results `runs.jsonl`, and the file `kept.json` that names one of its runs.

The first line says what the file is and how to read it. A line with `head` begins a run: the plan,
versions, commit. The lines below it are its cells, with the same keys as in `benchmark.json`, and

- `record`: the cell's result file without its matrices;
- `tested`: the same of the test of a checkpoint that the plan selected;
- `identity`: the cell's identity, whole or as a difference to another cell (`kept_identity`).
"""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ibn_seg.errors import UserError, unknown
from ibn_seg.io import read_json, write_json, write_text
from ibn_seg.results.kept_identity import whole

FORMAT = "ibn_seg.kept"
VERSION = 1
TABLE, POINTER = "runs.jsonl", "kept.json"
_AGAIN = "get the file again, or write it again with tools/keep_results.py"
_ABOUT = (
    "Results of a benchmark's runs, one cell a line. A line with 'head' begins a run. Confusion "
    "matrices per image are in the files of 'matrices', whose header says how to read them."
)
_ABOUT_SEARCHES = "The ranks of searches are in the archives of 'searches', as NumPy files."
_READ = (
    "import json",
    f'about, *lines = map(json.loads, open("{TABLE}", encoding="utf-8"))',
    'print([(row["method"], row["seed"], row["mIoU"]) for row in lines if "mIoU" in row])',
)


@dataclass(frozen=True)
class KeptRun:
    """One run of a plan.

    Args:
        head: The index without its cells.
        rows: Its cells.
    """

    head: Mapping[str, Any]
    rows: tuple[Mapping[str, Any], ...]

    def identity(self, cell: str) -> Any:
        """Return a cell's identity, of which its id is the hash.

        Raises:
            UserError: It is damaged or missing.
        """
        forms = {row["id"]: row["identity"] for row in self.rows if "identity" in row}
        if cell not in forms:
            raise unknown("cell", cell, forms)
        wholes = {name: form["whole"] for name, form in forms.items() if "whole" in form}
        return whole(forms[cell], wholes)


@dataclass(frozen=True)
class KeptTable:
    """The runs of a plan.

    Args:
        runs: Each run by its name.
        matrices: Names of the files with their matrices, in the folder of the table.
        searches: Names of the archives with the ranks of their searches, in the same folder.
    """

    runs: Mapping[str, KeptRun] = field(default_factory=dict)
    matrices: tuple[str, ...] = ()
    searches: tuple[str, ...] = ()


def write_table(path: Path, table: KeptTable) -> None:
    """Write a table, whole or not at all.

    Raises:
        EnvError: It cannot be written.
    """
    # A plan of segmentation searches nothing.
    about = f"{_ABOUT} {_ABOUT_SEARCHES}" if table.searches else _ABOUT
    archives = {"searches": table.searches} if table.searches else {}
    lines: list[Mapping[str, Any]] = [
        {"format": FORMAT, "version": VERSION, "about": about, "read": _READ,
         "matrices": table.matrices, **archives}
    ]  # fmt: skip
    for name, run in table.runs.items():
        lines.append({"run": name, "head": run.head})
        lines += [{"run": name, **row} for row in run.rows]
    texts = (json.dumps(line, allow_nan=False, ensure_ascii=False) for line in lines)
    write_text(path, "".join(f"{text}\n" for text in texts))


def read_table(path: Path) -> KeptTable:
    """Return a table.

    Raises:
        UserError: It is missing or damaged, or has another kind or version.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise UserError(f"{path}: no such file", _AGAIN) from error
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: cannot be read ({error})", _AGAIN) from error
    if not text.endswith("\n"):
        raise UserError(f"{path}: cut short", _AGAIN)
    # Not `splitlines`, which also cuts at other characters that JSON leaves unescaped.
    lines = [_line(path, number, one) for number, one in enumerate(text[:-1].split("\n"), 1)]
    _check_format(path, lines[0])
    files = {key: lines[0].get(key, missing)
             for key, missing in (("matrices", None), ("searches", []))}  # fmt: skip
    for key, names in files.items():
        if not isinstance(names, list) or not all(_is_name(one) for one in names):
            raise UserError(f"{path}, line 1: {key!r} is {names!r}", _AGAIN)
    heads: dict[str, Mapping[str, Any]] = {}
    rows: dict[str, list[Mapping[str, Any]]] = {}
    for number, line in enumerate(lines[1:], 2):
        run = line.pop("run", None)
        if isinstance(run, str) and isinstance(line.get("head"), dict):
            heads[run], rows[run] = line["head"], []
        elif run in rows and isinstance(line.get("id"), str):
            rows[run].append(line)
        else:
            raise UserError(f"{path}, line {number}: neither a run nor a cell of one", _AGAIN)
    runs = {name: KeptRun(head, tuple(rows[name])) for name, head in heads.items()}
    return KeptTable(runs, tuple(files["matrices"]), tuple(files["searches"]))


def write_pointer(folder: Path, table: Path, run: str) -> None:
    """Write the file with which a folder refers to a run of a table.

    Raises:
        EnvError: It cannot be written.
    """
    where = Path(os.path.relpath(table.resolve(), folder.resolve())).as_posix()
    about = "This folder stands for one run of the table; `ibn-seg leaderboard` reads it."
    write_json(
        folder / POINTER,
        {"format": FORMAT, "version": VERSION, "about": about, "table": where, "run": run},
    )


def read_pointer(folder: Path) -> tuple[Path, str]:
    """Return the table and the name of the run to which a folder refers.

    Raises:
        UserError: The file is damaged or has another kind or version.
    """
    path = folder / POINTER
    content = read_json(path)
    _check_format(path, content)
    for key in ("table", "run"):
        if not isinstance(content.get(key), str):
            raise UserError(f"{path}: {key!r} is {content.get(key)!r}, expected a text", _AGAIN)
    return Path(os.path.normpath(folder / content["table"])), content["run"]


def _line(path: Path, number: int, text: str) -> dict[str, Any]:
    try:
        content = json.loads(text)
    except ValueError as error:
        raise UserError(f"{path}, line {number}: not JSON ({error})", _AGAIN) from error
    if not isinstance(content, dict):
        raise UserError(f"{path}, line {number}: not an object of JSON", _AGAIN)
    return content


def _check_format(path: Path, content: Any) -> None:
    if not isinstance(content, Mapping) or content.get("format") != FORMAT:
        raise UserError(f"{path}: not a file of kept results", _AGAIN)
    if content.get("version") != VERSION:
        given = content.get("version")
        raise UserError(f"{path}: version {given!r} cannot be read, allowed: {VERSION}", _AGAIN)


def _is_name(value: Any) -> bool:
    return isinstance(value, str) and Path(value).name == value
