"""Turn errors of mmengine, mmseg and PyTorch about a config into one line that names its part."""
