"""Training history in checkpoints: ours hold plain values, mmengine's become readable."""

from typing import Any

import numpy as np
import torch
from mmengine.logging import HistoryBuffer

from ibn_seg.io import RESTRICTED_SINCE

_STATISTICS = ("min", "max", "current", "mean")


def allow_checkpoint_classes() -> None:
    """Let `torch.load(weights_only=True)` read the checkpoints that mmengine writes.

    Since PyTorch 2.6 that is the default, and mmengine 0.10.7 cannot resume from its own
    checkpoints (mmengine issue 1655). They hold its message hub: NumPy numbers, and
    `HistoryBuffer` objects around NumPy arrays, which name four of their own methods by way of
    `getattr`. Exactly this is allowed; `getattr` is replaced by a function that gives these four
    and nothing else. Older versions restrict nothing by default and cannot rename.
    """
    if torch.__version__ < RESTRICTED_SINCE:
        return
    # Since NumPy 1.25 every type of number has a dtype class of its own.
    numbers = [type(np.dtype(kind)) for kind in ("float64", "int64")]
    renamed = [(_statistic, "builtins.getattr")]
    # Checkpoints name these functions by their module, which NumPy 2 moved.
    for module in ("numpy.core.multiarray", "numpy._core.multiarray"):
        renamed.append((np.empty(0).__reduce__()[0], f"{module}._reconstruct"))
        renamed.append((np.float64(0).__reduce__()[0], f"{module}.scalar"))
    torch.serialization.add_safe_globals([HistoryBuffer, np.ndarray, np.dtype, *numbers, *renamed])


def pack_history(message_hub: dict) -> None:
    """Turn the state of a message hub into tensors and plain values, in place.

    Args:
        message_hub: What `MessageHub.state_dict` returned.
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
    """Undo `pack_history`, in place; the state of another program is left as it is."""
    for key, packed in message_hub.pop("history", {}).items():
        message_hub["log_scalars"][key] = HistoryBuffer(
            packed["values"].cpu().numpy(), packed["counts"].cpu().numpy(), packed["max_length"]
        )


def _statistic(owner: Any, name: str) -> Any:
    """Return a statistic of `HistoryBuffer` by name: all that its pickled state looks up."""
    if owner is not HistoryBuffer or name not in _STATISTICS:
        raise ValueError(f"a checkpoint may not look up {name!r}")
    return getattr(HistoryBuffer, name)


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value
