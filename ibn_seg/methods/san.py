"""SAN behind stages 1 and 2, as its paper means it."""

from ibn_seg.methods.method import Method

METHOD = Method(
    name="SAN",
    summary="normalises regions of classes apart behind stages 1 and 2",
    paper="Peng et al., CVPR 2022, arXiv:2204.00822",
    settings={"model.backbone.semantic": {"whitens": False}},
    backbones="IBN",
    places=("end of stage 1", "end of stage 2"),
    hooks=({"type": "MethodHook", "semantic": 0.1},),
)
