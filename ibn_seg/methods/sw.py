"""Switchable whitening of type 2, as in RobustNet."""

from ibn_seg.methods.method import Method

METHOD = Method(
    name="SW",
    summary="a learned mixture of batch and instance whitening at the places of IBN-b",
    paper="Pan et al., ICCV 2019, arXiv:1904.09739",
    ibn="sw2",
    backbones="IBN",
    places=("norms",),
)
