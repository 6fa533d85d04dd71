"""SAN and SAW as the released code has them."""

from ibn_seg.methods.method import Method

METHOD = Method(
    name="SAN-SAW (released)",
    summary="SAN-SAW with the three defects of its released code",
    paper="Peng et al., CVPR 2022, arXiv:2204.00822",
    settings={
        "model.backbone.semantic": {"regions": 0, "own_branches": False, "whitens": False},
    },
    backbones="IBN",
    places=("end of stage 1", "end of stage 2"),
    hooks=({"type": "MethodHook", "semantic": 0.1},),
)
