"""Nested random subsets of a data set, as a pure function of names, share and seed."""

import hashlib
from collections.abc import Sequence
from numbers import Real
from typing import Any

from ibn_seg.errors import UserError


def check_share(share: Any, seed: Any, owner: str) -> None:
    """Raise `UserError` unless `share` is in (0, 1] and `seed` a whole number from 0.

    Args:
        share: The part of the data set.
        seed: The seed of its choice.
        owner: The data set, for the message.
    """
    number = isinstance(share, Real) and not isinstance(share, bool)
    if not number or not 0 < share <= 1:
        hint = f"; {share:g} % is {share / 100:g}" if number and 1 < share <= 100 else ""
        raise UserError(f"{owner}: share={share!r}", f"allowed: above 0 and up to 1{hint}")
    if not isinstance(seed, int) or isinstance(seed, bool) or seed < 0:
        raise UserError(f"{owner}: share_seed={seed!r}", "allowed: whole numbers from 0")


def subset(names: Sequence[str], share: float, seed: int) -> list[str]:
    """Return a random share of distinct names, in the order in which they are given.

    The SHA-256 of seed and name gives every name a place, and the first `subset_size` places are
    taken. So for one seed a larger share contains every smaller one, in any order of the names.
    Adding or removing a name moves at most one other name in or out.

    Args:
        names: The distinct names.
        share: In (0, 1].
        seed: The seed of the choice.
    """
    ranked = sorted(names, key=lambda name: (_place(name, seed), name))
    taken = set(ranked[: subset_size(len(names), share)])
    return [name for name in names if name in taken]


def subset_size(count: int, share: float) -> int:
    """Return how many of `count` names a share takes: the nearest whole number, at least one.

    Not rounded up: 0.07 * 100 is 7.000000000000001 in floating point and must not become 8.
    """
    return min(count, max(1, round(share * count)))


def _place(name: str, seed: int) -> bytes:
    # Names of files need not be valid Unicode.
    return hashlib.sha256(f"{seed}\n{name}".encode("utf-8", "surrogateescape")).digest()
