"""IBN-b of the IBN-Net paper."""

from ibn_seg.methods.method import Method

METHOD = Method(
    name="IBN-b",
    summary="instance norm in the stem and after the last residual addition of stages 1 and 2",
    paper="Pan et al., ECCV 2018, arXiv:1807.09441",
    ibn="b",
    backbones="IBN",
    places=("norms",),
)
