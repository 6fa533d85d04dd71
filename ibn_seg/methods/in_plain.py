"""Instance norm without scale and shift at the places of IBN-b."""

from ibn_seg.methods.method import Method

METHOD = Method(
    name="IN",
    summary="instance norm without scale and shift at the places of IBN-b",
    paper="Choi et al., CVPR 2021, arXiv:2103.15597",
    ibn="in",
    backbones="IBN",
    places=("norms",),
)
