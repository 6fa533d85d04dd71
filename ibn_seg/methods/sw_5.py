"""Switchable whitening of type 5, as released."""

from ibn_seg.methods.method import PLACEMENT, Method

METHOD = Method(
    name="SW-5",
    summary="SW with batch, instance and layer norm in the mixture, as released",
    paper="Pan et al., ICCV 2019, arXiv:1904.09739",
    settings={"model.backbone.ibn": "sw5"},
    spelled=PLACEMENT,
    backbones="IBN",
    places=("norms",),
)
