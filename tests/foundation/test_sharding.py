"""Two processes that share a network compute what one does with both pictures."""

import datetime
import os

import pytest
import torch
from torch import distributed, multiprocessing

pytest.importorskip("timm")

from ibn_seg.engine.sharded_network import FullyShardedNetwork
from ibn_seg.foundation.sharding import shard
from tests.foundation.made import picture, tiny
from tests.run.test_processes import free_port

TUNINGS = ("full", {"mode": "lora", "rank": 4}, {"mode": "rein", "rank": 4, "tokens": 10})


def trained(backbone, images):
    """Take two steps, and return the last loss."""
    values = [value for value in backbone.parameters() if value.requires_grad]
    optimizer = torch.optim.SGD(values, lr=0.1, momentum=0.9)
    for _ in range(2):
        loss = sum((each**2).mean() for each in backbone(images))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return loss


def work(rank: int, port: int) -> None:
    """Compare one rank's part with the whole; an error ends the test."""
    os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port))
    torch.set_num_threads(1)
    # A rank that waits for nothing ends the test.
    limit = datetime.timedelta(seconds=120)
    distributed.init_process_group("gloo", rank=rank, world_size=2, timeout=limit)
    mesh = distributed.init_device_mesh("cpu", (2,))
    images = torch.cat([picture(seed=0), picture(seed=1)])
    for family, tuning in [*(("reg4", one) for one in TUNINGS), ("convnext", "full")]:
        networks = []
        for _ in range(2):
            torch.manual_seed(0)
            networks.append(tiny(family, tuning=tuning))
            networks[-1].start()
        whole, part = networks
        trained(whole.train(), images)
        shard(part, mesh)
        own = sum(value.to_local().numel() for value in part.parameters() if value.dim())
        assert own < 0.6 * sum(value.numel() for value in part.parameters())
        trained(part.train(), images[rank : rank + 1])
        for (name, value), (_, expected) in zip(
            part.named_parameters(), whole.named_parameters(), strict=True
        ):
            value = value.full_tensor() if value.dim() else value
            torch.testing.assert_close(value, expected, rtol=1e-4, atol=1e-4, msg=name)
    look_alone(rank, images)
    distributed.destroy_process_group()


def look_alone(rank: int, images: torch.Tensor) -> None:
    """In evaluation a rank may take more passes than the other, such as for windows."""
    torch.manual_seed(0)
    network = FullyShardedNetwork(tiny("reg4"))
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1, momentum=0.9)
    network.share(optimizer)
    for _ in range(2):
        trained(network.train().module, images[rank : rank + 1])
        network.eval()
        with torch.no_grad():
            first = network(images)[0]
            for _ in range(2 * rank):
                assert torch.equal(network(images)[0], first)
        distributed.barrier()


@pytest.mark.slow
def test_two_processes_share_a_network():
    multiprocessing.spawn(work, args=(free_port(),), nprocs=2)
