"""Training history in checkpoints: ours use plain values; mmengine's are made readable."""

from typing import Any

import numpy as np
import torch
from mmengine.logging import HistoryBuffer

from ibn_seg.harmless_classes import HISTORY, known
from ibn_seg.io import RESTRICTED_SINCE


def allow_checkpoint_classes() -> None:
    """Let mmengine's own loader read the checkpoints that mmengine writes.

    Since PyTorch 2.6 `torch.load(weights_only=True)` is the default, and mmengine 0.10.7 cannot
    resume from its own checkpoints (mmengine issue 1655). They hold its message hub: NumPy numbers,
    and `HistoryBuffer` objects around NumPy arrays. Our own reader needs none of this, because it
    knows these classes.
    """
    if torch.__version__ < RESTRICTED_SINCE:
        return
    torch.serialization.add_safe_globals(known([HISTORY, "numpy.ndarray"]))


def pack_history(message_hub: dict) -> None:
    """Turn the state of a message hub into tensors and plain values, in place.

    Args:
        message_hub: The result of `MessageHub.state_dict`.
    """
    scalars = message_hub["log_scalars"]
    message_hub["history"] = {
        key: {
            "values": torch.from_numpy(np.array(buffer.data[0], dtype=np.float64)),
            "counts": torch.from_numpy(np.array(buffer.data[1], dtype=np.int64)),
            "max_length": buffer.max_length,
        }
        for key, buffer in scalars.items()
    }
    message_hub["log_scalars"] = {}
    # A copy, because the state shares this dict with the hub.
    message_hub["resumed_keys"] = dict(message_hub["resumed_keys"])
    info = message_hub["runtime_info"]
    message_hub["runtime_info"] = {key: _plain(value) for key, value in info.items()}


def unpack_history(message_hub: dict) -> None:
    """Undo `pack_history`, in place; other programs' state stays as it is."""
    for key, packed in message_hub.pop("history", {}).items():
        message_hub["log_scalars"][key] = HistoryBuffer(
            packed["values"].cpu().numpy(), packed["counts"].cpu().numpy(), packed["max_length"]
        )


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value
