"""Process groups for the launchers of mmseg, on GPUs and on CPUs."""

import contextlib
import datetime
import os
import subprocess
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar

import torch
from mmengine.dist import (
    all_reduce_params,
    broadcast_object_list,
    get_world_size,
    is_main_process,
)
from torch import distributed, nn

from ibn_seg.errors import EnvError, UserError

Found = TypeVar("Found")

_DEFAULT_PORT = "29500"
# The variables in which each launcher sets rank, number of processes and rank on the node.
_VARIABLES = {
    "pytorch": ("RANK", "WORLD_SIZE", "LOCAL_RANK"),
    "slurm": ("SLURM_PROCID", "SLURM_NTASKS", "SLURM_LOCALID"),
    "mpi": ("OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_LOCAL_RANK"),
}


@contextlib.contextmanager
def process_group(launcher: str, dist_cfg: Mapping[str, Any] | None = None) -> Iterator[None]:
    """Join the launcher's process group for the block and leave it afterwards.

    mmengine 0.10.7 selects a CUDA device in every launcher. So this makes a group of CPU processes
    itself, with gloo. On GPUs `dist_cfg` sets the backend. An existing group is used and left
    alone.

    Args:
        launcher: 'pytorch' (torchrun), 'slurm' or 'mpi'; 'none' does nothing.
        dist_cfg: mmengine's `env_cfg.dist_cfg`: `backend`, and `timeout` in seconds.

    Raises:
        UserError: The process was not started by that launcher.
    """
    if launcher == "none" or (distributed.is_available() and distributed.is_initialized()):
        yield
        return
    if not distributed.is_available():
        raise EnvError("this build of PyTorch has no torch.distributed", "use --launcher none")
    _export_ranks(launcher)
    options: dict[str, Any] = dict(dist_cfg or {})
    backend = options.get("backend", "nccl") if torch.cuda.is_available() else "gloo"
    if torch.cuda.is_available():
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    timeout = options.get("timeout")
    limit = {"timeout": datetime.timedelta(seconds=timeout)} if timeout else {}
    distributed.init_process_group(backend=backend, **limit)
    try:
        yield
    finally:
        distributed.destroy_process_group()


def average_buffers(model: nn.Module) -> None:
    """Replace the running statistics of every rank by their mean over the ranks.

    Plain BN gives each rank its own statistics. They are averaged before each checkpoint and each
    validation, so the validated network is the saved one. The updates are linear, so the time of
    averaging changes nothing else.
    """
    if get_world_size() > 1:
        floating = (buffer for buffer in model.buffers() if buffer.is_floating_point())
        all_reduce_params(floating, op="mean")


def on_main_process(look: Callable[[], Found]) -> Found:
    """Return on every rank what a function returns on the first; its errors are raised on all.

    A rank that ended by itself would leave the others waiting for it.

    Args:
        look: A function that reports problems as `UserError` or `EnvError`.
    """
    outcome: list[Any] = [None, None]
    if is_main_process():
        try:
            outcome[0] = look()
        except (UserError, EnvError) as error:
            outcome[1] = error
    broadcast_object_list(outcome)
    if outcome[1] is not None:
        raise outcome[1]
    return outcome[0]


def check_launched(launcher: str) -> None:
    """Raise if torchrun started this process among others and no launcher is given.

    Without `--launcher` each process would be a separate run in the same folder. The variables of
    slurm alone prove nothing: the shell of an allocation has them too.

    Raises:
        UserError: torchrun's variables are set, and `launcher` is 'none'.
    """
    if launcher != "none" or (distributed.is_available() and distributed.is_initialized()):
        return
    rank, count, local = (os.environ.get(name, "") for name in _VARIABLES["pytorch"])
    if rank.isdecimal() and local.isdecimal() and count.isdecimal() and int(count) > 1:
        raise UserError(
            f"this is process {rank} of {count} by torchrun's RANK and WORLD_SIZE, "
            "but --launcher is none",
            "add --launcher pytorch, or unset RANK, LOCAL_RANK and WORLD_SIZE",
        )


@contextlib.contextmanager
def kept_thread_settings() -> Iterator[None]:
    """Restore the thread variables, which mmengine sets to 1 in distributed runs."""
    names = ("OMP_NUM_THREADS", "MKL_NUM_THREADS")
    before = {name: os.environ.get(name) for name in names}
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def _export_ranks(launcher: str) -> None:
    """Give PyTorch the launcher's ranks under the names that it reads."""
    for name, source in zip(_VARIABLES["pytorch"], _VARIABLES[launcher], strict=True):
        value = os.environ.get(source)
        if value is None:
            raise UserError(
                f"--launcher {launcher}: {source} is not set",
                "start through torchrun, srun or mpirun (tools/dist_train.sh), or leave it out",
            )
        os.environ[name] = value
    os.environ.setdefault("MASTER_PORT", _DEFAULT_PORT)
    if "MASTER_ADDR" not in os.environ:
        os.environ["MASTER_ADDR"] = _first_host() if launcher == "slurm" else "127.0.0.1"


def _first_host() -> str:
    """Return the first node of a slurm job."""
    command = ["scontrol", "show", "hostnames", os.environ.get("SLURM_NODELIST", "")]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError) as error:
        raise EnvError("the first slurm node is not known", "set MASTER_ADDR") from error
    return done.stdout.split()[0]
