"""Measure what windows save on a large picture: one network, once by windows and once as a whole.

Each side runs `Segmenter` in a process of its own, which keeps freed memory as `predict` does.

    python tools/benchmark/large_picture.py CONFIG CHECKPOINT [PICTURE]

Without a picture, one of --size is made from noise of two scales. The table is in Markdown.
"""

import argparse
import multiprocessing
import time
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np


@dataclass(frozen=True)
class Side:
    """What one side took.

    Attributes:
        peak_mib: The most resident memory of the whole process.
        wall_s: Seconds by the clock.
        cpu_s: Seconds of processors.
        labels: H x W uint8.
    """

    peak_mib: float
    wall_s: float
    cpu_s: float
    labels: np.ndarray


def main() -> None:
    """Measure both sides and print their table."""
    args = _parser().parse_args()
    image = _picture(args.picture, args.size)
    with multiprocessing.get_context("spawn").Pool(1, maxtasksperchild=1) as pool:
        sides = {
            name: pool.apply(measure, (args.config, args.checkpoint, image, most, args.threads))
            for name, most in (("whole", image.size), ("windows", None))
        }
    whole = sides["whole"]
    print(f"{args.config}, {image.shape[1]}x{image.shape[0]}, {args.threads} threads\n")
    print("| | peak memory, MiB | wall, s | CPU, s | CPU / whole | pixels that differ |")
    print("| --- | ---: | ---: | ---: | ---: | ---: |")
    for name, side in sides.items():
        differing = np.count_nonzero(side.labels != whole.labels)
        print(
            f"| {name} | {side.peak_mib:.0f} | {side.wall_s:.0f} | {side.cpu_s:.0f} "
            f"| {side.cpu_s / whole.cpu_s:.2f} | {differing} of {side.labels.size} |"
        )


def measure(
    config: str, checkpoint: Path, image: np.ndarray, most: int | None, threads: int
) -> Side:
    """Return what the labels of a picture take.

    Args:
        config: A path or an `ibn_seg::` name.
        checkpoint: The weights.
        image: H x W x 3 uint8, BGR.
        most: The most pixels that the network sees at once; None for the default.
        threads: Of PyTorch.
    """
    import torch

    from ibn_seg.heap import keep_freed_memory
    from ibn_seg.predict.predict_pictures import Segmenter
    from ibn_seg.provenance import peak_memory_mib

    keep_freed_memory()
    torch.set_num_threads(threads)
    segment = Segmenter(config, checkpoint, device="cpu", most_pixels=most)
    wall, processor = time.perf_counter(), time.process_time()
    labels = segment(image)
    wall, processor = time.perf_counter() - wall, time.process_time() - processor
    return Side(peak_memory_mib(), wall, processor, labels)


def _picture(path: Path | None, size: str) -> np.ndarray:
    """Return a picture, H x W x 3 uint8 in BGR order."""
    if path is not None:
        image = cv2.imread(str(path), cv2.IMREAD_COLOR)
        if image is None:
            raise SystemExit(f"{path}: is no picture that OpenCV reads")
        return image
    width, height = (int(part) for part in size.split("x"))
    random = np.random.default_rng(0)
    coarse = random.integers(0, 216, (height // 16, width // 16, 3)).astype(np.uint8)
    image = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
    return cv2.add(image, random.integers(0, 40, image.shape, dtype=np.uint8))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("config", help="a path or an ibn_seg:: name")
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("picture", type=Path, nargs="?")
    parser.add_argument("--size", default="6000x4000", help="width x height (%(default)s)")
    parser.add_argument("--threads", type=int, default=1, help="of PyTorch (%(default)s)")
    return parser


if __name__ == "__main__":
    main()
