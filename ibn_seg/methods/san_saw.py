"""SAN and SAW behind stages 1 and 2, as their paper means them."""

from ibn_seg.methods.method import Method

METHOD = Method(
    name="SAN-SAW",
    summary="SAN, and a loss on the covariances of the channels that tell classes",
    paper="Peng et al., CVPR 2022, arXiv:2204.00822",
    settings={"model.backbone.semantic": {}},
    backbones="IBN",
    places=("end of stage 1", "end of stage 2"),
    hooks=({"type": "MethodHook", "semantic": 0.1},),
)
