"""RandConv with its consistency loss."""

from ibn_seg.methods.method import Method

METHOD = Method(
    name="RandConv (consistency)",
    summary="RandConv, and a loss on the difference of three such views of a batch",
    paper="Xu et al., ICLR 2021, arXiv:2007.13003",
    settings={
        "model.backbone.randomise": [{"type": "RandConv", "places": ["input"]}],
    },
    backbones="IBN",
    kind="images",
    places=("input of the network",),
    # The published weight where the images are mixed with their convolution.
    hooks=({"type": "MethodHook"}, {"type": "ViewConsistencyHook", "weight": 10.0}),
)
