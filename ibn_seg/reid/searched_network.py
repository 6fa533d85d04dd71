"""Open a checkpoint of re-identification, ours or of other tools, as a network to search with.

| tool | backbone below | neck | classifier | last stride |
|---|---|---|---|---|
| `ibn-seg reid train` | `network.base` | `network.bottleneck` | `network.classifier` | 1 |
| BoT | `base` | `bottleneck` | `classifier` | 1 |
| fast-reid | `backbone` | `heads.bottleneck.0`, earlier `heads.bnneck` | `heads.weight` | 1 |
| torchreid | nothing | none | `classifier` | 2 |

Sources: the code of the three tools. The neck is kept and the classifier dropped.

Files of `ibn-seg reid train` also say the last stride and the size of the pictures, which may
differ from training to training. Those of the other tools do not.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from ibn_seg.errors import UserError
from ibn_seg.models.sources import read_checkpoint
from ibn_seg.models.state_dicts import all_weights
from ibn_seg.models.weights import adapt_state_dict
from ibn_seg.reid.bnneck import StrongBaseline, strong_baseline

# What the checkpoints of `ibn-seg reid train` call their task.
_TASK = "reid"
_NECK = ("weight", "bias", "running_mean", "running_var")


@dataclass(frozen=True)
class Tool:
    """How a tool names its tensors.

    Attributes:
        title: Its name.
        base: The name in front of the backbone's tensors, with its dot.
        necks: The names that the neck's batch norm may have; empty if it has none.
        classifiers: The starts of the classifier's names.
        last_stride: Stride of the last stage.
    """

    title: str
    base: str
    necks: tuple[str, ...]
    classifiers: tuple[str, ...]
    last_stride: int


OURS = Tool("ibn_seg", "network.base.", ("network.bottleneck",), ("network.classifier.",), 1)
BOT = Tool("strong baseline", "base.", ("bottleneck",), ("classifier.",), 1)
FAST_REID = Tool(
    "fast-reid", "backbone.", ("heads.bottleneck.0", "heads.bnneck"),
    ("heads.weight", "heads.classifier.", "heads.cls_layer."), 1,
)  # fmt: skip
TORCHREID = Tool("torchreid", "", (), ("classifier.",), 2)


@dataclass(frozen=True)
class Opened:
    """A network to search with, in eval mode.

    Attributes:
        network: The network, without a classifier.
        tool: Whose names the file has.
        stem_relu: Whether the ReLU after the stem's norm is there.
        last_stride: Stride of the last stage.
        dropped: What of the file was left out, in words.
        size: Width and height of the pictures in training; None if the file does not say.
    """

    network: StrongBaseline
    tool: str
    stem_relu: bool
    last_stride: int
    dropped: tuple[str, ...]
    size: tuple[int, int] | None = None


def open_network(
    name: str,
    source: str | Path,
    last_stride: int | None = None,
    stem_relu: bool | None = None,
) -> Opened:
    """Build a named network and load a checkpoint into it.

    Args:
        name: One of `list_models()`.
        source: A local path or an http(s) URL.
        last_stride: Stride of the last stage, 1 or 2. Weights do not show it. Default: as the file
            says, else the tool's.
        stem_relu: Whether there is a ReLU after the stem's norm. Weights do not show it either.
            Default: BoT's plain ResNets have none, all others do.

    Raises:
        UserError: The file is none of these, or does not fit the network.
        EnvError: The URL cannot be reached.
    """
    checkpoint = read_checkpoint(source)
    weights, left_out = all_weights(checkpoint)
    tool = tool_of(weights, source)
    trained = _training_of(checkpoint)
    base = {
        key.removeprefix(tool.base): value
        for key, value in weights.items()
        if key.startswith(tool.base) and not key.startswith(tool.classifiers)
    }
    cadene = any(".se_module." in key for key in base)
    base = {_our_name(key): value for key, value in base.items()}
    if stem_relu is None:
        stem_relu = tool is not BOT or cadene or not name.startswith("resnet") or _has_ibn(base)
    stride = last_stride or trained.get("last_stride", tool.last_stride)
    network = strong_baseline(name, None, stem_relu=stem_relu, last_stride=stride, cadene=cadene)
    try:
        fitted, report = adapt_state_dict(network.base, base)
        neck = _neck(weights, tool, network)
    except UserError as error:
        raise UserError(f"{source}: {error}") from error
    network.base.load_state_dict(fitted)
    network.bottleneck.load_state_dict(neck, strict=False)
    classifiers = sum(key.startswith(tool.classifiers) for key in weights)
    dropped = [*left_out, *report.dropped]
    if classifiers:
        dropped.append(f"the classifier ({classifiers} keys)")
    size = tuple(trained["size"]) if "size" in trained else None
    return Opened(network.eval(), tool.title, stem_relu, stride, tuple(dropped), size)


def _training_of(checkpoint: Any) -> Mapping[str, Any]:
    """Return the settings in a checkpoint of `ibn-seg reid train`; none of another tool's."""
    meta = checkpoint.get("meta") if isinstance(checkpoint, Mapping) else None
    found = meta.get("experiment") if isinstance(meta, Mapping) else None
    return found if isinstance(found, Mapping) and found.get("task") == _TASK else {}


def tool_of(weights: Mapping[str, torch.Tensor], source: str | Path) -> Tool:
    """Return whose names the tensors have.

    Raises:
        UserError: Of none, or the file says that its features are pooled in another way.
    """
    for tool in (OURS, BOT):
        if any(key.startswith(tool.base) for key in weights):
            return tool
    if any(key.startswith("heads.") for key in weights):
        if any(key.startswith("heads.pool_layer.") for key in weights):
            raise UserError(
                f"{source}: fast-reid's generalised mean pooling",
                "only networks with the plain mean, as in its BoT, can be opened",
            )
        return FAST_REID
    if any(key.startswith("layer1.") for key in weights):
        return TORCHREID
    some = ", ".join(list(weights)[:3])
    raise UserError(
        f"{source}: no network of re-identification, its keys start with {some}",
        "give a file of the strong baseline, fast-reid or torchreid",
    )


def _our_name(key: str) -> str:
    """Return our name of a tensor of Cadene's SE networks, and any other name as it is."""
    return key.removeprefix("layer0.").replace(".se_module.", ".se.")


def _has_ibn(weights: Mapping[str, torch.Tensor]) -> bool:
    return any("IN" in key.split(".") for key in weights)


def _neck(
    weights: Mapping[str, torch.Tensor], tool: Tool, network: StrongBaseline
) -> dict[str, torch.Tensor]:
    """Return the tensors of the neck; none for a tool without one, which leaves features alone.

    Raises:
        UserError: The file lacks the neck, or it has another width.
    """
    if not tool.necks:
        return {}
    for name in tool.necks:
        found = {key: weights.get(f"{name}.{key}") for key in _NECK}
        if found["weight"] is None:
            continue
        # A frozen shift may be left out of the file.
        if found["bias"] is None:
            found["bias"] = torch.zeros_like(found["weight"])
        wrong = [key for key, value in found.items()
                 if value is None or value.shape != (network.channels,)]  # fmt: skip
        if wrong:
            raise UserError(
                f"{name}.{wrong[0]} does not fit features of {network.channels} numbers",
                "networks that shorten their features cannot be opened",
            )
        return found
    raise UserError(f"no batch norm of the neck ({tool.necks[0]})", "give a whole checkpoint")
