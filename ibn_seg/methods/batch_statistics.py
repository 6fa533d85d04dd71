"""Prediction-time batch norm."""

from ibn_seg.methods.method import Method

METHOD = Method(
    name="batch BN",
    summary="batch norms use the statistics of the test batch; sees target images",
    paper="Schneider et al., NeurIPS 2020, arXiv:2006.16971",
    kind="test time",
    places=("test",),
    hooks=({"type": "TargetAdaptationHook", "method": "batch"},),
)
