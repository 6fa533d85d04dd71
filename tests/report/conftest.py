"""Results and scenes as the tasks make them, from arithmetic instead of training."""

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest

from ibn_seg.datasets.labels import CLASSES
from ibn_seg.report import Panel, write_report

ABSENT = {"gta5": (), "cityscapes": ("train", "bus")}
IMAGES = {"gta5": 100, "cityscapes": 60}


def domain_scores(name: str, miou: float, seed: int) -> dict:
    """Return one domain's scores; the classes' mean is `miou` exactly up to float rounding."""
    rng = np.random.default_rng(seed)
    present = [c for c in CLASSES if c not in ABSENT.get(name, ())]
    spread = rng.uniform(-0.8, 0.8, len(present))
    ious = miou + min(miou, 100 - miou) * (spread - spread.mean()) / 2
    return {
        "mIoU": float(ious.mean()),
        "mAcc": float(ious.mean()) * 0.9 + 10,
        "aAcc": float(ious.mean()) * 0.6 + 40,
        "IoU": dict(zip(present, map(float, ious), strict=True)),
        "Acc": dict(zip(present, map(float, ious), strict=True)),
        "absent": list(ABSENT.get(name, ())),
        "images": IMAGES.get(name, 50),
        "confusion": np.eye(19, dtype=int).tolist(),
    }


def result(method: str, seed: int, mious: Mapping[str, float], **changes: object) -> dict:
    """Return the content of a result file with the given mIoU per domain; source 'gta5'."""
    rng = np.random.default_rng([seed, len(method)])
    iterations = list(range(10, 601, 10))
    decay = np.exp(-np.array(iterations) / 150)
    config = "fcn_r18-" + (f"{method.lower()}-" if method != "BN" else "") + "d8.py"
    name = f"resnet18-{method.lower()}_seed{seed}"
    val = [
        {"iter": at, **{f"{d}/mIoU": m * (1 - 0.6 * np.exp(-at / 200)) for d, m in mious.items()}}
        for at in (150, 300, 450, 600)
    ]
    content = {
        "schema": 1,
        "kind": "train",
        "name": name,
        "method": method,
        "backbone": "ResNet-18",
        "seed": seed,
        "threads": 2,
        "device": "cpu",
        "cpu": "Processor 1 (AVX2)",
        "command": f"ibn-seg train configs/demo/{config} --cfg-options randomness.seed={seed}",
        "config": f"experiment = dict(method='{method}')\n" + "model = dict(type='EncoderDecoder', "
        "backbone=dict(type='IBNResNet', depth=18), decode_head=dict(type='FCNHead'))\n" * 30,
        "config_file": f"configs/demo/{config}",
        "checkpoint": f"work_dirs/demo/{name}/iter_600.pth",
        "iterations": 600,
        "versions": {
            "python": "3.12.4",
            "ibn_seg": "0.1.0",
            "torch": "2.9.0",
            "mmengine": "0.10.7",
        },
        "git_commit": "0123456789abcdef0123456789abcdef01234567",
        "date": f"2026-01-0{1 + seed}T12:00:00Z",
        "wall_time_s": 83.25 + seed,
        "peak_memory_mib": 1434.0,
        "source": "gta5",
        "domains": {d: domain_scores(d, m, seed * 7 + k) for k, (d, m) in enumerate(mious.items())},
        "targets_mIoU": 0.0,
        "gap": 0.0,
        "curves": {
            "iter": iterations,
            "loss": (0.6 + 2.2 * decay + rng.normal(0, 0.03, len(decay))).tolist(),
            "lr": (0.01 * decay).tolist(),
            "val": val,
        },
    }
    return content | changes


# (source, target) mIoU of the seeds 0, 1, 2.
MIOUS = {
    "BN": ((50.31, 26.42), (51.02, 25.13), (49.74, 27.85)),
    "IBN-a": ((50.22, 32.51), (50.64, 33.03), (49.13, 31.42)),
    "IBN-b": ((45.03, 40.54), (46.21, 39.95), (44.38, 41.16)),
}


@pytest.fixture
def make_result() -> Callable[..., dict]:
    return result


def three_by_three() -> list[dict]:
    return [
        result(method, seed, dict(zip(("gta5", "cityscapes"), MIOUS[method][seed], strict=True)))
        for seed in range(3)
        for method in MIOUS
    ]


@pytest.fixture
def results() -> list[dict]:
    """Three methods x three seeds, in the order that training finishes them."""
    return three_by_three()


def street(seed: int, size: tuple[int, int] = (96, 48)) -> tuple[np.ndarray, np.ndarray]:
    """Return image and trainIds of a plain street: sky, building, road, a car, an ignored strip."""
    width, height = size
    rng = np.random.default_rng(seed)
    label = np.full((height, width), CLASSES.index("sky"), np.uint8)
    label[height // 4 :] = CLASSES.index("building")
    label[height // 2 :] = CLASSES.index("road")
    left = int(rng.integers(0, width // 2))
    label[height // 2 - 4 : height // 2 + 10, left : left + 20] = CLASSES.index("car")
    label[-3:] = 255
    image = label[..., None].astype(int) * [5, 7, 9] + 60 + rng.integers(0, 20, (height, width, 3))
    return (image % 256).astype(np.uint8), label


def four_scenes() -> list[Panel]:
    made = []
    for k in range(4):
        image, label = street(k)
        predictions = {}
        for share, method in ((0.2, "BN"), (0.1, "IBN-a"), (0.0, "IBN-b")):
            prediction = np.where(label == 255, 0, label).astype(np.uint8)
            prediction[:, : round(share * label.shape[1])] = CLASSES.index("wall")
            predictions[method] = prediction
        domain = "cityscapes" if k < 3 else "gta5"
        made.append(Panel(image, label, predictions, f"{domain}, frame {k}", domain))
    return made


@pytest.fixture
def panels() -> list[Panel]:
    """Four scenes; the predictions have 0, 10 and 20 % of the columns wrong."""
    return four_scenes()


@pytest.fixture(scope="package")
def report_file(tmp_path_factory) -> Path:
    """The report of `results` and `panels`, written once; not to be changed."""
    return write_report(
        three_by_three(),
        four_scenes(),
        tmp_path_factory.mktemp("report") / "report.html",
        title="Seen & unseen",
        notes=["500 frames of <GTA5>."],
    )
