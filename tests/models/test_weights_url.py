"""Checkpoints of the batch-norm twin from an address, which a real server serves."""

import pytest
import torch

from ibn_seg.errors import EnvError, UserError
from ibn_seg.io import sha256
from ibn_seg.models import ResNet
from ibn_seg.models.weights import load_backbone_weights
from tests.helpers import Malicious
from tests.models.local_server import serve
from tests.models.twins import SMALL, twin


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """PyTorch's hub folder, in a place of its own."""
    monkeypatch.setattr(torch.hub, "_hub_dir", str(tmp_path / "hub"))
    return tmp_path / "hub" / "checkpoints"


@pytest.fixture
def served(tmp_path):
    """A folder and the address at which a real server serves it."""
    folder = tmp_path / "served"
    folder.mkdir()
    with serve(folder) as address:
        yield folder, address


def test_url_with_a_hash_is_checked_and_kept(hub, served):
    folder, address = served
    torch.save(twin(), folder / "plain.pth")
    name = f"resnet18-{sha256(folder / 'plain.pth')[:8]}.pth"
    (folder / "plain.pth").rename(folder / name)
    network = ResNet(18, **SMALL, ibn="a")
    load_backbone_weights(network, f"{address}/{name}")
    assert torch.equal(network.conv1.weight, twin()["conv1.weight"])
    assert [path.name for path in hub.iterdir()] == [name]

    # From then on the server is not asked, unless the kept file is damaged.
    (folder / name).rename(folder / "away")
    load_backbone_weights(network, f"{address}/{name}")
    (hub / name).write_bytes(b"damaged")
    with pytest.raises(UserError, match="404"):
        load_backbone_weights(network, f"{address}/{name}")


def test_url_with_a_wrong_hash_is_refused(hub, served):
    folder, address = served
    torch.save(twin(), folder / "resnet18-0123abcd.pth")
    with pytest.raises(UserError, match=r"its SHA-256 begins with .* expected 0123abcd"):
        load_backbone_weights(ResNet(18, **SMALL), f"{address}/resnet18-0123abcd.pth")
    assert list(hub.iterdir()) == []


def test_files_of_one_name_are_told_apart_by_their_url(hub, served):
    folder, address = served
    for seed in (0, 1):
        (folder / str(seed)).mkdir()
        torch.save(twin(seed=seed), folder / str(seed) / "latest.pth")
    for seed in (0, 1):
        network = ResNet(18, **SMALL)
        load_backbone_weights(network, f"{address}/{seed}/latest.pth")
        assert torch.equal(network.conv1.weight, twin(seed=seed)["conv1.weight"])


def test_url_of_a_malicious_pickle_does_not_execute(hub, served, tmp_path):
    folder, address = served
    torch.save({"state_dict": Malicious(tmp_path / "executed")}, folder / "bad.pth")
    with pytest.raises(UserError, match=r"bad.pth: .*refused"):
        load_backbone_weights(ResNet(18, **SMALL), f"{address}/bad.pth")
    assert not (tmp_path / "executed").exists()
    assert list(hub.iterdir()) == []


def test_addresses_that_do_not_answer(hub, served):
    _, address = served
    with pytest.raises(UserError, match=r"absent.pth: the server says 404"):
        load_backbone_weights(ResNet(18, **SMALL), f"{address}/absent.pth")
    with pytest.raises(EnvError, match="cannot be reached"):
        load_backbone_weights(ResNet(18, **SMALL), "http://127.0.0.1:9/x.pth")
    with pytest.raises(UserError, match="names no file"):
        load_backbone_weights(ResNet(18, **SMALL), f"{address}/")
