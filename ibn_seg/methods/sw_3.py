"""Switchable whitening of type 3."""

from ibn_seg.methods.method import Method

METHOD = Method(
    name="SW-3",
    summary="SW with layer norm in the mixture",
    paper="Pan et al., ICCV 2019, arXiv:1904.09739",
    ibn="sw3",
    backbones="IBN",
    places=("norms",),
)
