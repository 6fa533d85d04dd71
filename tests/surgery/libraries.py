"""Small builders of other libraries' networks, each skipping the test where its library is not."""

import pytest

# Narrow and shallow, with every kind of branch.
HRNET = {
    f"stage{stage}": {
        "num_modules": 1,
        "num_branches": stage,
        "block": "BOTTLENECK" if stage == 1 else "BASIC",
        "num_blocks": (2,) * stage,
        "num_channels": tuple(8 * 2**branch for branch in range(stage)),
    }
    for stage in (1, 2, 3, 4)
}


def torchvision(name, **options):
    return getattr(pytest.importorskip("torchvision.models"), name)(weights=None, **options)


def timm(name, **options):
    return pytest.importorskip("timm").create_model(name, **options)


def mmseg(name, **options):
    return getattr(pytest.importorskip("mmseg.models.backbones"), name)(**options)


def smp(encoder):
    smp = pytest.importorskip("segmentation_models_pytorch")
    return smp.Unet(encoder, encoder_weights=None, decoder_channels=(32, 16, 16, 8, 8))
