"""CrossNorm behind one block at a time."""

from ibn_seg.methods.method import Method

METHOD = Method(
    name="CrossNorm",
    summary="swaps the feature statistics of two images behind one block, in training",
    paper="Tang et al., ICCV 2021, arXiv:2102.02811",
    settings={
        "model.backbone.randomise": [{"type": "CrossNorm", "places": ["block"]}],
    },
    backbones="IBN",
    kind="features",
    places=("end of stage 1", "end of stage 2"),
    hooks=({"type": "MethodHook"},),
)
