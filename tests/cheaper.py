"""What makes many short runs in one process cheaper, and changes nothing that they do.

A run of two iterations formats its config eight times, and looks through all objects for garbage
four times: half of its time, where nothing is wrong with either in a training of hours.
"""

import functools
import gc
import json
import sys


def make_runs_cheaper() -> None:
    """Format each text once, and leave the objects that are there now out of garbage collection."""
    config = sys.modules.get("mmengine.config.config")
    if config is not None and not hasattr(config.FormatCode, "known"):
        config.FormatCode = _formatted_once(config.FormatCode)
    gc.collect()
    gc.freeze()


def _formatted_once(format_code):
    known = {}

    @functools.wraps(format_code)
    def formatted(text, **options):
        key = text, json.dumps(options, sort_keys=True)
        if key not in known:
            known[key] = format_code(text, **options)
        return known[key]

    formatted.known = known
    return formatted
