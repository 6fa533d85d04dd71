"""Normalisation layers and where a network has them; needs only PyTorch."""

from ibn_seg.layers.ibn import IBN
from ibn_seg.layers.instance import InstanceNorm
from ibn_seg.layers.placement import Placement
from ibn_seg.layers.sync import SynchronisedBatchNorm

__all__ = ["IBN", "InstanceNorm", "Placement", "SynchronisedBatchNorm"]
