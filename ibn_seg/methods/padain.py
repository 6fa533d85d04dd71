"""Permuted AdaIN behind every convolution of a block."""

from ibn_seg.methods.method import Method

METHOD = Method(
    name="pAdaIN",
    summary="now and then swaps feature statistics of two images behind a convolution, in training",
    paper="Nuriel et al., CVPR 2021, arXiv:2010.05785",
    settings={
        "model.backbone.randomise": [{"type": "PAdaIN", "places": ["conv"]}],
    },
    backbones="IBN",
    kind="features",
    places=("convolutions of blocks",),
    hooks=({"type": "MethodHook"},),
)
