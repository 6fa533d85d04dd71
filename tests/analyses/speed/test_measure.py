"""What a pass needs, against what is known by hand."""

import pytest
import torch
from torch import nn

from ibn_seg.analyses.speed.measure import multiply_adds, needs, noise, peak_memory_mib

CPU = torch.device("cpu")


class Segmentor(nn.Module):
    """A layer with the call of mmseg's segmentors."""

    def __init__(self, layer):
        super().__init__()
        self.layer = layer

    def forward(self, inputs, samples=None, mode="tensor"):
        assert mode == "predict"
        return self.layer(inputs)


@pytest.mark.parametrize(
    ("layer", "expected"),
    [
        # 8 filters of 3 x 5 x 5 at 32 x 64 positions.
        (nn.Conv2d(3, 8, 5, padding=2), 8 * 3 * 25 * 32 * 64),
        (nn.Conv2d(3, 8, 3, padding=1, stride=2, bias=False), 8 * 3 * 9 * 16 * 32),
        (nn.Conv2d(3, 6, 3, padding=1, groups=3), 6 * 9 * 32 * 64),
        (nn.Linear(64, 10), 3 * 32 * 64 * 10),
        (nn.BatchNorm2d(3), 0),
    ],
)
def test_multiply_adds_of_one_layer(layer, expected):
    image = torch.zeros(1, 3, 32, 64)
    assert multiply_adds(lambda: layer.eval()(image)) == expected


def test_needs_of_a_convolution():
    found = needs(Segmentor(nn.Conv2d(3, 16, 1)), torch.zeros(1, 3, 256, 256))
    assert found["parameters"] == 3 * 16 + 16
    assert found["multiply_adds"] == 3 * 16 * 256 * 256
    # What it returns; a kernel may take a little for itself.
    assert 4 <= found["peak_memory_mib"] < 5


def test_memory_is_of_what_lives_at_once_and_not_of_what_was_there():
    image = torch.zeros(1, 1, 256, 1024)  # 1 MiB
    weight = torch.zeros(1, 1, 256, 1024)

    def chain():
        value = image
        for _ in range(5):
            value = value + weight.view_as(value)
        return value

    def kept():
        return [image + weight for _ in range(5)]

    def in_place():
        return image.add_(weight).view(-1)

    peaks = [peak_memory_mib(run, CPU) for run in (chain, kept, in_place)]
    assert peaks == pytest.approx([2, 5, 0], abs=0.01)


def test_memory_grows_with_the_size():
    network = Segmentor(nn.Sequential(nn.BatchNorm2d(3), nn.ReLU()).eval())
    small, large = (
        needs(network, noise(size, 0, CPU))["peak_memory_mib"] for size in ((128, 64), (512, 256))
    )
    assert large == pytest.approx(16 * small, rel=0.1)


def test_noise_is_drawn_by_its_seed():
    image = noise((6, 4), 3, CPU)
    assert image.shape == (1, 3, 4, 6)
    assert image.dtype == torch.float32
    assert torch.equal(image, noise((6, 4), 3, CPU))
    assert not torch.equal(image, noise((6, 4), 2**70, CPU))
