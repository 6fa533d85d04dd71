"""Relaxed instance whitening at the places of IBN-b."""

from ibn_seg.methods.method import PLACEMENT, Method

METHOD = Method(
    name="IRW",
    summary="IW, but a share of the covariances is free",
    paper="Choi et al., CVPR 2021, arXiv:2103.15597",
    settings={"model.backbone.ibn": "irw"},
    spelled=PLACEMENT,
    backbones="IBN",
    places=("norms",),
    hooks=({"type": "MethodHook", "whitening": 0.6},),
)
