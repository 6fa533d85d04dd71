"""Normalisation layers and where a network has them; PyTorch alone."""

from ibn_seg.layers.ibn import IBN
from ibn_seg.layers.placement import Placement

__all__ = ["IBN", "Placement"]
