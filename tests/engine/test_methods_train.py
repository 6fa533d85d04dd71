"""Every method trains from a config that names it, from the weights of a batch-norm network."""

import pytest
import torch

from ibn_seg.errors import UserError
from ibn_seg.methods.all_methods import METHODS
from ibn_seg.run.segmentation import train
from tests.tiny import write_experiment

SHORT = {"train_cfg.max_iters": 2, "train_cfg.val_interval": 2, "param_scheduler.0.end": 2}
FEW = [{"type": "SensitiveCovarianceHook", "begin": 0.5, "images": 2, "trials": 1}]
