"""IBN-b of the IBN-Net paper."""

from ibn_seg.methods.method import Method

METHOD = Method(
    name="IBN-b",
    summary="instance norm after the stem and the first two stages",
    paper="Pan et al., ECCV 2018, arXiv:1807.09441",
    settings={"model.backbone.ibn": "b"},
    spelled=("model.backbone.ibn_stages",),
    backbones="IBN",
)
