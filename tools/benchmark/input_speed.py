"""Measure training input from file to the float tensor that a network takes, on one thread.

Every pipeline gets the same frames and seeds in turn, so that a busy machine slows all alike. All
end in the same steps: blur, mmseg's `PackSegInputs` and `SegDataPreProcessor`. A second table
has what colours and blur cost the data worker and the device, with and without `on_device=True`.

    python tools/benchmark/input_speed.py work_dirs/input_speed

renders frames of 1914x1052 into the folder once, and prints tables in Markdown.
"""

import argparse
import itertools
import os
import time
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import cv2
import numpy as np
import torch
from mmengine.dataset import Compose, pseudo_collate
from mmengine.registry import MODELS, init_default_scope

from ibn_seg.datasets.cache import CODECS
from ibn_seg.datasets.formats import read_values
from ibn_seg.io import write_bytes
from ibn_seg.run.setup import register
from ibn_seg.scenes import write_pair
from ibn_seg.transforms.appearance import RECORD

SIZE = (1914, 1052)
CROPS = ((512, 1024), (768, 768))
RESIZE = dict(scale=SIZE, ratio_range=(0.5, 2.0))
NORMALISATION = dict(
    type="SegDataPreProcessor",
    mean=[123.675, 116.28, 103.53],
    std=[58.395, 57.12, 57.375],
    bgr_to_rgb=True,
    pad_val=0,
    seg_pad_val=255,
)
BLUR = dict(type="RandomGaussianBlur", sigma=(0.15, 1.3), prob=1.0)
# RobustNet's probability; the transform's four steps always come together.
JITTER = dict(type="ColorJitter", prob=0.5)
DISTORTION = dict(type="Uint8PhotoMetricDistortion")
PACK = dict(type="PackSegInputs")
BATCH = 8


def chain(crop: tuple[int, int]) -> list[dict]:
    """Return mmseg's pipeline, reading labels converted to trainIds beforehand."""
    return [
        dict(type="LoadImageFromFile"),
        dict(type="LoadAnnotations"),
        dict(type="RandomResize", **RESIZE, keep_ratio=True),
        dict(type="RandomCrop", crop_size=crop, cat_max_ratio=0.75),
        dict(type="RandomFlip", prob=0.5),
        dict(type="PhotoMetricDistortion"),
        BLUR,
        PACK,
    ]


def fused(crop: tuple[int, int], color: dict) -> list[dict]:
    """Return our pipeline, reading the labels as downloaded."""
    load = dict(type="LoadRandomCrop", **RESIZE, crop_size=crop, cat_max_ratio=0.75)
    return [load, color, BLUR, PACK]


def divided(crop: tuple[int, int], color: dict, on_device: bool) -> list[dict]:
    """Return our pipeline, of which colours and blur are left to the device or not."""
    load, *changes, _ = fused(crop, color)
    pack = dict(PACK, meta_keys=("img_shape", RECORD))
    return [load, *(dict(change, on_device=on_device) for change in changes), pack]


class Pipeline:
    """A pipeline up to the float tensor, and how long its samples took.

    Args:
        steps: The transforms.
        infos: The samples, by frame.
        crop: (height, width) to which smaller crops are padded.
        device: Where the normalisation runs.
    """

    def __init__(self, steps: list[dict], infos: list[dict], crop, device: str) -> None:
        self.steps = Compose(steps)
        self.infos = infos
        self.normalise = MODELS.build(dict(NORMALISATION, size=crop)).to(device)
        self.seconds: list[float] = []

    def run(self, frame: int, seed: int) -> torch.Tensor:
        """Return the float tensor of one sample, and note its time."""
        np.random.seed(seed)
        start = time.perf_counter()
        batch = pseudo_collate([self.steps(self.infos[frame].copy())])
        inputs = self.normalise(batch, training=True)["inputs"]
        if inputs.is_cuda:
            torch.cuda.synchronize()
        self.seconds.append(time.perf_counter() - start)
        return inputs


class Divided:
    """A pipeline in the data worker, the rest on the device, and how long each half took.

    Args:
        steps: The transforms.
        infos: The samples, by frame.
        crop: (height, width) to which smaller crops are padded.
        device: Where the rest runs; on a CPU it is not timed.
    """

    def __init__(self, steps: list[dict], infos: list[dict], crop, device: str) -> None:
        self.steps = Compose(steps)
        self.infos = infos
        rest = dict(NORMALISATION, type="AppearancePreProcessor", size=crop)
        self.rest = MODELS.build(rest).to(device)
        self.device = device
        self.worker_seconds: list[float] = []
        self.device_seconds: list[float] = []

    def load(self, frame: int, seed: int) -> dict:
        """Return one sample as the data worker hands it over, and note its time."""
        np.random.seed(seed)
        start = time.perf_counter()
        sample = self.steps(self.infos[frame].copy())
        self.worker_seconds.append(time.perf_counter() - start)
        return sample

    def finish(self, samples: list[dict]) -> torch.Tensor:
        """Transfer, change and normalise a batch; on a GPU note the time per sample."""
        batch = pseudo_collate(samples)
        if self.device == "cpu":
            return self.rest(batch, training=True)["inputs"]
        start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        torch.cuda.synchronize()
        start.record()
        inputs = self.rest(batch, training=True)["inputs"]
        end.record()
        torch.cuda.synchronize()
        self.device_seconds.append(start.elapsed_time(end) / 1e3 / len(samples))
        return inputs.cpu()


def infos_of(root: Path, **cache) -> list[dict]:
    """Return the samples of the rendered frames, for our transforms."""
    from ibn_seg.datasets.gta5 import GTA5Dataset  # after `register`, which keeps mmseg quiet

    start = [dict(type="LoadRandomCrop", **RESIZE, crop_size=8)]
    dataset = GTA5Dataset(root, split="all", pipeline=start, **cache)
    return [{**dataset.get_data_info(i), "seg_fields": []} for i in range(len(dataset))]


def converted(infos: list[dict], folder: Path) -> list[dict]:
    """Return the samples for mmseg's transforms: grey PNGs of trainIds, as converters write."""
    result = []
    for info in infos:
        path = folder / Path(info["seg_map_path"]).name
        if not path.exists():
            ids = cv2.LUT(read_values(info["seg_map_path"]), info["label_table"].train_ids)
            write_bytes(path, cv2.imencode(".png", ids)[1].tobytes())
        paths = {"img_path": info["img_path"], "seg_map_path": str(path)}
        result.append({**paths, "reduce_zero_label": False, "seg_fields": []})
    return result


def megabytes(folder: Path, suffix: str, frames: int) -> float:
    """Return the size of a folder's files per frame in MB."""
    return sum(path.stat().st_size for path in folder.rglob(f"*{suffix}")) / frames / 1e6


def measure(work: Path, crop, rounds: int, device: str) -> tuple[dict, dict]:
    """Return each row's mean seconds per sample and its MB per frame."""
    root = work / "frames" / "gta5"
    plain = infos_of(root)
    count = len(plain)
    png = megabytes(root, ".png", count)
    rows = {"mmseg": Pipeline(chain(crop), converted(plain, work / "train_ids"), crop, "cpu")}
    sizes = {"mmseg": png, "ours, no cache": png}
    rows["ours, no cache"] = Pipeline(fused(crop, DISTORTION), plain, crop, "cpu")
    for codec in CODECS:
        folder = work / "cache" / codec
        infos = infos_of(root, cache_dir=folder, cache_codec=codec)
        name = f"ours, cache {codec}"
        rows[name] = Pipeline(fused(crop, DISTORTION), infos, crop, "cpu")
        if codec == "zstd":
            rows[f"{name}, ColorJitter"] = Pipeline(fused(crop, JITTER), infos, crop, "cpu")
            if device != "cpu":
                normalised = Pipeline(fused(crop, DISTORTION), infos, crop, device)
                rows[f"{name}, normalised on {device}"] = normalised
    for pipeline in rows.values():  # fills caches and file buffers
        for frame in range(count):
            pipeline.run(frame, frame)
        pipeline.seconds.clear()
    for codec in CODECS:
        size = megabytes(work / "cache" / codec, ".tiles", count)
        sizes.update({name: size for name in rows if name.startswith(f"ours, cache {codec}")})
    for turn, frame in itertools.product(range(rounds), range(count)):
        seed = turn * count + frame
        outputs = {name: pipeline.run(frame, seed).cpu() for name, pipeline in rows.items()}
        for name, output in outputs.items():
            if "ColorJitter" not in name and not torch.allclose(
                output, outputs["mmseg"], atol=1e-5
            ):
                raise RuntimeError(f"{name}: another tensor than mmseg's for seed {seed}")
    return {name: float(np.mean(pipeline.seconds)) for name, pipeline in rows.items()}, sizes


def measure_halves(work: Path, crop, rounds: int, device: str) -> dict[str, Divided]:
    """Return pipelines with and without `on_device=True` that have been run."""
    folder = work / "cache" / "zstd"
    infos = infos_of(work / "frames" / "gta5", cache_dir=folder, cache_codec="zstd")
    rows = {}
    for color in (JITTER, DISTORTION):
        for where, on_device in (("by the worker", False), ("on the device", True)):
            steps = divided(crop, color, on_device)
            rows[f"{color['type']} and blur {where}"] = Divided(steps, infos, crop, device)
    seeds = range(BATCH + rounds * len(infos))
    for first in range(0, len(seeds), BATCH):
        batches: dict[str, list[dict]] = {name: [] for name in rows}
        for seed, name in itertools.product(seeds[first : first + BATCH], rows):
            batches[name].append(rows[name].load(seed % len(infos), seed))
        # A CPU is not timed, and one batch shows whether the samples are the same.
        if first == 0 or device != "cpu":
            outputs = [row.finish(batches[name]) for name, row in rows.items()]
            for one, other in zip(outputs[::2], outputs[1::2], strict=True):
                if not torch.allclose(one, other, atol=1e-5):
                    raise RuntimeError(f"other samples on the device, seeds from {first}")
        if first == 0:  # it warms up caches, tables and kernels
            for row in rows.values():
                row.worker_seconds.clear()
                row.device_seconds.clear()
    return rows


def print_halves(rows: dict[str, Divided]) -> None:
    """Print what each half of a pipeline costs."""
    print(f"\nOurs from the zstd cache, ms per sample; the device takes {BATCH} at a time\n")
    print("| colours and blur | data worker | transfer, rest and normalisation on the GPU |")
    print("| --- | ---: | ---: |")
    for name, row in rows.items():
        gpu = f"{1e3 * np.mean(row.device_seconds):.2f}" if row.device_seconds else "not measured"
        print(f"| {name} | {1e3 * np.mean(row.worker_seconds):.1f} | {gpu} |")


def main() -> None:
    """Render what is missing, measure, and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("work_dir", type=Path)
    parser.add_argument("--frames", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=4)
    args = parser.parse_args()
    register()
    init_default_scope("mmseg")
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    write_pair(args.work_dir / "frames", size=SIZE, source_frames=args.frames, target_train=1,
               target_val=1)  # fmt: skip
    device = "cuda" if torch.cuda.is_available() else "cpu"
    for crop in CROPS:
        seconds, sizes = measure(args.work_dir, crop, args.rounds, device)
        samples = args.frames * args.rounds
        print(f"\nCrop {crop[0]}x{crop[1]}, {samples} samples each, one thread\n")
        print("| pipeline | samples/s | ms | times mmseg | MB on disk per frame |")
        print("| --- | ---: | ---: | ---: | ---: |")
        for name, value in seconds.items():
            ratio = seconds["mmseg"] / value
            line = (name, f"{1 / value:.0f}", f"{1e3 * value:.1f}", f"{ratio:.1f}")
            print(f"| {' | '.join(line)} | {sizes[name]:.2f} |")
        print_halves(measure_halves(args.work_dir, crop, args.rounds, device))
    if device == "cpu":
        print("\nWhat a GPU does: not measured, there is none.")


if __name__ == "__main__":
    main()
