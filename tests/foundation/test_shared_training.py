"""A training whose two processes share a network, from its config, equals that of one process."""

import json
import os
import shutil
from types import SimpleNamespace

import pytest
import torch
from torch import multiprocessing

pytest.importorskip("timm")

from ibn_seg.engine.averaging import SharedEMAHook
from ibn_seg.engine.sharded_network import FullyShardedNetwork, check_sharing, wants_shares
from ibn_seg.errors import UserError
from ibn_seg.run import segmentation
from tests.foundation.test_from_config import SMALL, VIT, base_file, state, write
from tests.run.test_processes import free_port

SHARED = {"model_wrapper_cfg": {"type": "FullyShardedNetwork"}}
EQUAL = {
    "model.decode_head.norm_cfg.type": "SyncBN",
    "model.decode_head.dropout_ratio": 0,
}
# Steps of SGD differ by rounding alone where gradients do.
CLIPPED = {
    "type": "OptimWrapper", "optimizer": {"type": "SGD", "lr": 0.1, "momentum": 0.9},
    "clip_grad": {"max_norm": 0.5},
}  # fmt: skip


def work(rank: int, port: int, config: str, folder: str) -> None:
    """Train as one of two processes, then again from the middle; an error ends the test."""
    torch.set_num_threads(1)
    os.environ.update(
        MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port), RANK=str(rank), WORLD_SIZE="2",
        LOCAL_RANK=str(rank),
    )  # fmt: skip
    whole, cut = f"{folder}/whole", f"{folder}/cut"
    torch.distributed.init_process_group("gloo")
    options = {**EQUAL, **SHARED}
    again = {"work_dir": cut, "launcher": "pytorch", "quiet": True}
    segmentation.train(config, **{**again, "work_dir": whole}, cfg_options=options)
    if rank == 0:
        shutil.copytree(whole, cut, ignore=shutil.ignore_patterns("iter_6.pth", "result.json"))
        with open(f"{cut}/last_checkpoint", "w") as note:
            note.write(f"{cut}/iter_4.pth")
    torch.distributed.barrier()
    segmentation.train(config, **again, resume=True, cfg_options=options)
    rein = {**options, "model.backbone.tuning": {"mode": "rein", "rank": 4, "tokens": 10}}
    with pytest.raises(UserError, match="Rein's factor"):
        segmentation.train(config, **{**again, "work_dir": f"{folder}/rein"}, cfg_options=rein)
    torch.distributed.destroy_process_group()


@pytest.mark.slow
def test_two_processes_train_and_resume_as_one(tmp_path):
    backbone = {**VIT, "pretrained": base_file(tmp_path)}
    config = write(tmp_path, backbone, optim_wrapper=CLIPPED, custom_hooks=SMALL)
    multiprocessing.spawn(work, (free_port(), str(config), str(tmp_path)), nprocs=2)
    options = {**EQUAL, "train_dataloader.batch_size": 4}
    segmentation.train(config, work_dir=tmp_path / "one", cfg_options=options, quiet=True)
    for name in ("iter_6.pth", "small.pth"):
        shared, alone = (state(tmp_path / run / name) for run in ("whole", "one"))
        assert shared.keys() == alone.keys()
        torch.testing.assert_close(shared, alone, rtol=1e-3, atol=1e-4)
    first, second = (state(tmp_path / run / "iter_6.pth") for run in ("whole", "cut"))
    assert all(torch.equal(first[key], second[key]) for key in first)
    momenta = [
        torch.load(tmp_path / run / "iter_6.pth", weights_only=True)["optimizer"]["state"]
        for run in ("whole", "one")
    ]
    torch.testing.assert_close(*momenta, rtol=1e-2, atol=1e-4)
    assert json.loads((tmp_path / "whole" / "result.json").read_text())["processes"] == 2
    # One process goes on where two that share a network stopped.
    (tmp_path / "cut" / "iter_6.pth").unlink()
    (tmp_path / "cut" / "last_checkpoint").write_text(str(tmp_path / "cut" / "iter_4.pth"))
    segmentation.train(
        config, work_dir=tmp_path / "cut", cfg_options=options, resume=True, quiet=True
    )
    alone, resumed = (state(tmp_path / run / "iter_6.pth") for run in ("one", "cut"))
    torch.testing.assert_close(resumed, alone, rtol=1e-3, atol=1e-4)


def test_only_networks_of_timm_are_shared():
    with pytest.raises(UserError, match="shares networks of type TimmBackbone alone"):
        FullyShardedNetwork(torch.nn.Linear(2, 2))


@pytest.mark.parametrize(
    ("kind", "line"),
    [
        ("MMFullyShardedDataParallel", "take type='FullyShardedNetwork'"),
        ("FullyShardedNet", "did you mean 'FullyShardedNetwork'?"),
    ],
)
def test_other_wrappers_are_refused(kind, line):
    with pytest.raises(UserError) as caught:
        wants_shares({"type": kind})
    assert line in caught.value.line


@pytest.mark.parametrize(
    ("settings", "hooks", "line"),
    [
        ({"compile": True}, [], "leave --compile out"),
        ({}, [SharedEMAHook(0.1)], "leave the EMAHook out"),
    ],
)
def test_settings_that_a_shared_network_cannot_follow(settings, hooks, line):
    with pytest.raises(UserError, match=line):
        check_sharing(SimpleNamespace(cfg=settings, hooks=hooks))
