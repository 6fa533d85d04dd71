"""What is recorded, computed anew; `python -m tests.records.recorded` writes the records.

Record again only where a change is meant, and say so in CHANGELOG.
"""

import contextlib
import hashlib
import json
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import click

ROOT = Path(__file__).resolve().parents[2]
HERE = Path(__file__).parent
PLANS = ("demo", "embedded", "embedded_full")
KEPT = ("embedded", "embedded_full", "embedded_rerun")
FORMATS = {"csv": ".csv", "markdown": ".md", "latex": ".tex"}


def cell_ids() -> dict[str, list[str]]:
    """Return the identities of the cells of each plan that is shipped, in their order."""
    from ibn_seg.benchmark.cells import list_cells
    from ibn_seg.benchmark.plan import read_plan

    return {
        name: [cell.id for cell in list_cells(read_plan(f"ibn_seg::benchmark/{name}"))]
        for name in PLANS
    }


def commands() -> dict[str, list[str]]:
    """Return the parameters of each command, without their help, which may be worded anew."""
    return {
        name: [_parameter(parameter) for parameter in command.params]
        for name, command in walk_commands()
    }


def configs() -> dict[str, str]:
    """Return the SHA-256 of the content of each config that is shipped."""
    from mmengine.config import Config

    files = (path for path in sorted((ROOT / "configs").rglob("*.py")))
    return {
        path.relative_to(ROOT / "configs").as_posix(): _digest(_content(Config.fromfile(path)))
        for path in files
        if "_base_" not in path.parts
    }


def leaderboards() -> dict[str, dict[str, str]]:
    """Return the SHA-256 of each export of the results that are kept."""
    from ibn_seg.leaderboard import write_leaderboard

    found = {}
    # The exports name the folders as they are given.
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(ROOT):
        for name in KEPT:
            page = Path(folder, f"{name}.html")
            write_leaderboard([f"data/benchmark/{name}"], page, exports=list(FORMATS))
            found[name] = {
                form: _digest(page.with_suffix(end).read_bytes()) for form, end in FORMATS.items()
            }
    return found


RECORDS: Mapping[str, Callable[[], Any]] = {
    "cell_ids": cell_ids,
    "commands": commands,
    "configs": configs,
    "leaderboards": leaderboards,
}


def record_file(name: str) -> Path:
    """Return where a record is."""
    return HERE / f"{name}.json"


def as_json(value: Any) -> str:
    """Return the text of a record."""
    return json.dumps(value, indent=1, sort_keys=True, default=repr) + "\n"


def walk_commands() -> Iterator[tuple[str, click.Command]]:
    """Yield each command with the words that call it, the group itself first."""
    from ibn_seg.cli import cli

    yield from _walk("ibn-seg", cli)


def _walk(name: str, command: click.Command) -> Iterator[tuple[str, click.Command]]:
    yield name, command
    if isinstance(command, click.Group):
        context = click.Context(command)
        for child in command.list_commands(context):
            yield from _walk(f"{name} {child}", command.get_command(context, child))


def _parameter(parameter: click.Parameter) -> str:
    """Return a parameter on one line, such as '--shift/--no-shift flag, default False'."""
    names = "/".join((*parameter.opts, *parameter.secondary_opts))
    kind, default = parameter.type, parameter.default
    taken = " | ".join(map(str, kind.choices)) if isinstance(kind, click.Choice) else kind.name
    if isinstance(parameter, click.Option) and parameter.is_flag:
        taken, default = "flag", default is True
    elif not isinstance(default, (str, int, float, list, tuple)):
        default = None  # or click's own sign of none
    parts = [f"{names} {taken}", f"default {default!r}"]
    parts += ["required"] * parameter.required + ["several"] * parameter.multiple
    parts += [f"{parameter.nargs} values"] * (parameter.nargs != 1)
    return ", ".join(parts)


def _content(config: Any) -> bytes:
    return json.dumps(config.to_dict(), sort_keys=True, default=repr).encode()


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def main() -> None:
    """Write all records."""
    for name, compute in RECORDS.items():
        record_file(name).write_text(as_json(compute()))


if __name__ == "__main__":
    main()
