"""The table of methods. To add a method, add a file beside this one and a line here.

A file NAME.py defines `METHOD`, see `ibn_seg.methods.method.Method`. Plans (`methods: [BN,
IBN-a]`), configs (`experiment = dict(method='IBN-a')`) and leaderboards refer to a method by its
name.
"""

import os
import sys
from collections.abc import MutableMapping
from typing import Any

from ibn_seg.methods import bn, ibn_a, ibn_b
from ibn_seg.methods.method import Method

# The baseline, then in the order of tables.
_FILES = (bn, ibn_a, ibn_b)
METHODS: dict[str, Method] = {file.METHOD.name: file.METHOD for file in _FILES}
BASELINE = next(iter(METHODS))


def complete_named(config: MutableMapping[str, Any]) -> None:
    """Add settings that the method of `experiment.method` has and the config lacks.

    Names outside the table are the user's own methods and change nothing. Settings of the config
    that differ from the method's are listed in one line on stderr.
    """
    name = (config.get("experiment") or {}).get("method")
    if not isinstance(name, str) or name not in METHODS:
        return
    METHODS[name].complete(config)
    if os.environ.get("RANK", "0") != "0":  # one process of several says it
        return
    for key, value in METHODS[name].conflicts(config).items():
        print(
            f"experiment.method is {name!r}, but {key} is {value!r}: results are named {name}; "
            "mend one of the two",
            file=sys.stderr,
        )
