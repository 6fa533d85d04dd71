"""Instance norm without scale and shift at the places of IBN-b."""

from ibn_seg.methods.method import PLACEMENT, Method

METHOD = Method(
    name="IN",
    summary="instance norm without scale and shift at the places of IBN-b",
    paper="Choi et al., CVPR 2021, arXiv:2103.15597",
    settings={"model.backbone.ibn": "in"},
    spelled=PLACEMENT,
    backbones="IBN",
    places=("norms",),
)
