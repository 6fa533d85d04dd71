import os

import pytest
import torch

from ibn_seg.run import segmentation
from tests.tasks.tiny import write_experiment


@pytest.fixture(scope="session")
def tiny(tmp_path_factory):
    """The config of the tiny experiment, its data beside it."""
    return write_experiment(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="session")
def trained(tiny, tmp_path_factory):
    """The work dir and the result of an undisturbed training."""
    torch.set_num_threads(1)
    work_dir = tmp_path_factory.mktemp("trained")
    threads, variable = torch.get_num_threads(), os.environ.get("OMP_NUM_THREADS")
    result = segmentation.train(tiny, work_dir=work_dir, quiet=True, command="ibn-seg train tiny")
    assert torch.get_num_threads() == threads
    assert os.environ.get("OMP_NUM_THREADS") == variable
    return work_dir, result
