"""Compare checkpoints of MXNet with figures that were measured in MXNet.

`python -m tests.parity.mxnet [FOLDER]` runs everything in a folder of the form of
`../shared/golden/mxnet` through the product and compares it with FOLDER/expected.json, by the
tolerances in it: files of every format, damaged files, checkpoints, and networks of real size. The
parameters of the latter are filled by `fill_mxnet.py`. The exit code is 1 if anything disagrees.
"""

import argparse
import hashlib
import json
import re
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from ibn_seg.errors import UserError
from ibn_seg.io import load_checkpoint
from ibn_seg.models.backbone import Backbone
from ibn_seg.models.densenet import DenseNet
from ibn_seg.models.factory import create_model
from ibn_seg.models.mxnet_import import import_mxnet
from ibn_seg.models.mxnet_names import Preprocessing, module_name
from ibn_seg.models.resnet import ResNet
from ibn_seg.models.resnext import ResNeXt
from ibn_seg.models.weights import load_backbone_weights
from tests.mxnet_files import filled, write_params
from tests.parity.fill_mxnet import filled_images, map_summary, summary

FOLDER = Path(__file__).resolve().parents[3] / "shared" / "golden" / "mxnet"
_CLASSES = {"ResNet": ResNet, "ResNeXt": ResNeXt, "DenseNet": DenseNet}
_EPS, _MOMENTUM = 2e-5, 0.1
_KINDS = ("eval", "softmax", "stages", "train", "moving")
_PARAMS, _SYMBOL = ".params", "-symbol.json"


@dataclass
class Row:
    """What was compared of one network or file.

    Attributes:
        name: Of the network or file.
        errors: By kind of figure, the largest difference over the largest figure, and the most that
            is allowed.
        wrong: What disagrees beside figures, in words.
    """

    name: str
    errors: dict[str, tuple[float, float]] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)

    @property
    def equal(self) -> bool:
        """Whether everything agrees; a figure that is NaN does not."""
        return not self.wrong and all(error <= most for error, most in self.errors.values())


@dataclass(frozen=True)
class Loaded:
    """A network with the weights of a file, and the batch norm of its images.

    Attributes:
        network: With the weights.
        preprocessing: What `bn_data` became, or None without it.
        arrays: Those of a symbol checkpoint by name, without prefixes.
    """

    network: Backbone
    preprocessing: Preprocessing | None = None
    arrays: Mapping[str, torch.Tensor] = field(default_factory=dict)


def rows(folder: Path) -> Iterator[Row]:
    """Yield one row for each file and network of a folder."""
    expected = json.loads((folder / "expected.json").read_text(encoding="utf-8"))
    tolerances = expected["about"]["tolerance"]
    for name, entry in expected.get("format_files", {}).items():
        yield compare_file(folder / name, name, entry)
    for entry in expected.get("format_inputs", []):
        yield compare_input(entry)
    for name, entry in expected.get("checkpoints", {}).items():
        yield compare_checkpoint(folder, name, entry, tolerances)
    for name, entry in expected.get("networks", {}).items():
        with tempfile.TemporaryDirectory() as work:
            source = write_params(Path(work) / f"{name}{_PARAMS}", filled(entry))
            row = Row(name)
            loaded = attempt(row, lambda: load(entry, source))  # noqa: B023 - called at once
        if loaded is not None:
            compare_network(row, loaded, entry, tolerances)
        yield row


def compare_file(path: Path, name: str, entry: Mapping[str, Any]) -> Row:
    """Compare the arrays of a file of some format."""
    row = Row(name)
    found = attempt(row, lambda: load_checkpoint(path)) or {}
    arrays = entry["arrays"]
    if list(found) != [array["name"] for array in arrays]:
        row.wrong.append("names")
    for array in arrays:
        values = found.get(array["name"])
        if values is None or list(values.shape) != array["shape"]:
            row.wrong.append(f"{array['name']}: shape")
        elif str(values.numpy().dtype) != array["dtype"] or digest(values) != array["sha256"]:
            row.wrong.append(f"{array['name']}: values")
    return row


def compare_input(entry: Mapping[str, Any]) -> Row:
    """Tell whether a good or damaged file is loaded or refused as it should be."""
    row = Row(f"input {entry['name']}")
    with tempfile.TemporaryDirectory() as work:
        path = Path(work) / f"input{_PARAMS}"
        path.write_bytes(bytes.fromhex(entry["hex"]))
        try:
            load_checkpoint(path)
            outcome = "load"
        except UserError:
            outcome = "refuse"
    if entry["want"] not in (outcome, "either"):
        row.wrong.append(f"outcome {outcome}, wanted {entry['want']}")
    return row


def compare_checkpoint(
    folder: Path, name: str, entry: Mapping[str, Any], tolerances: Mapping[str, float]
) -> Row:
    """Compare the arrays of a checkpoint and the figures of its network."""
    row = Row(name)
    files = {file: folder / file for file in entry["files"]}
    for file, path in files.items():
        if not path.is_file():
            row.wrong.append(f"{file}: missing")
        elif hashlib.sha256(path.read_bytes()).hexdigest() != entry["files"][file]:
            row.wrong.append(f"{file}: other bytes")
    source = next(path for path in files.values() if path.suffix == _PARAMS)
    symbol = next((path for file, path in files.items() if file.endswith(_SYMBOL)), None)
    arrays = attempt(row, lambda: load_checkpoint(source)) or {}
    digests = {key.rpartition(":")[2]: digest(value) for key, value in arrays.items()}
    if digests != entry["sha256"]:
        row.wrong.append("arrays")
    loaded = attempt(row, lambda: load(entry, source, symbol))
    if loaded is not None:
        compare_network(row, loaded, entry, tolerances)
    return row


def load(entry: Mapping[str, Any], source: Path, symbol: Path | None = None) -> Loaded:
    """Return the network of a checkpoint, built as a user would."""
    if entry["kind"] == "symbol":
        imported = import_mxnet(source, symbol)
        arrays = {key.partition(":")[2]: v for key, v in load_checkpoint(source).items()}
        return Loaded(imported.build(), imported.preprocessing, arrays)
    settings = dict(entry["ibn_seg"])
    name, kind = settings.pop("name", None), settings.pop("class", None)
    network = create_model(name, **settings) if name else _CLASSES[kind](**settings)
    load_backbone_weights(network, source)
    return Loaded(network)


def compare_network(
    row: Row, loaded: Loaded, entry: Mapping[str, Any], tolerances: Mapping[str, float]
) -> None:
    """Compare a network's outputs, and what one step in train mode changes."""
    network, kind = loaded.network, "bytes" if loaded.preprocessing else "normal"
    images = torch.from_numpy(
        filled_images((entry["batch"], 3, *entry["size"]), entry["seed"], kind)
    )
    count = sum(parameter.numel() for parameter in network.parameters())
    # bn_data has a scale and a shift of three colours, and became the preprocessor.
    if count + (6 if loaded.preprocessing else 0) != entry["parameters"]:
        row.wrong.append(f"{count} parameters")
    logits, maps = run(network.eval(), normalised(images, loaded))
    evaluated = entry["eval"]
    logits_error(row, "eval", logits, evaluated["logits"], tolerances["eval"])
    if "probabilities" in evaluated:
        probabilities = logits.softmax(dim=1)
        logits_error(row, "softmax", probabilities, evaluated["probabilities"], tolerances["eval"])
    stages = evaluated["stages"]
    if stages and len(stages) != len(maps):
        row.wrong.append(f"{len(maps)} stages")
    for got, wanted in zip(maps, stages, strict=False):
        stage_error(row, got, wanted, tolerances["stages"])
    if "train" in entry:
        compare_training(row, loaded, images, entry["train"], tolerances["train"])


def compare_training(
    row: Row, loaded: Loaded, images: torch.Tensor, wanted: Mapping[str, Any], most: float
) -> None:
    """Compare one step in train mode: logits, and the moving statistics after it."""
    network = loaded.network
    values: dict[str, int] = {}
    hooks = [
        module.register_forward_hook(counter(values, name))
        for name, module in network.named_modules()
        if isinstance(module, _BatchNorm)
    ]
    start = {key: value.clone() for key, value in network.state_dict().items()}
    logits, _ = run(network.train(), normalised(images, loaded, training=True))
    for hook in hooks:
        hook.remove()
    logits_error(row, "train", logits, wanted["logits"], most)
    for name, figures in wanted.get("moving_after_one_step", {}).items():
        if name.startswith("bn_data_"):
            found = data_moving(name, images, loaded)
        else:
            found = moving(name, loaded, start, values)
        error(row, "moving", found[: len(figures)], figures, most)


def normalised(images: torch.Tensor, loaded: Loaded, training: bool = False) -> torch.Tensor:
    """Return the network's input; in train mode `bn_data` uses the images' own statistics."""
    if loaded.preprocessing is None:
        return images
    if training:
        mean, var = own_statistics(images)
        std = (var + _EPS).sqrt()
        mean = mean - loaded.arrays["bn_data_beta"] * std
    else:
        mean, std = map(torch.tensor, (loaded.preprocessing.mean, loaded.preprocessing.std))
    return ((images.double() - mean.view(1, 3, 1, 1)) / std.view(1, 3, 1, 1)).float()


def own_statistics(images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return mean and biased variance of each colour, shapes (3,)."""
    colours = images.double()
    return colours.mean(dim=(0, 2, 3)), colours.var(dim=(0, 2, 3), correction=0)


def run(network: Backbone, images: torch.Tensor) -> tuple[torch.Tensor, list[torch.Tensor]]:
    """Return logits and the outputs of the stages, before what the next stage begins with."""
    maps: list[torch.Tensor] = []
    start = "features.denseblock" if isinstance(network, DenseNet) else "layer"
    hooks = [
        network.get_submodule(f"{start}{stage + 1}").register_forward_hook(
            lambda module, inputs, output: maps.append(output.clone())
        )
        for stage in range(len(network.stage_blocks))
    ]
    with torch.no_grad():
        logits = network(images)
    for hook in hooks:
        hook.remove()
    return logits, maps


def counter(values: dict[str, int], name: str) -> Callable[..., None]:
    """Return a hook that notes how many values of a channel a norm sees."""

    def count(module: nn.Module, inputs: tuple[torch.Tensor, ...], output: torch.Tensor) -> None:
        values[name] = output.numel() // output.shape[1]

    return count


def moving(
    name: str, loaded: Loaded, start: Mapping[str, torch.Tensor], values: Mapping[str, int]
) -> list[float]:
    """Return moving statistics as MXNet has them, which takes the biased variance of a batch."""
    node, end = re.fullmatch(r"(.+)_moving_(mean|var)", name).groups()
    module = module_name(node, loaded.arrays)
    key = f"{module}.running_{end}"
    before, after = start[key].double(), loaded.network.state_dict()[key].double()
    if end == "var":
        batch = (after - (1 - _MOMENTUM) * before) / _MOMENTUM
        unbiased = values[module] / (values[module] - 1)
        after = (1 - _MOMENTUM) * before + _MOMENTUM * batch / unbiased
    return after.tolist()


def data_moving(name: str, images: torch.Tensor, loaded: Loaded) -> list[float]:
    """Return moving statistics of `bn_data`, which is no layer of ours."""
    own = dict(zip(("mean", "var"), own_statistics(images), strict=True))
    after = _MOMENTUM * own[name.rpartition("_")[2]]
    return ((1 - _MOMENTUM) * loaded.arrays[name].double() + after).tolist()


def attempt(row: Row, action: Callable[[], Any]) -> Any:
    """Return the result of an action; an error for users is a disagreement, and gives None."""
    try:
        return action()
    except UserError as error:
        row.wrong.append(str(error))
        return None


def logits_error(
    row: Row, kind: str, got: torch.Tensor, wanted: Mapping[str, Any], most: float
) -> None:
    """Compare the figures of an output, shape (N, classes)."""
    found = summary(got.numpy())
    both = [found, wanted]
    error(
        row, kind, *(x["first"] + x["last"] for x in both), most, shapes=[x["shape"] for x in both]
    )
    for key in ("norm", "mean"):
        scale = abs(wanted["norm"]) if key == "norm" else np.abs(wanted["first"]).max()
        note(row, kind, abs(found[key] - wanted[key]) / scale, most)


def stage_error(row: Row, got: torch.Tensor, wanted: Mapping[str, Any], most: float) -> None:
    """Compare the figures of feature maps, shape (N, C, H, W)."""
    found = map_summary(got.numpy())
    shapes = [found["shape"], wanted["shape"]]
    error(row, "stages", found["channels"], wanted["channels"], most, shapes=shapes)
    note(row, "stages", abs(found["norm"] / wanted["norm"] - 1), most)


def error(
    row: Row,
    kind: str,
    got: Sequence[float],
    wanted: Sequence[float],
    most: float,
    shapes: Sequence[Any] = (0, 0),
) -> None:
    """Note the largest difference of some figures over the largest of them."""
    if shapes[0] != shapes[1] or len(got) != len(wanted):
        row.wrong.append(f"{kind}: shape {shapes[0]}, wanted {shapes[1]}")
        return
    found, expected = np.array(got), np.array(wanted)
    note(row, kind, float(np.abs(found - expected).max() / np.abs(expected).max()), most)


def note(row: Row, kind: str, value: float, most: float) -> None:
    """Keep the larger error of a kind; NaN is the largest."""
    before = row.errors.get(kind, (0.0, most))[0]
    row.errors[kind] = (before if before >= value or np.isnan(before) else value, most)


def digest(values: torch.Tensor) -> str:
    """Return the SHA-256 of an array's values."""
    return hashlib.sha256(values.numpy().tobytes()).hexdigest()


def main(arguments: list[str] | None = None) -> int:
    """Print the table and return the exit code."""
    from rich import box
    from rich.console import Console
    from rich.table import Table

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", nargs="?", type=Path, default=FOLDER, metavar="FOLDER")
    found = list(rows(parser.parse_args(arguments).folder))
    table = Table(box=box.SIMPLE, padding=0, caption="differences over the largest figure")
    table.add_column("file or network", no_wrap=True)
    for title in _KINDS:
        table.add_column(title, justify="right")
    table.add_column("result", overflow="fold")
    for row in found:
        figures = (f"{row.errors[k][0]:.0e}" if k in row.errors else "" for k in _KINDS)
        result = "equal" if row.equal else f"DIFFERS {'; '.join(row.wrong)}".strip()
        table.add_row(row.name, *figures, result)
    Console(markup=False).print(table)
    wrong = sum(not row.equal for row in found)
    print(f"{len(found)} compared, {wrong} disagree")
    return 1 if wrong or not found else 0


if __name__ == "__main__":
    raise SystemExit(main())
