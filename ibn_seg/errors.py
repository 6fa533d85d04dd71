"""Errors that the user can fix: one line with the problem, the allowed values and the remedy.

Every command prints these as one line on stderr and exits with a code. Any other error is a bug in
ibn_seg and keeps its traceback.

With IBN_SEG_TRACEBACK=1 in the environment, the line comes with its traceback.

Exit codes: 0 success, 1 internal error, 2 wrong input or usage, 3 the environment cannot do it, 130
interrupted, 141 the reader of the output has closed the pipe.
"""

import difflib
from collections.abc import Iterable

TRACEBACK_VARIABLE = "IBN_SEG_TRACEBACK"


class UserError(ValueError):
    """A mistake in the user's input: an argument, a config, a file.

    It is a `ValueError`, which timm and segmentation_models_pytorch promise for wrong arguments.

    Args:
        problem: What was given and what is wrong with it. It names the file or the key.
        fix: The allowed values, or what to do about it.
    """

    exit_code = 2

    def __init__(self, problem: str, fix: str = "") -> None:
        line = f"{problem}: {fix}" if fix else problem
        super().__init__(line)
        self.problem = problem

    @property
    def line(self) -> str:
        """The message on one line, without the text that data workers and registries add.

        PyTorch re-raises a data worker's error with the worker's traceback as its message.
        mmengine's registries prepend the class that was being built.
        """
        marker = f"{type(self).__name__}: "
        lines = [part.strip() for part in str(self).strip().splitlines() if part.strip()]
        last = next((part for part in reversed(lines) if marker in part), lines[-1])
        return last.rpartition(marker)[2] if marker in last else " ".join(lines)


class UnknownNameError(UserError, KeyError):
    """A name that a table does not have; a `KeyError` too, which mmseg and smp promise for it."""

    # `KeyError` would put the line in quotes.
    __str__ = Exception.__str__


class WrongTypeError(UserError, TypeError):
    """An argument of another type, or that is not there; a `TypeError` too, as mmseg promises."""


class EnvError(UserError):
    """The environment cannot do what was asked: disk full, not writable, package missing."""

    exit_code = 3


def nearest(given: str, allowed: Iterable[str], cutoff: float = 0.5) -> str | None:
    """Return the allowed name that `given` most likely means, or None if none is similar.

    Args:
        given: The name.
        allowed: The allowed names; upper and lower case count the same.
        cutoff: How similar two names have to be, from 0 to 1 (`difflib.SequenceMatcher.ratio`).
    """
    folded = {str(name).lower(): str(name) for name in allowed}
    matches = difflib.get_close_matches(str(given).lower(), folded, n=1, cutoff=cutoff)
    return folded[matches[0]] if matches else None


def unknown(
    kind: str, given: object, allowed: Iterable[str], error: type[UserError] = UnknownNameError
) -> UserError:
    """Return the error for a name that a table does not have, with the most similar name it has.

    Args:
        kind: What the name stands for.
        given: The name.
        allowed: The names that the table has.
        error: The class of the error.
    """
    allowed = list(allowed)
    names = [str(name) for name in allowed]
    guess = nearest(str(given), names)
    hint = f"did you mean {guess!r}? " if guess else ""
    if isinstance(given, str) and given in names and given not in allowed:
        hint = "write it without quotes; "
    return error(f"unknown {kind} {given!r}", f"{hint}allowed: {', '.join(names)}")
