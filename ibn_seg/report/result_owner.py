"""Reads the common part of analysis results: their kind, and the network they belong to."""

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ibn_seg.errors import UserError

# Errors on reading a result with a missing or wrong value.
DAMAGE = (LookupError, TypeError, ValueError, AttributeError)


@dataclass(frozen=True)
class Owner:
    """The network that a result belongs to.

    Args:
        method: Name of the method; without one, the name of the run.
        backbone: Name of the backbone; None if it is not recorded.
        seed: Training seed; None if it is not recorded.
        run: Name of the run, for messages.
    """

    method: str
    backbone: str | None
    seed: int | None
    run: str


@contextlib.contextmanager
def reading(result: Any, kind: str) -> Iterator[Owner]:
    """Check a result's kind and yield its owner; raise one `UserError` for any defect.

    Args:
        result: The content of a result file.
        kind: The command that wrote it, such as 'divergence'.

    Raises:
        UserError: The result is of another kind, incomplete or damaged.
    """
    known = result if isinstance(result, Mapping) else {}
    run = str(known.get("name") or known.get("method") or "result")
    if known.get("kind") != kind:
        raise UserError(f"{run}: not a result of `ibn-seg {kind}`", f"give {kind}.json")
    method = str(known.get("method") or known.get("name") or "network")
    try:
        yield Owner(method, known.get("backbone"), known.get("seed"), run)
    except UserError:
        raise
    except DAMAGE as error:
        raise UserError(
            f"{run}: incomplete or damaged ({type(error).__name__}: {error})",
            f"run `ibn-seg {kind}` again",
        ) from error
