"""Gives each cell that runs on this machine its own GPUs.

A cell that runs has a *claim*: a file in a folder of this machine that names its GPUs. The file is
locked, and the cell's processes have it as their standard input. The system ends the lock with the
last of these processes. So a GPU is free once nothing of its cell is left, also after a kill. All
benchmarks of one user on one machine look at the same folder.
"""

import contextlib
import fcntl
import json
import os
import secrets
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ibn_seg.benchmark.plan import Plan
from ibn_seg.benchmark.planned_cell import TRAINED, Cell
from ibn_seg.errors import UserError
from ibn_seg.io import write_error

VISIBLE = "CUDA_VISIBLE_DEVICES"
# A job of slurm has devices of its own, which it numbers from 0.
_JOB = "SLURM_JOB_ID"
# What the UUIDs of GPUs and of their parts begin with (CUDA C++ Programming Guide, environment
# variables).
_UUIDS = ("GPU-", "MIG-")
# Three shares of 0.33 fill a GPU; sums of shares are rounded.
_ROUNDING = 1e-6


@dataclass(frozen=True)
class Claim:
    """The GPUs of a cell while it runs.

    Attributes:
        devices: Their names, as in CUDA_VISIBLE_DEVICES. Empty: the cell runs on CPUs.
        variables: The environment variables for the cell's processes.
        handle: The standard input for the cell's processes: the open file of the claim.
    """

    devices: tuple[str, ...] = ()
    variables: Mapping[str, str] = field(default_factory=dict)
    handle: int = subprocess.DEVNULL


def visible_devices() -> tuple[str, ...]:
    """Return the names of this machine's GPUs: in CUDA_VISIBLE_DEVICES, else those of PyTorch.

    As in CUDA, an empty or negative name ends the list, and so does a word such as 'none'.

    Raises:
        UserError: CUDA_VISIBLE_DEVICES names a device twice, is no list with commas, or names more
            GPUs than there are.
    """
    listed = os.environ.get(VISIBLE)
    if listed is None:
        return tuple(map(str, range(_counted())))
    names: list[str] = []
    for name in map(_device, listed.split(",")):
        if name is None:
            break
        if name in names:
            raise UserError(f"{VISIBLE}={listed} names device {name} twice", "name each once")
        names.append(name)
    # Without any GPU the names stand for pretended ones, and the cells run on CPUs.
    there = _counted() if names else 0
    if 0 < there < len(names):
        raise UserError(
            f"{VISIBLE}={listed} names {len(names)} devices, and PyTorch sees {there}",
            "name those that `nvidia-smi -L` lists",
        )
    return tuple(names)


def _counted() -> int:
    """Return the number of GPUs that PyTorch sees."""
    import torch

    return torch.cuda.device_count()


def _device(given: str) -> str | None:
    """Return the name of a GPU in CUDA's spelling: a number or a UUID; None if it is no GPU.

    Raises:
        UserError: It begins with a number and goes on; CUDA would take the number alone.
    """
    name = given.strip()
    if name.isdecimal():
        return str(int(name))
    if name[:1].isdecimal():
        raise UserError(
            f"{VISIBLE} has the device {name!r}", "write numbers or UUIDs with commas, such as 0,1"
        )
    return name if name.startswith(_UUIDS) else None


def gpus_of(plan: Plan, cell: Cell, devices: Sequence[str]) -> float:
    """Return the number of GPUs that a cell needs, or its share of one.

    Args:
        plan: The plan. Without `gpus`, each process gets a GPU where there are any.
        cell: The cell. An analysis has one process, so it needs at most one GPU.
        devices: The machine's GPUs.
    """
    counted = plan.processes if devices else 0
    asked = counted if plan.gpus is None else plan.gpus
    return asked if cell.task in TRAINED else min(asked, 1)


def lacking_gpus(plan: Plan, cell: Cell, devices: Sequence[str]) -> str | None:
    """Return one line if a machine has fewer GPUs than a cell needs, else None."""
    asked = gpus_of(plan, cell, devices)
    if asked <= len(devices):
        return None
    key, there = "processes" if plan.gpus is None else "gpus", len(devices) or "none"
    return f"{key}: a cell needs {asked:g} GPUs, but there are {there}: ask for fewer"


def check_devices(plan: Plan, cells: Sequence[Cell]) -> None:
    """Check that this machine has enough GPUs for each cell.

    Raises:
        UserError: A cell needs more than there are. Or CUDA_VISIBLE_DEVICES is wrong.
    """
    devices = visible_devices()
    for cell in cells:
        if line := lacking_gpus(plan, cell, devices):
            raise UserError(f"{plan.file}: {line}")


class Devices:
    """The GPUs of this machine, which the cells of all of the user's benchmarks share.

    Args:
        names: The names of the GPUs.
    """

    def __init__(self, names: Sequence[str]) -> None:
        self._names = tuple(names)
        of_job = f"-{os.environ[_JOB]}" if os.environ.get(_JOB) else ""
        self._folder = Path(tempfile.gettempdir(), f"ibn-seg-gpus-{os.getuid()}{of_job}")

    @contextlib.contextmanager
    def claimed(self, gpus: float) -> Iterator[Claim | None]:
        """Hold GPUs during the block.

        Args:
            gpus: Their number, or a share of one. With 0 the cell's processes see none.

        Yields:
            The claim; None if too few are free now.

        Raises:
            EnvError: The folder of the claims cannot be written.
        """
        if not self._names:
            yield Claim()
            return
        if not gpus:
            yield Claim(variables={VISIBLE: ""})
            return
        claim = self._claim(gpus)
        try:
            yield claim
        finally:
            if claim is not None:
                # A process of the cell that still lives keeps the lock.
                os.close(claim.handle)
                with self._one_at_a_time():
                    self._used()

    def _claim(self, gpus: float) -> Claim | None:
        with self._one_at_a_time():
            devices = self._free(gpus)
            if devices is None:
                return None
            path = self._folder / f"{secrets.token_hex(8)}.json"
            handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
            fcntl.flock(handle, fcntl.LOCK_EX)
            held = {"pid": os.getpid(), "devices": devices, "share": min(gpus, 1)}
            os.write(handle, json.dumps(held).encode())
        return Claim(devices, {VISIBLE: ",".join(devices)}, handle)

    def _free(self, gpus: float) -> tuple[str, ...] | None:
        """Return as many GPUs as asked for, those with the smallest used shares first."""
        used, share, count = self._used(), min(gpus, 1), max(1, int(gpus))
        room = [n for n in self._names if used.get(n, 0.0) + share <= 1 + _ROUNDING]
        room.sort(key=lambda name: used.get(name, 0.0))
        return tuple(room[:count]) if len(room) >= count else None

    def _used(self) -> dict[str, float]:
        """Return the used share of each GPU; remove the claims whose processes have ended."""
        used: dict[str, float] = {}
        for path in self._folder.glob("*.json"):
            with path.open("rb") as file:
                if _lock(file.fileno()):
                    path.unlink()
                    continue
                held = json.load(file)
            for name in held["devices"]:
                used[name] = used.get(name, 0.0) + held["share"]
        return used

    @contextlib.contextmanager
    def _one_at_a_time(self) -> Iterator[None]:
        """Let one thread of one process look at the claims and change them."""
        try:
            self._folder.mkdir(mode=0o700, exist_ok=True)
            with (self._folder / "lock").open("wb") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX)
                yield
        except OSError as error:
            raise write_error(self._folder, error) from error


def _lock(handle: int) -> bool:
    """Lock an open file unless another one holds its lock; return whether it did."""
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
