"""Data workers that report why they cannot hand over a batch; PyTorch's would stay silent."""

import multiprocessing.queues
from collections.abc import Callable
from typing import Any

from torch._utils import ExceptionWrapper
from torch.utils.data import DataLoader, get_worker_info


def report_lost_batches(loader: DataLoader) -> DataLoader:
    """Let the workers of a data loader send the error if a batch cannot be sent.

    A worker hands a batch over in a thread. This may fail for lack of shared memory or file
    descriptors. PyTorch 2 then prints a traceback there, forgets the batch, and the training waits
    for it forever. Here the error takes the batch's place and is raised in the training.

    Args:
        loader: Changed in place, before its workers are started.

    Returns:
        The same data loader.
    """
    if loader.num_workers > 0:
        loader.worker_init_fn = _Start(loader.worker_init_fn)
    return loader


class _Start:
    """The first function a worker runs; a class, so that it can be sent to spawned workers.

    Args:
        then: The data loader's own function, or None.
    """

    def __init__(self, then: Callable[[int], Any] | None) -> None:
        self.then = then

    def __call__(self, worker: int) -> None:
        # This process is only PyTorch's worker, so changing the class affects nothing else.
        multiprocessing.queues.Queue._on_queue_feeder_error = _send_error
        if self.then is not None:
            self.then(worker)


def _send_error(queue: Any, error: Exception, item: Any) -> None:
    """Send an error in place of its batch; Python calls this in the sending thread.

    Args:
        queue: The queue to the training.
        error: Why the item could not be sent.
        item: (number of the batch, batch).
    """
    number = item[0] if isinstance(item, tuple) else None
    where = f"in DataLoader worker process {get_worker_info().id}"
    queue.put((number, ExceptionWrapper((type(error), error, error.__traceback__), where)))
