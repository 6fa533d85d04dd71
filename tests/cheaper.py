"""What makes many short runs in one process cheaper, and changes no number that they give.

A run of two iterations formats its config eight times, and looks through all objects for garbage
four times: half of its time, where nothing is wrong with either in a training of hours.
"""

import gc
import sys


def make_runs_cheaper() -> None:
    """Leave config texts unformatted, and what is there now out of garbage collection."""
    config = sys.modules.get("mmengine.config.config")
    if config is not None:
        config.FormatCode = _unformatted
    gc.collect()
    gc.freeze()


def _unformatted(text: str, **_: object) -> tuple[str, bool]:
    """Return Python code as it is: yapf takes a second for a config, to lay out its lines."""
    return text, True
