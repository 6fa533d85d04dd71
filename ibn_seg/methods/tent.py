"""TENT, online."""

from ibn_seg.methods.method import Method

METHOD = Method(
    name="TENT",
    summary="scales and shifts of batch norms adapt to each test batch; sees target images",
    paper="Wang et al., ICLR 2021, arXiv:2006.10726",
    kind="test time",
    places=("test",),
    hooks=({"type": "TargetAdaptationHook", "method": "TENT"},),
)
