"""The order of the tests."""

from pathlib import Path

import pytest

# Files that hold one long test or share a long run; begun last, they would keep one process busy
# while the others have nothing left.
_FIRST = ("kill/test_benchmark.py", "benchmark/test_dependents.py", "tasks/test_demo.py")
_HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the files that take longest; the order within a file stays."""
    places = {_HERE / name: place for place, name in enumerate(_FIRST)}
    items.sort(key=lambda item: places.get(item.path, len(places)))
