"""Run batches of jobs in workers: bounded memory, results in order, clean interrupts."""

import collections
import concurrent.futures
import contextlib
import itertools
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures.process import BrokenProcessPool
from typing import Any

import cv2

from ibn_seg.errors import EnvError, UserError

# Batches queued per worker: enough to keep each one busy, few enough to save memory.
_AHEAD = 4


def run_batches(
    function: Callable[[Sequence[Any]], Any], jobs: Iterable[Any], *, workers: int, size: int = 8
) -> Iterator[Any]:
    """Yield `function(batch)` for batches of the jobs, in their order.

    Args:
        function: A module's function, so that it can be sent.
        jobs: The arguments of each call, sent `size` at a time and drawn as needed.
        workers: Number of processes; 1 runs everything in this one.
        size: Jobs per batch.

    Raises:
        UserError: `workers` is below 1.
        EnvError: A worker died, for example for lack of memory.
    """
    if workers < 1:
        raise UserError(f"workers = {workers}", "give 1 or more")
    batches = _batched(jobs, size)
    if workers == 1:
        threads = cv2.getNumThreads()
        cv2.setNumThreads(1)
        try:
            yield from map(function, batches)
        finally:
            cv2.setNumThreads(threads)
        return
    # Forking a process with running OpenCV threads may hang the copies; spawned ones start clean.
    context = multiprocessing.get_context("spawn")
    pool = concurrent.futures.ProcessPoolExecutor(workers, context, _start_worker)
    waiting: collections.deque = collections.deque()
    try:
        for batch in itertools.chain(batches, itertools.repeat(None)):
            if batch is not None:
                with _no_interrupts():
                    waiting.append(pool.submit(function, batch))
                if len(waiting) < workers * _AHEAD:
                    continue
            if not waiting:
                break
            yield waiting.popleft().result()
    except BrokenProcessPool as error:
        raise EnvError(
            "a worker process died", "it may have run out of memory; try fewer --workers"
        ) from error
    finally:
        pool.shutdown(cancel_futures=True)


def default_workers() -> int:
    """Return the number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@contextlib.contextmanager
def _no_interrupts() -> Iterator[None]:
    """Delay Ctrl-C while processes start, and never let it reach them.

    The signal reaches the whole process group, but the parent ends its workers itself. A worker
    that is interrupted while it starts prints a traceback.
    """
    seen: list[int] = []
    main = threading.current_thread() is threading.main_thread()
    # Other threads may receive the signal; Python then runs its handler in the main thread.
    if main:
        handler = signal.signal(signal.SIGINT, lambda number, frame: seen.append(number))
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        if main:
            signal.signal(signal.SIGINT, handler)
        if seen:
            signal.raise_signal(signal.SIGINT)


def _start_worker() -> None:
    """Prepare a worker: one thread, and it ends with its parent."""
    # The workers already use the cores.
    cv2.setNumThreads(1)
    # A killed parent sends no message, and its workers would wait for work forever.
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _batched(jobs: Iterable[Any], size: int) -> Iterator[list[Any]]:
    iterator = iter(jobs)
    while batch := list(itertools.islice(iterator, size)):
        yield batch
