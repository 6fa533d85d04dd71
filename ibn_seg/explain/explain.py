"""Turn errors of mmengine, mmseg and PyTorch about a config into one line for the user.

Other packages build and run the parts of a config, and their errors name no key. The frames of an
error tell here which part of the config it is about. Other errors stay unchanged, because they are
bugs: ibn_seg's own code raised them, or no part of the config can be named.
"""

import contextlib
from collections.abc import Iterator

from mmengine.config import Config
from torch import nn

from ibn_seg.environment import environment_error
from ibn_seg.errors import UserError
from ibn_seg.explain.argument_kinds import wrong_kind
from ibn_seg.explain.blame import Frame, Place, follow, frames_of
from ibn_seg.explain.reasons import describe, is_wrong_argument
from ibn_seg.explain.worker_errors import explain_worker, is_from_worker

# These name their file or connection themselves, or are no errors at all.
_LEFT_ALONE = (StopIteration, EOFError, BrokenPipeError, ConnectionError, PermissionError)


@contextlib.contextmanager
def explained(config: Config, *roots: str) -> Iterator[None]:
    """Turn errors from a wrong config into one line that names the key.

    Args:
        config: The config that is built or run in the block.
        roots: Keys of the config that are in use, such as 'test_pipeline', to distinguish equal
            parts. Inside a Runner's loops they are known.

    Raises:
        UserError: A part of the config cannot be built or does not work.
        EnvError: The machine cannot do it, or a package is missing.
    """
    given = config.to_dict()
    try:
        yield
    except Exception as error:
        explanation = explain(error, given, *roots)
        if explanation is None:
            raise
        raise explanation from error


def explain(error: Exception, given: dict, *roots: str) -> UserError | None:
    """Return the line for an error, or None for an error that is not about the config.

    Args:
        error: The error, with its traceback.
        given: The config, as it was before anything was built from it.
        roots: As for `explained`.
    """
    if isinstance(error, UserError):
        return None
    machine = environment_error(error)
    if machine is not None or isinstance(error, _LEFT_ALONE):
        return machine
    frames, trail = frames_of(error), follow(error, given, roots)
    if is_from_worker(error):
        return explain_worker(error, given, trail.roots)
    place = trail.place
    if place is None:
        return None
    if _is_ours(error, frames, place):
        return wrong_kind(error, place, frames)
    return describe(error, place, frames, given)


def _is_ours(error: Exception, frames: list[Frame], place: Place) -> bool:
    """Tell whether ibn_seg's own code failed.

    That is the case if it raised the error, or called a library that raised it. There are three
    exceptions. An argument may be unknown to a base class of ours. A transform of ours may lack a
    key that no step before it gave. PyTorch may refuse the config's settings of one of our layers,
    while it is built or used.
    """
    if frames[-1].ours:
        if is_wrong_argument(error, place):
            return False
        return not (isinstance(error, KeyError) and _is_missing_result(frames[-1], error))
    responsible = next((frame for frame in reversed(frames) if not frame.leaf), frames[-1])
    return responsible.ours and not isinstance(responsible.owner, nn.Module)


def _is_missing_result(frame: Frame, error: KeyError) -> bool:
    """Tell whether a transform asked for a key that no step before it has put into the sample."""
    results = frame.locals.get("results")
    return isinstance(results, dict) and bool(error.args) and error.args[0] not in results
