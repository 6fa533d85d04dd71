"""Relaxed instance whitening at the places of IBN-b."""

from ibn_seg.methods.method import Method

METHOD = Method(
    name="IRW",
    summary="IW, but a share of the covariances is free",
    paper="Choi et al., CVPR 2021, arXiv:2103.15597",
    ibn="irw",
    backbones="IBN",
    places=("norms",),
    hooks=({"type": "MethodHook", "whitening": 0.6},),
)
