"""Averaged weights in two processes."""

import subprocess
import sys

import pytest

from tests.tiny import environment

SCRIPT = """
import torch
from mmengine.dist import all_gather_object
from ibn_seg.engine import SharedEMAHook, distributed

class Runner:
    model, iter = torch.nn.BatchNorm1d(3), 0

with distributed.process_group("pytorch"):
    rank = torch.distributed.get_rank()
    hook = SharedEMAHook(momentum=0.25)
    hook.before_run(Runner)
    hook.after_train_iter(Runner, 0)              # the first average is the network itself
    Runner.model.running_mean.fill_(4.0 + 8.0 * rank)
    hook.after_train_iter(Runner, 1)              # a quarter of it: 1 and 3
    hook.{moment}(Runner)
    shown = (Runner.model if "{moment}" == "before_val_epoch" else hook.ema_model.module)
    means = all_gather_object(shown.running_mean.tolist())
    assert means == [[2.0] * 3] * 2, means
"""


@pytest.mark.slow
@pytest.mark.parametrize("moment", ["before_checkpoint", "before_val_epoch"])
def test_running_statistics_are_shared(moment, tmp_path):
    """What is validated on every rank, and saved by the first, is the mean over the ranks."""
    script = tmp_path / "script.py"
    script.write_text(SCRIPT.replace("{moment}", moment))
    command = [
        sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2",
        str(script),
    ]  # fmt: skip
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, env=environment(), timeout=120
    )
    assert done.returncode == 0, done.stderr
