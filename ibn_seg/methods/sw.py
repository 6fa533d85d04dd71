"""Switchable whitening of type 2, as in RobustNet."""

from ibn_seg.methods.method import PLACEMENT, Method

METHOD = Method(
    name="SW",
    summary="a learned mixture of batch and instance whitening at the places of IBN-b",
    paper="Pan et al., ICCV 2019, arXiv:1904.09739",
    settings={"model.backbone.ibn": "sw2"},
    spelled=PLACEMENT,
    backbones="IBN",
    places=("norms",),
)
