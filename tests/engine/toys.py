"""A data set with random augmentation and a network with dropout: small, and sensitive to both."""

import os
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from mmengine.config import Config
from mmengine.evaluator import BaseMetric
from mmengine.model import BaseModel
from mmengine.registry import DATASETS, METRICS, MODELS
from torch import nn
from torch.utils.data import Dataset

from ibn_seg.engine import StrictRunner


@DATASETS.register_module()
class ToyNoise(Dataset):
    """Vectors with noise from NumPy and PyTorch; every index read is appended to a log file."""

    metainfo = {"classes": ("a", "b")}

    def __init__(self, length: int = 10, log: str | None = None) -> None:
        self.length = length
        self.log = log

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: int) -> dict:
        if self.log:
            with open(self.log, "a") as file:
                file.write(f"{index}\n")
        noise = torch.from_numpy(np.random.rand(4).astype(np.float32)) + torch.rand(4)
        return {"inputs": noise + index, "target": torch.tensor([float(index)])}


@MODELS.register_module()
class ToyNet(BaseModel):
    """Linear regression behind batch norm and dropout."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(4)
        self.drop = nn.Dropout(0.5)
        self.line = nn.Linear(4, 1)

    def forward(self, inputs: list, target: list, mode: str = "tensor") -> object:
        x, y = torch.stack(list(inputs)), torch.stack(list(target))
        out = self.line(self.drop(self.norm(x)))
        if mode == "loss":
            return {"loss": (out - y).square().mean()}
        return list(zip(out.detach(), y, strict=True))


@METRICS.register_module()
class ToyError(BaseMetric):
    """Mean absolute error, and whether it was measured at all."""

    default_prefix = ""

    def process(self, data_batch: object, data_samples: list) -> None:
        self.results.extend(float((out - y).abs()) for out, y in data_samples)

    def compute_metrics(self, results: list) -> dict:
        self.domain_results = {"toy": {"mIoU": float(np.mean(results)), "images": len(results)}}
        return {"toy/mIoU": float(np.mean(results))}


def toy_config(work_dir: Path, **changes: object) -> Config:
    """Return a config of 12 iterations, validation every 5 and checkpoints every 4."""
    loader = dict(batch_size=4, num_workers=0)
    dataset = dict(type="ToyNoise", length=10)
    cfg = Config(
        dict(
            model=dict(type="ToyNet"),
            train_dataloader=dict(
                **loader,
                dataset=dataset,
                sampler=dict(type="InfiniteSampler", shuffle=True),
            ),
            val_dataloader=dict(
                **loader,
                dataset=dataset,
                sampler=dict(type="DefaultSampler", shuffle=False),
            ),
            val_evaluator=dict(type="ToyError"),
            train_cfg=dict(type="SeededIterLoop", max_iters=12, val_interval=5),
            val_cfg=dict(type="ValLoop"),
            optim_wrapper=dict(
                type="OptimWrapper", optimizer=dict(type="SGD", lr=0.01, momentum=0.9)
            ),
            param_scheduler=[dict(type="PolyLR", begin=0, end=12, by_epoch=False)],
            default_hooks=dict(
                logger=dict(type="LoggerHook", interval=1, log_metric_by_epoch=False),
                checkpoint=dict(type="AtomicCheckpointHook", by_epoch=False, interval=4),
            ),
            custom_hooks=[dict(type="RandomStateHook"), dict(type="RunRecordHook")],
            log_processor=dict(by_epoch=False),
            randomness=dict(seed=3),
            default_scope="mmengine",
            quiet=True,
            work_dir=str(work_dir),
            experiment_name=f"{work_dir.name}_{os.urandom(4).hex()}",
        )
    )
    cfg.merge_from_dict(dict(changes))
    return cfg


def run_toy(work_dir: Path, resume: str | Path | None = None, **changes: object) -> Mapping:
    """Train and return the last weights, the losses, and the validations."""
    cfg = toy_config(work_dir, **changes)
    cfg.resume, cfg.load_from = resume is not None, resume and str(resume)
    runner = StrictRunner.from_cfg(cfg)
    try:
        runner.train()
        record = next(h for h in runner.hooks if type(h).__name__ == "RunRecordHook")
        model = getattr(runner.model, "module", runner.model)
        return {
            "weights": {key: value.clone() for key, value in model.state_dict().items()},
            "loss": runner.message_hub.get_scalar("train/loss").data[0].tolist(),
            "lr": runner.message_hub.get_scalar("train/lr").data[0].tolist(),
            "groups": [dict(g) for g in runner.optim_wrapper.optimizer.param_groups],
            "validations": record.validations,
            "record": record,
        }
    finally:
        runner.close()


def assert_same(first: Mapping, second: Mapping) -> None:
    """Compare two runs bit for bit."""
    assert first["loss"] == second["loss"]
    assert first["validations"] == second["validations"]
    assert first["weights"].keys() == second["weights"].keys()
    for key, value in first["weights"].items():
        assert torch.equal(value, second["weights"][key]), key
