"""The networks and their weights; needs only PyTorch."""

from ibn_seg.models.factory import create_model, list_models
from ibn_seg.models.resnet import ResNet

__all__ = ["ResNet", "create_model", "list_models"]
