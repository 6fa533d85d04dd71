"""Weights that stand for published ones: made here, under the name and with the hash of a file."""

import dataclasses
import hashlib
from pathlib import Path

import pytest
import torch

import ibn_seg
from ibn_seg.models.specs import MODELS, ModelSpec


def write_release(folder: Path, name: str) -> ModelSpec:
    """Write the file that a network's published weights have; return the spec of this file."""
    new = folder / "new.pth"
    torch.save(ibn_seg.create_model(name).state_dict(), new)
    digest = hashlib.sha256(new.read_bytes()).hexdigest()[:8]
    spec = dataclasses.replace(MODELS[name], sha256=digest)
    new.rename(folder / spec.weights)
    return spec


def publish(monkeypatch: pytest.MonkeyPatch, spec: ModelSpec, address: str, hub: Path) -> None:
    """Let `pretrained` mean the weights at an address, kept in a new hub folder."""
    for module in ("published_weights", "factory"):
        monkeypatch.setattr(f"ibn_seg.models.{module}.MODELS", {**MODELS, spec.name: spec})
    monkeypatch.setattr(torch.hub, "_hub_dir", str(hub))
    monkeypatch.setenv("IBN_SEG_WEIGHTS", address)
