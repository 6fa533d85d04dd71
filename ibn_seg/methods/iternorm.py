"""IterNorm, in our placement: the published one is not known."""

from ibn_seg.methods.method import Method

METHOD = Method(
    name="IterNorm",
    summary="whitening by the covariance of the batch at the places of IBN-b, our placement",
    paper="Huang et al., CVPR 2019, arXiv:1904.03441",
    ibn="iternorm",
    backbones="IBN",
    places=("norms",),
)
