"""Runs `ibn-seg` in processes that are forked from one which has loaded the libraries already.

A new process loads PyTorch and mmsegmentation for some seconds before it does anything; many tests
run many commands. What is run is the same: a process of its own, with arguments, environment,
working directory, output and exit code. Tests of the start itself use `tests.tiny.command`.
"""

import atexit
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO

from tests.cheaper import make_runs_cheaper

ROOT = Path(__file__).resolve().parents[1]
# Set while libraries are loaded, so they must be the same in every command.
_FIXED = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "PYTHONPATH")
_POLL_S = 0.005


class Server:
    """The process that has loaded the libraries, one for each process of pytest."""

    def __init__(self, env: Mapping[str, str]) -> None:
        self.fixed = {name: env.get(name) for name in _FIXED}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.preloaded"], cwd=ROOT, env=dict(env),
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
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
            self._say({"arguments": list(arguments), "env": dict(env), "cwd": os.getcwd(),
                       "out": str(out), "err": str(err)})  # fmt: skip
            pid = int(self._hear())
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
        while not (answer := self._ask(pid)):
            if time.monotonic() > end:
                os.kill(pid, signal.SIGKILL)
                while not self._ask(pid):
                    time.sleep(_POLL_S)
                raise subprocess.TimeoutExpired(["ibn-seg", *arguments], timeout)
            time.sleep(_POLL_S)
        return int(answer)

    def _ask(self, pid: int) -> str:
        self._say({"ended": pid})
        return self._hear()

    def _say(self, what: Mapping[str, object]) -> None:
        self._process.stdin.write(json.dumps(what) + "\n")
        self._process.stdin.flush()

    def _hear(self) -> str:
        line = self._process.stdout.readline()
        assert line, "the process that has loaded the libraries is gone"
        return line.strip()


def _serve(asked: IO[str], answers: IO[str]) -> None:
    """Fork a process for each line that asks for one; tell the exit codes of those that ended."""
    for line in asked:
        what = json.loads(line)
        if "ended" in what:
            pid, status = os.waitpid(what["ended"], os.WNOHANG)
            answer = str(os.waitstatus_to_exitcode(status)) if pid else ""
        else:
            pid = os.fork()
            if pid == 0:
                _become(what)
            answer = str(pid)
        answers.write(answer + "\n")
        answers.flush()


def _become(what: Mapping[str, object]) -> None:
    """Be a process that runs `ibn-seg`, and end as one."""
    for number, path in ((1, what["out"]), (2, what["err"])):
        file = os.open(path, os.O_WRONLY | os.O_CREAT)
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
