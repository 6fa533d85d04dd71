"""The progress bar of all commands: label, bar, count, detail, elapsed time, time left."""

import contextlib
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.progress import Progress


def progress_bar(passing: bool = False) -> "Progress":
    """Return a bar on stderr, to be used as a context manager; each task has a field `detail`.

    If stderr is not a terminal, only the final state is printed.

    Args:
        passing: Remove the bar at the end, and print nothing if stderr is no terminal.
    """
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    console = Console(stderr=True)
    return Progress(
        # Names of domains and of cells may have brackets, which are no markup.
        TextColumn("{task.description}", style="bold", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[detail]}", markup=False),
        TimeElapsedColumn(),
        TextColumn("ETA"),
        TimeRemainingColumn(),
        console=console,
        transient=passing,
        disable=passing and not console.is_terminal,
    )


@contextlib.contextmanager
def progress_callback(label: str, passing: bool = False) -> Iterator[Callable[[int, int], None]]:
    """Show a bar for the block; a callback with (done, total) moves it.

    Args:
        label: What is being done, shown before the bar.
        passing: As for `progress_bar`.
    """
    with progress_bar(passing) as bar:
        task = bar.add_task(label, total=None, detail="")
        yield lambda done, total: bar.update(task, completed=done, total=total)


@contextlib.contextmanager
def progress_by_step() -> Iterator[Callable[[str, int, int], None]]:
    """Show a bar for each step of a block; a callback with (step, done, total) moves it."""
    tasks: dict[str, int] = {}
    with progress_bar() as bar:

        def move(step: str, done: int, total: int) -> None:
            if step not in tasks:
                tasks[step] = bar.add_task(step, total=None, detail="")
            bar.update(tasks[step], completed=done, total=total)

        yield move


@contextlib.contextmanager
def progress_steps() -> Iterator[Callable[[str, int, int], None]]:
    """Show a bar for each step of a block; a callback with (step, done, total) moves it.

    The counts are bytes, shown in MB.
    """
    with progress_by_step() as move:
        yield lambda step, done, total: move(f"{step} (MB)", -(-done // 10**6), -(-total // 10**6))
