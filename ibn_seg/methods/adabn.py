"""AdaBN."""

from ibn_seg.methods.method import Method

METHOD = Method(
    name="AdaBN",
    summary="batch norms use the averages of the target's images; sees target images",
    paper="Li et al., arXiv:1603.04779",
    kind="test time",
    places=("test",),
    hooks=({"type": "TargetAdaptationHook", "method": "AdaBN"},),
)
