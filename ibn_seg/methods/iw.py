"""Instance whitening at the places of IBN-b."""

from ibn_seg.methods.method import Method

METHOD = Method(
    name="IW",
    summary="IN, and a loss on all covariances of its maps",
    paper="Choi et al., CVPR 2021, arXiv:2103.15597",
    ibn="iw",
    backbones="IBN",
    places=("norms",),
    hooks=({"type": "MethodHook", "whitening": 0.8},),
)
