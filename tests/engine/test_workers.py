"""Data workers that cannot hand a batch over end the run."""

import pytest
import torch
from torch.utils.data import DataLoader, Dataset

from ibn_seg.engine.workers import report_lost_batches
from ibn_seg.environment import environment_error

ENOUGH_S = 60  # a data loader that waits for ever fails then


class Samples(Dataset):
    """Four samples; the third is what `third` returns."""

    def __init__(self, third):
        self.third = third

    def __len__(self):
        return 4

    def __getitem__(self, index):
        return self.third() if index == 2 else torch.tensor(index)


class Unsendable:
    def __reduce__(self):
        raise RuntimeError("unable to allocate shared memory(shm) for file </torch_1_2>")


def loader(third, **options):
    return report_lost_batches(
        DataLoader(
            Samples(third), batch_size=None, num_workers=1, timeout=ENOUGH_S, **options
        )
    )  # fmt: skip


@pytest.mark.parametrize("context", ["fork", "spawn"])
def test_a_batch_that_cannot_be_sent_is_an_error_and_not_forgotten(context):
    batches = iter(loader(Unsendable, multiprocessing_context=context))
    assert [next(batches), next(batches)] == [0, 1]
    with pytest.raises(RuntimeError, match="unable to allocate shared memory") as caught:
        next(batches)
    del batches
    assert "--shm-size" in environment_error(caught.value).line


def test_a_workers_own_start_is_kept(capfd):
    started = loader(lambda: torch.tensor(2), worker_init_fn=lambda worker: print("began", worker))
    assert [int(batch) for batch in started] == [0, 1, 2, 3]
    assert "began 0" in capfd.readouterr().out


def test_without_workers_nothing_is_changed():
    plain = DataLoader(Samples(lambda: torch.tensor(2)), batch_size=None)
    assert report_lost_batches(plain).worker_init_fn is None
