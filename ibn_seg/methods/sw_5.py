"""Switchable whitening of type 5, as released."""

from ibn_seg.methods.method import Method

METHOD = Method(
    name="SW-5",
    summary="SW with batch, instance and layer norm in the mixture, as released",
    paper="Pan et al., ICCV 2019, arXiv:1904.09739",
    ibn="sw5",
    backbones="IBN",
    places=("norms",),
)
