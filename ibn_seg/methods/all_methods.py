"""The table of methods. To add a method, add a file beside this one and a line here.

A file NAME.py defines `METHOD`, see `ibn_seg.methods.method.Method`. Plans (`methods: [BN,
IBN-a]`), configs (`experiment = dict(method='IBN-a')`) and leaderboards refer to a method by its
name. Names joined by ' + ', such as 'IBN-b + PASTA', are the methods together.
"""

import os
import sys
from collections.abc import MutableMapping
from typing import Any

from ibn_seg.errors import UserError, nearest, unknown
from ibn_seg.methods import (
    adabn,
    batch_statistics,
    bn,
    crossnorm,
    dsu,
    efdmix,
    fact,
    fda,
    ibn_a,
    ibn_b,
    in_plain,
    irw,
    isw,
    iternorm,
    iw,
    jitter,
    mixstyle,
    np_plus,
    padain,
    pasta,
    randconv,
    randconv_consistency,
    san,
    san_saw,
    san_saw_released,
    selfnorm,
    strong_colour,
    sw,
    sw_3,
    sw_5,
    tent,
)
from ibn_seg.methods.method import KINDS, Method, combined

# The baseline, then in the order of tables: layers, features, images, test time.
_FILES = (
    bn, ibn_a, ibn_b, in_plain, iw, irw, isw, sw, sw_3, sw_5, iternorm, san, san_saw,
    san_saw_released, selfnorm,
    mixstyle, efdmix, dsu, padain, crossnorm, np_plus,
    randconv, randconv_consistency, pasta, fact, fda, jitter, strong_colour,
    batch_statistics, adabn, tent,
)  # fmt: skip
METHODS: dict[str, Method] = {file.METHOD.name: file.METHOD for file in _FILES}
BASELINE = next(iter(METHODS))
PLUS = " + "


def find_method(name: str) -> Method:
    """Return a method by name, or several joined by ' + ' as one.

    Raises:
        UserError: A name is not in the table, or the methods exclude each other.
    """
    if name in METHODS:
        return METHODS[name]
    parts = name.split(PLUS)
    for part in parts:
        if part not in METHODS:
            raise unknown("method", part, METHODS)
    if len(set(parts)) < len(parts):
        raise UserError(f"method {name!r} names a method twice", "name each once")
    if BASELINE in parts:
        raise UserError(f"method {name!r}: {BASELINE} is the network that the others change",
                        "leave it out")  # fmt: skip
    return combined([METHODS[part] for part in parts], name)


def is_method(name: object) -> bool:
    """Tell whether a name is in the table, or joins such names; others are the users' own."""
    return isinstance(name, str) and all(part in METHODS for part in name.split(PLUS))


def is_test_time(name: object) -> bool:
    """Tell whether a name has a method of the table that sees images of the target."""
    parts = name.split(PLUS) if isinstance(name, str) else []
    return any(part in METHODS and METHODS[part].kind == KINDS[-1] for part in parts)


def _meant(name: str) -> str | None:
    """Return the name of the table that a name misspells; None if it is a name of its own."""
    parts = []
    for part in name.split(PLUS):
        guess = part if part in METHODS else nearest(part, METHODS, cutoff=0.8)
        # What has more words than a method, such as 'IBN-a 1500', is a name of its own.
        if guess is None or abs(len(guess) - len(part)) > 1:
            return None
        parts.append(guess)
    return PLUS.join(parts)


def complete_named(config: MutableMapping[str, Any]) -> None:
    """Add settings that the method of `experiment.method` has and the config lacks.

    Names outside the table are the user's own methods and change nothing; one that looks like a
    misspelt name of the table is told on stderr. So is each setting of the config that differs from
    the method's.

    Raises:
        UserError: The name joins methods that exclude each other, or the config lacks a part.
    """
    name = (config.get("experiment") or {}).get("method")
    told = os.environ.get("RANK", "0") == "0"  # one process of several says it
    if not is_method(name):
        if told and isinstance(name, str) and (guess := _meant(name)) is not None:
            print(
                f"experiment.method: {name!r} is no method of ibn_seg, so it changes nothing; did "
                f"you mean {guess!r}?",
                file=sys.stderr,
            )
        return
    method = find_method(name)
    method.complete(config)
    if not told:
        return
    for key, value in method.conflicts(config).items():
        print(
            f"experiment.method is {name!r}, but {key} is {value!r}: results are named {name}; "
            "mend one of the two",
            file=sys.stderr,
        )
