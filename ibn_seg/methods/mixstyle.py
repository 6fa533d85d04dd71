"""MixStyle behind stages 1 and 2."""

from ibn_seg.methods.method import Method

METHOD = Method(
    name="MixStyle",
    summary="mixes the feature statistics of two images behind stages 1 and 2, in training",
    paper="Zhou et al., ICLR 2021, arXiv:2104.02008",
    settings={
        "model.backbone.randomise": [{"type": "MixStyle", "places": ["end(1)", "end(2)"]}],
    },
    backbones="IBN",
    kind="features",
    places=("end of stage 1", "end of stage 2"),
    hooks=({"type": "MethodHook"},),
)
