import pytest
import torch

from ibn_seg.errors import UserError
from ibn_seg.transforms.pixel_shifts import APPEARANCES, appearance_names


@pytest.fixture
def pixels():
    return torch.randint(0, 256, (2, 3, 5, 7), generator=torch.manual_seed(0)).float()


def test_brighter_and_redder(pixels):
    expected = (pixels + 50).clamp(max=255)
    assert torch.equal(APPEARANCES["rgb+50"](pixels), expected)
    red = APPEARANCES["r+50"](pixels)
    assert torch.equal(red[:, 0], expected[:, 0])
    assert torch.equal(red[:, 1:], pixels[:, 1:])


def test_contrast_is_scaled_around_each_pictures_and_channels_mean():
    # Values whose deviations stay within 0..255, so that nothing is clipped.
    pixels = 100 + 40 * torch.rand(2, 3, 8, 8, generator=torch.manual_seed(1))
    changed = APPEARANCES["std1.5"](pixels)
    for picture, before in zip(changed, pixels, strict=True):
        for channel, plain in zip(picture, before, strict=True):
            assert channel.mean().item() == pytest.approx(plain.mean().item(), abs=1e-3)
            assert channel.std().item() == pytest.approx(1.5 * plain.std().item(), rel=1e-5)


@pytest.mark.parametrize("name", APPEARANCES)
def test_values_stay_in_range_and_the_pictures_given_stay_as_they_are(name, pixels):
    before = pixels.clone()
    changed = APPEARANCES[name](pixels)
    assert changed.min() >= 0
    assert changed.max() <= 255
    assert torch.equal(pixels, before)
    assert torch.equal(changed, pixels) == (name == "none")


def test_names():
    assert appearance_names(()) == ("none",)
    assert appearance_names(["RGB+50", "none"]) == ("rgb+50", "none")
    with pytest.raises(UserError, match=r"unknown transform 'rgb50': did you mean 'rgb\+50'"):
        appearance_names(["rgb50"])
    with pytest.raises(UserError, match="twice"):
        appearance_names(["none", "none"])
