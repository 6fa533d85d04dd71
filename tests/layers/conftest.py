"""The C passes, for the tests that need them."""

import sys

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
