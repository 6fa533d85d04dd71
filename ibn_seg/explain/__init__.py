"""Errors of mmengine, mmseg and PyTorch about a config as one line that names its part."""
