"""A real HTTP server for tests that download."""

import contextlib
import dataclasses
import functools
import hashlib
import threading
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import torch

from ibn_seg.models import create_model
from ibn_seg.models.specs import MODELS


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *args):
        """Say nothing."""


@contextlib.contextmanager
def serve(folder: Path) -> Iterator[str]:
    """Serve a folder on a free local port and yield its address."""
    handler = functools.partial(_Quiet, directory=str(folder))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


@contextlib.contextmanager
def released(
    name: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[Path, str, dict[str, torch.Tensor]]]:
    """Serve a file like a model's published one; yield its folder, the address and its weights.

    The table of models is told the hash of that file, and downloads go to `folder`.
    """
    release = folder / "release"
    release.mkdir()
    weights = create_model(name).state_dict()
    torch.save(weights, release / "new.pth")
    digest = hashlib.sha256((release / "new.pth").read_bytes()).hexdigest()[:8]
    spec = dataclasses.replace(MODELS[name], sha256=digest)
    (release / "new.pth").rename(release / spec.weights)
    for module in ("published_weights", "factory"):
        monkeypatch.setattr(f"ibn_seg.models.{module}.MODELS", {**MODELS, name: spec})
    monkeypatch.setattr(torch.hub, "_hub_dir", str(folder / "hub"))
    with serve(release) as address:
        monkeypatch.setenv("IBN_SEG_WEIGHTS", address)
        yield release, address, weights
