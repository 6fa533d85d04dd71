"""Networks of 3 and of 2 classes, trained by command on rendered scenes read in coarser classes."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from ibn_seg import cli
from ibn_seg.config import load_config
from ibn_seg.datasets.labels import CLASSES
from ibn_seg.scenes import write_pair
from tests.helpers import RAW_IDS
from tests.tiny import write_experiment

_GROUND = ["road", "sidewalk", "terrain"]
_SKY = ["sky"]
_THINGS = [name for name in CLASSES if name not in (*_GROUND, *_SKY)]
_ITERATIONS = 100


@dataclass(frozen=True)
class Coarse:
    """Coarser classes to read Cityscapes' labels in.

    Attributes:
        name: A short name.
        read_as: The classes, as a config holds them.
        groups: The classes of Cityscapes in each.
        none: Those that are ignored.
        head: What differs in the head.
    """

    name: str
    read_as: list[Any]
    groups: dict[str, list[str]]
    none: list[str]
    head: dict[str, Any]

    @property
    def map(self) -> dict[str, Any]:
        """The map to the classes, as `read_map` takes it."""
        return {"groups": self.groups, "none": self.none}

    def labels_of(self, path: Path) -> np.ndarray:
        """Read a PNG of raw ids in these classes, without a reader of the package."""
        table = np.full(256, 255, np.uint8)
        for at, members in enumerate(self.groups.values()):
            for member in members:
                table[RAW_IDS[CLASSES.index(member)]] = at
        return table[np.asarray(Image.open(path))]


THREE = Coarse(
    "three",
    [{"name": "ground", "color": [128, 64, 128]}, "things", {"name": "sky", "color": "#4682b4"}],
    {"ground": _GROUND, "things": _THINGS, "sky": _SKY},
    [],
    {"num_classes": 3},
)
# mmseg's own way for two classes: one output, and a threshold.
TWO = Coarse(
    "two",
    ["ground", "rest"],
    {"ground": _GROUND, "rest": _THINGS},
    _SKY,
    {
        "num_classes": 2,
        "out_channels": 1,
        "loss_decode": {"type": "CrossEntropyLoss", "use_sigmoid": True},
    },
)


@dataclass(frozen=True)
class Network:
    """A trained network on files.

    Attributes:
        folder: Its work dir.
        config: Its config.
        coarse: Its classes.
    """

    folder: Path
    config: Path
    coarse: Coarse

    @property
    def checkpoint(self) -> Path:
        """Its last checkpoint."""
        return self.folder / f"iter_{_ITERATIONS}.pth"

    @property
    def scenes(self) -> Path:
        """The folder of the scenes."""
        return self.config.parent / "scenes"

    def command(self, *args: object) -> int:
        """Run a command of ibn-seg in this process, and return its exit code."""
        return cli.run([str(arg) for arg in args])


def write_config(folder: Path, coarse: Coarse) -> Path:
    """Write the config of a tiny network, and the scenes beside it."""
    write_pair(folder / "scenes", size=(96, 64), source_frames=6, target_train=4, target_val=2)
    config = load_config(write_experiment(folder / "tiny"))
    reading = {"read_as": coarse.read_as, "read_map": coarse.map}
    datasets = [*config.val_dataloader.dataset.datasets, config.train_dataloader.dataset]
    for dataset in datasets:
        name, split = ("gta5", "all") if dataset["type"] == "GTA5Dataset" else ("cityscapes", "val")
        dataset.update(data_root=str(folder / "scenes" / name), split=split, **reading)
    config.test_dataloader = config.val_dataloader
    # The first stage sees colours at a quarter of the size, which is learnt in seconds.
    config.model.backbone.out_indices, config.model.decode_head.in_channels = (0,), 8
    config.model.decode_head.update(coarse.head)
    config.train_cfg.max_iters = config.param_scheduler[0].end = _ITERATIONS
    config.train_cfg.val_interval = _ITERATIONS
    config.optim_wrapper.optimizer.lr = 0.05
    path = folder / f"{coarse.name}.py"
    path.write_text(config.pretty_text)
    return path


def train(folder: Path, coarse: Coarse) -> Network:
    """Train a network by command."""
    network = Network(folder / f"run_{coarse.name}", write_config(folder, coarse), coarse)
    assert network.command("train", network.config, "--work-dir", network.folder) == 0
    return network
