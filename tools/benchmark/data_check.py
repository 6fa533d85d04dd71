"""What `ibn-seg data check` costs beside decoding the same files, as a Markdown table.

Both are run in turn on the same rendered frames, with the same number of processes, and start their
processes anew each time. *Decode alone* reads every file and decodes it with the readers' decoders:
images by OpenCV in colour, as mmcv does, labels by Pillow.

    python tools/benchmark/data_check.py --pairs 48 --size 2048x1024 --rounds 5
"""

import argparse
import io
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from ibn_seg.datasets.formats import read_values
from ibn_seg.datasets.quiet_mmseg import load_mmseg
from ibn_seg.downloads.check import check
from ibn_seg.scenes import write_pair
from ibn_seg.worker_pool import default_workers, run_batches


def decode(paths: Sequence[tuple[Path, bool]]) -> None:
    """Decode files; each is a path and whether it is a label."""
    for path, is_label in paths:
        if is_label:
            read_values(path)
        else:
            cv2.imdecode(np.frombuffer(path.read_bytes(), np.uint8), cv2.IMREAD_COLOR)


def timed(action: Callable[[], object]) -> float:
    """Return the seconds that an action takes."""
    start = time.perf_counter()
    action()
    return time.perf_counter() - start


def decode_all(paths: Sequence[tuple[Path, bool]], workers: int) -> None:
    """Decode files as the check does, in batches on several processes."""
    for _ in run_batches(decode, paths, workers=workers):
        pass


def measure(name: str, root: Path, workers: int, rounds: int) -> list[str]:
    """Return the table's rows of one data set."""
    listings = check(name, root, workers=workers).listings
    images = [(path, False) for listing in listings for path in listing.images.values()]
    labels = [(path, True) for listing in listings for path in listing.labels.values()]
    rows = []
    for kind, files, only in (
        ("full", [*images, *labels], False), ("--labels-only", labels, True),
    ):  # fmt: skip
        seconds: list[tuple[float, float]] = [
            (
                timed(lambda files=files: decode_all(files, workers)),
                timed(lambda only=only: check(name, root, labels_only=only, workers=workers)),
            )
            for _ in range(rounds)
        ]
        alone, checked = (statistics.median(column) for column in zip(*seconds, strict=True))
        ratio = statistics.median(b / a for a, b in seconds)
        rows.append(
            f"| {root.name} | {kind} | {len(files)} | {alone:.2f} | {checked:.2f} | {ratio:.2f} |"
        )
    return rows


def as_jpeg(source: Path, target: Path) -> Path:
    """Make the layout of BDD100K from frames in the layout of Cityscapes."""
    for path in sorted((source / "leftImg8bit").rglob("*.png")):
        split, stem = path.parts[-3], path.name.removesuffix("_leftImg8bit.png")
        label = source / "gtFine" / split / path.parent.name / f"{stem}_gtFine_labelTrainIds.png"
        for folder, name in (
            ("images/10k", f"{stem}.jpg"),
            ("labels/sem_seg/masks", f"{stem}.png"),
        ):
            file = target / folder / split / name
            file.parent.mkdir(parents=True, exist_ok=True)
            if folder.startswith("labels"):
                file.write_bytes(label.read_bytes())
            else:
                with Image.open(path) as picture:
                    picture.save(file, quality=92)
    return target


def as_photo(root: Path, seed: int = 0) -> None:
    """Give rendered frames a camera's noise and PNG's usual compression."""
    rng = np.random.default_rng(seed)
    for path in [*root.glob("gta5/images/*"), *root.glob("cityscapes/leftImg8bit/*/*/*")]:
        with Image.open(path) as picture:
            frame = np.asarray(picture).astype(np.int16)
        frame += rng.integers(-3, 4, frame.shape, np.int16)
        encoded = io.BytesIO()
        Image.fromarray(np.clip(frame, 0, 255).astype(np.uint8)).save(encoded, "PNG")
        path.write_bytes(encoded.getvalue())


def main() -> None:
    """Render, measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=48)
    parser.add_argument("--size", default="2048x1024")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--workers", type=int, default=default_workers())
    args = parser.parse_args()
    load_mmseg()
    width, height = map(int, args.size.split("x"))
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        write_pair(
            root, size=(width, height), source_frames=args.pairs, target_train=args.pairs // 2,
            target_val=args.pairs - args.pairs // 2, workers=args.workers,
        )  # fmt: skip
        as_photo(root)
        as_jpeg(root / "cityscapes", root / "bdd100k")
        print(f"{args.size}, {args.workers} processes, median of {args.rounds} rounds")
        print("| data set | check | files | decode alone, s | check, s | ratio |")
        print("| --- | --- | --- | --- | --- | --- |")
        for name in ("gta5", "cityscapes", "bdd100k"):
            print("\n".join(measure(name, root / name, args.workers, args.rounds)), flush=True)


if __name__ == "__main__":
    main()
