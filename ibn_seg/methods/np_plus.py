"""NP+ behind the pooling and stage 1."""

from ibn_seg.methods.method import Method

METHOD = Method(
    name="NP+",
    summary="adds noise to feature statistics behind the pooling and stage 1, in training",
    paper="Fan et al., arXiv:2211.04393, as in the code of MRFP",
    settings={
        "model.backbone.randomise": [
            {"type": "NormalizationPerturbationPlus", "places": ["pool", "end(1)"]}
        ],
    },
    backbones="IBN",
    kind="features",
    places=("pooling", "end of stage 1"),
    hooks=({"type": "MethodHook"},),
)
