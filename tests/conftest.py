"""The order of the tests, and the one tiny training that many of them look at."""

import contextlib
import importlib
import os
from pathlib import Path

import pytest

from tests.cheaper import make_runs_cheaper

# Files that hold one long test or share a long run; begun last, they would keep one process busy
# while the others have nothing left.
_FIRST = ("kill/test_benchmark.py", "benchmark/test_dependents.py", "demo/test_demo.py")
_HERE = Path(__file__).parent
_FREEZE_EVERY = 8
_left_files: set[Path] = set()


def pytest_configure(config: pytest.Config) -> None:
    """Let yapf keep its grammar now: several processes would read what one has half written."""
    if not hasattr(config, "workerinput"):
        with contextlib.suppress(ImportError):
            importlib.import_module("yapf")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the files that take longest; the order within a file stays."""
    places = {_HERE / name: place for place, name in enumerate(_FIRST)}
    items.sort(key=lambda item: places.get(item.path, len(places)))


def pytest_collection_finish() -> None:
    """Take what the tests have imported out of garbage collection."""
    make_runs_cheaper()


def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> None:
    """Do so again now and then: loggers, caches and late imports stay until the end."""
    if nextitem is None or nextitem.path != item.path:
        _left_files.add(item.path)
        if len(_left_files) % _FREEZE_EVERY == 0:
            make_runs_cheaper()


@pytest.fixture(scope="session")
def tiny(tmp_path_factory):
    """The config of the tiny experiment, its data beside it."""
    from tests.tiny import write_experiment

    return write_experiment(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="session")
def trained(tiny, tmp_path_factory):
    """The work dir and the result of an undisturbed training."""
    import torch

    from ibn_seg.run import segmentation

    torch.set_num_threads(1)
    work_dir = tmp_path_factory.mktemp("trained")
    threads, variable = torch.get_num_threads(), os.environ.get("OMP_NUM_THREADS")
    result = segmentation.train(tiny, work_dir=work_dir, quiet=True, command="ibn-seg train tiny")
    assert torch.get_num_threads() == threads
    assert os.environ.get("OMP_NUM_THREADS") == variable
    return work_dir, result
