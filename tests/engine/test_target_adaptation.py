"""Test-time methods in mmengine's loops: each domain anew, and nothing is left behind."""

import types

import pytest
import torch
from mmengine.dataset import DefaultSampler
from mmengine.structures import BaseDataElement
from torch import nn

from ibn_seg.engine import DomainBatchSampler, SharedEMAHook, TargetAdaptationHook
from ibn_seg.errors import UserError


class Segmentor(nn.Module):
    """What the hook needs of mmseg's: `encode_decode`, a preprocessor, and the mode 'tensor'."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.conv, self.norm = nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4)

    def data_preprocessor(self, batch, training):
        return {"inputs": torch.stack(batch["inputs"])}

    def encode_decode(self, inputs, metas):
        return self.norm(self.conv(inputs))

    def forward(self, inputs, data_samples=None, mode="tensor"):
        with torch.no_grad():
            return self.encode_decode(inputs, data_samples)


class Domain(torch.utils.data.Dataset):
    def __init__(self, target, count):
        self.target, self.count = target, count

    def __len__(self):
        return self.count

    def __getitem__(self, index):
        rng = torch.Generator().manual_seed(index)
        image = torch.randn(3, 4, 4, generator=rng) + (5 if self.target == "b" else 0)
        sample = BaseDataElement(metainfo={"target": self.target})
        return {"inputs": image, "data_samples": sample}


def evaluated(hook, batches, hooks=()):
    """Run a test as a loop does; return scores by batch, and the model."""
    model = Segmentor().eval()
    data = torch.utils.data.ConcatDataset([Domain("a", 3), Domain("b", 5)])
    loader = types.SimpleNamespace(dataset=data)
    runner = types.SimpleNamespace(model=model, hooks=hooks, test_dataloader=loader)
    before = {key: value.clone() for key, value in model.state_dict().items()}
    hook.before_test_epoch(runner)
    scores = []
    for indices in batches:
        samples = [data[index] for index in indices]
        batch = {key: [sample[key] for sample in samples] for key in samples[0]}
        hook.before_test_iter(runner, 0, batch)
        scores.append(model(torch.stack(batch["inputs"]), batch["data_samples"]))
    hook.after_test_epoch(runner)
    assert before.keys() == model.state_dict().keys()
    assert all(torch.equal(before[key], value) for key, value in model.state_dict().items())
    assert "encode_decode" not in vars(model)
    return scores


@pytest.mark.parametrize(
    "settings",
    [
        {"method": "batch"},
        {"method": "batch", "prior": 0.5, "unbiased": True},
        {"method": "AdaBN"},
        {"method": "TENT", "lr": 0.1},
        {"method": "TENT", "lr": 0.1, "episodic": True},
    ],
)
def test_each_domain_begins_from_the_trained_network(settings):
    both = evaluated(TargetAdaptationHook(**settings), [[0, 1], [3, 4], [5, 6]])
    alone = evaluated(TargetAdaptationHook(**settings), [[3, 4], [5, 6]])
    plain = Segmentor().eval()(torch.stack([Domain("b", 5)[k]["inputs"] for k in (0, 1)]))
    assert torch.equal(both[1], alone[0])
    assert torch.equal(both[2], alone[1])
    assert (both[1] - plain).abs().max() > 0.1
    if settings["method"] == "TENT":
        again = evaluated(TargetAdaptationHook(**settings), [[5, 6]])
        assert torch.equal(again[0], alone[1]) == settings.get("episodic", False)


def test_what_does_not_fit_is_one_line():
    with pytest.raises(UserError, match="did you mean 'TENT'"):
        TargetAdaptationHook("Tent")
    with pytest.raises(UserError, match=r"holds images of a and b: set batch_sampler"):
        evaluated(TargetAdaptationHook("batch"), [[2, 3]])
    with pytest.raises(UserError, match="TENT: averaged weights and adaptation at test time"):
        evaluated(TargetAdaptationHook("TENT"), [[0]], [SharedEMAHook(0.1)])


def test_batches_hold_one_domain_each_in_the_order_of_a_seed():
    data = torch.utils.data.ConcatDataset([Domain("a", 3), Domain("b", 5)])

    def batches(seed, size=2):
        return list(DomainBatchSampler(DefaultSampler(data, shuffle=False), size, seed=seed))

    assert batches(None) == [[0, 1], [2], [3, 4], [5, 6], [7]]
    assert batches(0) == batches(0) != batches(1)
    assert all(max(batch) < 3 or min(batch) >= 3 for batch in batches(0))
    assert sorted(index for batch in batches(0) for index in batch) == list(range(8))
    assert len(DomainBatchSampler(DefaultSampler(data, shuffle=False), 2)) == len(batches(0))
    with pytest.raises(UserError, match="every image is scored"):
        DomainBatchSampler(DefaultSampler(data, shuffle=False), 2, drop_last=True)
