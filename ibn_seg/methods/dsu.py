"""DSU at its six places."""

from ibn_seg.methods.method import Method

METHOD = Method(
    name="DSU",
    summary="adds noise to feature statistics at six depths, in training",
    paper="Li et al., ICLR 2022, arXiv:2202.03958",
    settings={
        "model.backbone.randomise": [
            {"type": "DSU", "places": ["stem.conv", "pool", "end(1)", "end(2)", "end(3)", "end(4)"]}
        ],
    },
    backbones="IBN",
    kind="features",
    places=("output of the stem", "pooling", "end of stage 1", "end of stage 2"),
    hooks=({"type": "MethodHook"},),
)
