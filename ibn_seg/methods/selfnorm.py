"""SelfNorm on the residual of every block."""

from ibn_seg.methods.method import Method

METHOD = Method(
    name="SelfNorm",
    summary="gates of their own statistics scale the channels of every residual",
    paper="Tang et al., ICCV 2021, arXiv:2102.02811",
    settings={"model.backbone.self_norm": {"is_two": False}},
    backbones="IBN",
    places=("residuals",),
)
