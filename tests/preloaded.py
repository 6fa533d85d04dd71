"""Runs `ibn-seg` in processes that are forked from one which has loaded the libraries already.

A new process loads PyTorch and mmsegmentation for some seconds before it does anything; many tests
run many commands. What is run is the same: a process of its own, with arguments, environment,
working directory, output and exit code. Tests of the start itself use `tests.tiny.command`.
"""

import atexit
import ctypes
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import IO, NoReturn

from tests.cheaper import make_runs_cheaper

ROOT = Path(__file__).resolve().parents[1]
# Set while libraries are loaded, so they must be the same in every command.
_FIXED = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "PYTHONPATH")
_POLL_S = 0.005
_PR_SET_PDEATHSIG = 1  # linux/prctl.h


class Forks:
    """The other side of `_serve`: asks for processes, and for their exit codes.

    Args:
        questions: What `_serve` reads.
        answers: What it writes.
    """

    def __init__(self, questions: IO[str], answers: IO[str]) -> None:
        self._questions, self._answers = questions, answers
        self._turn = threading.Lock()

    def start(self, what: Mapping[str, object]) -> int:
        """Return the process ID of a new process, see `_become`."""
        return int(self._ask(what))

    def code(self, pid: int) -> int | None:
        """Return the exit code of a process; None while it runs. Ask no more once it is told."""
        answer = self._ask({"ended": pid})
        return int(answer) if answer else None

    def _ask(self, what: Mapping[str, object]) -> str:
        with self._turn:
            self._questions.write(json.dumps(what) + "\n")
            self._questions.flush()
            line = self._answers.readline()
        assert line, "the process that has loaded the libraries is gone"
        return line.strip()


class Server:
    """The process that has loaded the libraries, one for each process of pytest."""

    def __init__(self, env: Mapping[str, str]) -> None:
        self.fixed = {name: env.get(name) for name in _FIXED}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.preloaded"], cwd=ROOT, env=dict(env),
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        self._forks = Forks(self._process.stdin, self._process.stdout)
        atexit.register(self.close)

    def run(
        self, arguments: Sequence[str], env: Mapping[str, str], timeout: float
    ) -> subprocess.CompletedProcess:
        """Run `ibn-seg` with arguments, as `subprocess.run(..., capture_output=True, text=True)`.

        Raises:
            subprocess.TimeoutExpired: It took longer than `timeout` seconds, and was killed.
        """
        with tempfile.TemporaryDirectory() as folder:
            out, err = Path(folder, "out"), Path(folder, "err")
            pid = self._forks.start(_command(arguments, env, out, err))
            code = self._code(pid, timeout, arguments)
            texts = [file.read_text(errors="replace") for file in (out, err)]
        return subprocess.CompletedProcess(["ibn-seg", *arguments], code, *texts)

    def close(self) -> None:
        """End the process."""
        if self._process.poll() is None:
            self._process.stdin.close()
            self._process.wait()

    def _code(self, pid: int, timeout: float, arguments: Sequence[str]) -> int:
        end = time.monotonic() + timeout
        while (code := self._forks.code(pid)) is None:
            if time.monotonic() > end:
                os.kill(pid, signal.SIGKILL)
                while self._forks.code(pid) is None:
                    time.sleep(_POLL_S)
                raise subprocess.TimeoutExpired(["ibn-seg", *arguments], timeout)
            time.sleep(_POLL_S)
        return code


class CellProcess:
    """A cell's process as `subprocess.Popen` gives it, forked instead of started.

    The lines of `ibn_seg.benchmark.child`, and cells of several processes, are not run this way:
    tests of these start `ibn-seg` by `tests.tiny.command`.
    """

    forks: Forks

    def __init__(
        self, command: Sequence[str], *, stdout: IO[bytes], env: Mapping[str, str], **_: object
    ) -> None:
        arguments = command[command.index("ibn_seg") + 1 :]
        what = _command(arguments, env, stdout.name, stdout.name)
        self.pid = self.forks.start({**what, "session": True})
        self.returncode: int | None = None

    def poll(self) -> int | None:
        """Return the exit code, or None while it runs."""
        if self.returncode is None:
            self.returncode = self.forks.code(self.pid)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Return the exit code once it has ended."""
        end = time.monotonic() + (float("inf") if timeout is None else timeout)
        while self.poll() is None:
            if time.monotonic() > end:
                raise subprocess.TimeoutExpired("ibn-seg", timeout)
            time.sleep(_POLL_S)
        return self.returncode


def _command(
    arguments: Sequence[str], env: Mapping[str, str], out: str | Path, err: str | Path
) -> dict[str, object]:
    """Return what `_become` needs to be a command here."""
    what = {"arguments": list(arguments), "env": dict(env), "cwd": os.getcwd()}
    return {**what, "out": str(out), "err": str(err)}


def _start_cell(command: Sequence[str], **options: object) -> CellProcess | subprocess.Popen:
    several = "torch.distributed.run" in command
    return (subprocess.Popen if several else CellProcess)(command, **options)


def _fork_cells() -> None:
    """Let the benchmark of this process fork its cells from a process that it forks now.

    That one has a single thread, unlike this one later, and ends with it.
    """
    from ibn_seg.benchmark import cell_run

    here, there = socket.socketpair()
    parent = os.getpid()
    if os.fork() == 0:
        here.close()
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        _end_with(parent)
        _serve(there.makefile("r"), there.makefile("w"))
        os._exit(0)
    there.close()
    CellProcess.forks = Forks(here.makefile("w"), here.makefile("r"))
    cell_run.subprocess = SimpleNamespace(
        Popen=_start_cell, DEVNULL=subprocess.DEVNULL, TimeoutExpired=subprocess.TimeoutExpired
    )


def _end_with(parent: int) -> None:
    """Let the kernel end this process with its parent, as `ibn_seg.benchmark.child` does."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)


def _serve(asked: IO[str], answers: IO[str]) -> None:
    """Fork a process for each line that asks for one; tell the exit codes of those that ended."""
    for line in asked:
        what = json.loads(line)
        if "ended" in what:
            pid, status = os.waitpid(what["ended"], os.WNOHANG)
            answer = str(os.waitstatus_to_exitcode(status)) if pid else ""
        else:
            parent, pid = os.getpid(), os.fork()
            if pid == 0:
                if what.get("session"):
                    os.setsid()
                    _end_with(parent)
                _become(what)
            answer = str(pid)
        answers.write(answer + "\n")
        answers.flush()


def _become(what: Mapping[str, object]) -> NoReturn:
    """Be a process that runs `ibn-seg`, and end as one."""
    for number, path in ((1, what["out"]), (2, what["err"])):
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(file, number)
        os.close(file)
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    for stream, number in (("stdin", 0), ("stdout", 1), ("stderr", 2)):
        mode = "r" if number == 0 else "w"
        setattr(sys, stream, open(number, mode, closefd=False, encoding="utf-8"))  # noqa: SIM115
        setattr(sys, f"__{stream}__", getattr(sys, stream))
    os.chdir(what["cwd"])
    os.environ.clear()
    os.environ.update(what["env"])
    sys.argv = [str(ROOT / "ibn_seg" / "__main__.py"), *what["arguments"]]
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if what["arguments"][0] == "benchmark":
        _fork_cells()
    code = _run()
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    os._exit(code)


def _run() -> int:
    from ibn_seg.__main__ import main

    try:
        main()
    except SystemExit as stop:
        if stop.code is None or isinstance(stop.code, int):
            return stop.code or 0
        print(stop.code, file=sys.stderr)
        return 1
    except BaseException:  # noqa: BLE001
        traceback.print_exc()
        return 1
    return 0


def _load() -> None:
    """Load what commands load."""
    import mmseg.apis
    import torch

    import ibn_seg.cli
    from ibn_seg.run import segmentation, setup

    setup.register()
    assert torch, (mmseg, ibn_seg, segmentation)
    make_runs_cheaper()


if __name__ == "__main__":
    told = os.fdopen(os.dup(1), "w")
    # What libraries print when they are loaded is nothing that a command said.
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    _load()
    _serve(sys.stdin, told)
