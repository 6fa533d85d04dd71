"""Rows of a benchmark that take turns, each in a process of its own."""

import multiprocessing
from collections.abc import Callable, Iterable
from typing import Any


class RowProcess:
    """A row in a process of its own, which takes its turns when it is asked.

    Args:
        name: The row, for messages.
        serve: Runs in the process, with (pipe, *arguments). It answers each 'turn' by what the
            turn took, and any other word by what it found, after which it ends.
        arguments: What `serve` is called with besides the pipe.
    """

    def __init__(self, name: str, serve: Callable[..., None], *arguments: Any) -> None:
        spawn = multiprocessing.get_context("spawn")
        self._name, (self._pipe, theirs) = name, spawn.Pipe()
        spawn.Process(target=serve, args=(theirs, *arguments), daemon=True).start()
        theirs.close()

    def ask(self, what: str) -> Any:
        """Return the answer of the process."""
        try:
            self._pipe.send(what)
            return self._pipe.recv()
        except (EOFError, BrokenPipeError):
            raise SystemExit(f"{self._name}: its process has failed, see above") from None


def take_turns(
    names: Iterable[str], serve: Callable[..., None], arguments: Callable[[str], tuple], rounds: int
) -> tuple[dict[str, list[Any]], dict[str, Any]]:
    """Let rows take turns; return what each of its turns took, and what each found.

    Args:
        names: The rows.
        serve: See `RowProcess`.
        arguments: Returns the arguments of a row's process.
        rounds: Number of turns of each row; one before them warms up.
    """
    rows = {name: RowProcess(name, serve, *arguments(name)) for name in names}
    turns: dict[str, list[Any]] = {name: [] for name in rows}
    for number in range(1 + rounds):
        for name, row in rows.items():
            spent = row.ask("turn")
            if number:  # the first one warms up
                turns[name].append(spent)
    return turns, {name: row.ask("end") for name, row in rows.items()}
