"""Switchable whitening of type 3."""

from ibn_seg.methods.method import PLACEMENT, Method

METHOD = Method(
    name="SW-3",
    summary="SW with layer norm in the mixture",
    paper="Pan et al., ICCV 2019, arXiv:1904.09739",
    settings={"model.backbone.ibn": "sw3"},
    spelled=PLACEMENT,
    backbones="IBN",
    places=("norms",),
)
