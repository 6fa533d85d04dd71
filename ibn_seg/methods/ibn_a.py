"""IBN-a of the IBN-Net paper."""

from ibn_seg.methods.method import Method

METHOD = Method(
    name="IBN-a",
    summary="half of the channels instance-normalised, in each block of the first three stages",
    paper="Pan et al., ECCV 2018, arXiv:1807.09441",
    settings={"model.backbone.ibn": "a"},
    spelled=("model.backbone.ibn_stages",),
    backbones="IBN",
)
