"""The networks against figures measured on the reference implementation of the IBN-Net paper.

`golden_resnet.json` holds, per model, the logits of the reference (https://github.com/XingangPan/
IBN-Net) with the weights and the input that `filled_tensor` and `filled_input` make: the first 8
logits of the first image, the last 8 of the last, mean and norm, in eval and train mode; and the
SHA-256 of the JSON list of (key, shape) pairs of its state dict.
"""

import hashlib
import json
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch

from ibn_seg.models import create_model

GOLDEN = json.loads(Path(__file__).with_name("golden_resnet.json").read_text())
TOLERANCE = 1e-4


def filled_tensor(key, shape):
    """Return the tensor that stands for `key`; it depends on the key and the shape alone."""
    if key.endswith("num_batches_tracked"):
        return torch.zeros(shape, dtype=torch.int64)
    rng = np.random.default_rng([0, zlib.crc32(key.encode())])
    if key.endswith("running_var"):
        value = rng.uniform(0.5, 1.5, shape)
    elif key.endswith(("running_mean", "bias")):
        value = 0.1 * rng.standard_normal(shape)
    elif len(shape) == 1:
        value = 1.0 + 0.1 * rng.standard_normal(shape)
    else:
        value = rng.standard_normal(shape) * np.sqrt(1.0 / np.prod(shape[1:]))
    return torch.from_numpy(np.asarray(value, dtype=np.float32))


def filled_input():
    rng = np.random.default_rng([0, 20180725])
    return torch.from_numpy(rng.standard_normal((2, 3, 224, 224)).astype(np.float32))


@pytest.fixture(autouse=True)
def _two_threads():
    """The figures were measured with two threads.

    In train mode a network of 152 layers amplifies the rounding of its first convolutions by
    about 1000: with another order of summation it differs from itself by more than the tolerance.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(threads)


@pytest.mark.parametrize("name", GOLDEN)
def test_model_equals_the_reference(name):
    golden = GOLDEN[name]
    model = create_model(name)
    listed = [[key, list(value.shape)] for key, value in model.state_dict().items()]
    assert len(listed) == golden["tensors"]
    assert hashlib.sha256(json.dumps(listed).encode()).hexdigest() == golden["keys_sha256"]
    assert sum(p.numel() for p in model.parameters()) == golden["parameters"]

    weights = {key: filled_tensor(key, tuple(shape)) for key, shape in listed}
    model.load_state_dict(weights, strict=True)
    for mode in ("eval", "train"):
        model.train(mode == "train")
        with torch.no_grad():
            logits = model(filled_input()).double()
        reference = np.array(golden[mode]["first"] + golden[mode]["last"])
        given = np.concatenate([logits[0, :8].numpy(), logits[-1, -8:].numpy()])
        assert np.abs(given - reference).max() / np.abs(reference).max() <= TOLERANCE
        assert logits.norm().item() == pytest.approx(golden[mode]["norm"], rel=TOLERANCE)
