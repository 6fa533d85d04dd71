"""RandConv of normalised images."""

from ibn_seg.methods.method import Method

METHOD = Method(
    name="RandConv",
    summary="mixes each batch of images with a random convolution of it, in training",
    paper="Xu et al., ICLR 2021, arXiv:2007.13003",
    settings={
        "model.backbone.randomise": [{"type": "RandConv", "places": ["input"]}],
    },
    backbones="IBN",
    kind="images",
    places=("input of the network",),
    hooks=({"type": "MethodHook"},),
)
