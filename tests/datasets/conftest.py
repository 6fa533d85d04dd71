import gc

import pytest


@pytest.fixture(scope="package", autouse=True)
def frozen_garbage():
    """Keep the libraries' objects out of the garbage collection that mmengine runs per data set."""
    import mmseg.datasets  # noqa: F401

    gc.freeze()
    yield
    gc.unfreeze()
