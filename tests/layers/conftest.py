"""The C passes and the plain layers, for the tests that need them."""

import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from ibn_seg.layers import native


@pytest.fixture(scope="session")
def compiler() -> None:
    """Skip where nothing can be compiled; a C file that does not compile is a failure."""
    if sys.platform != "linux":
        pytest.skip(f"the C passes are not tried on {sys.platform}")
    try:
        native._compiler()
    except OSError as error:
        pytest.skip(str(error))
    assert native.library() is not None


@pytest.fixture(scope="module")
def compiled(compiler) -> Iterator[None]:
    """Let the layers take the C passes, whatever the environment says."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(native.SWITCH, "auto")
        yield


@pytest.fixture
def plain(monkeypatch) -> Callable[..., Any]:
    """Return a function that calls another with the plain layers."""

    def call(function: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
        with monkeypatch.context() as patch:
            patch.setenv(native.SWITCH, "plain")
            return function(*arguments, **named)

    return call
