"""Batch norm only: the baseline for the other methods."""

from ibn_seg.methods.method import Method

METHOD = Method(
    name="BN",
    summary="the plain network with batch norm throughout, and the baseline",
    paper="Ioffe and Szegedy, ICML 2015, arXiv:1502.03167",
    settings={"model.backbone.ibn": None},
    spelled=("model.backbone.ibn_stages", "model.backbone.ibn_stem"),
    # A share of instance-normalised channels; backbones refuse it where no norm is split.
    excluded=("model.backbone.ibn_ratio",),
)
