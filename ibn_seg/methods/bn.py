"""Batch norm only: the baseline for the other methods."""

from ibn_seg.methods.method import Method

METHOD = Method(
    name="BN",
    summary="the plain network with batch norm throughout, and the baseline",
    paper="Ioffe and Szegedy, ICML 2015, arXiv:1502.03167",
)
