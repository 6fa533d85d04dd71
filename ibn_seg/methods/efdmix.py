"""EFDMix behind stages 1 and 2."""

from ibn_seg.methods.method import Method

METHOD = Method(
    name="EFDMix",
    summary="mixes the feature histograms of two images behind stages 1 and 2, in training",
    paper="Zhang et al., CVPR 2022, arXiv:2203.07740",
    settings={
        "model.backbone.randomise": [{"type": "EFDMix", "places": ["end(1)", "end(2)"]}],
    },
    backbones="IBN",
    kind="features",
    places=("end of stage 1", "end of stage 2"),
    hooks=({"type": "MethodHook"},),
)
