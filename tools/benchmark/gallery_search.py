"""Measures of a search by sorting every row, and by ours, as a Markdown table.

    python tools/benchmark/gallery_search.py [--queries 3368] [--gallery 15913] [--identities 750]
        [--cameras 6] [--dimensions 2048] [--cpu-time] [--only ours]

The default is Market-1501's size. Features are random, drawn around a centre for each identity. The
plain way computes the whole matrix, sorts its rows with `argsort` and loops over the queries. Ours
does not sort and goes by blocks. Each is a process of its own with one thread; its peak memory is
its largest resident set (Linux). `--only ours` leaves the plain way out, which needs 30 GB for
MSMT17's size: --queries 11659 --gallery 82161 --identities 3060 --cameras 15.
"""

import argparse
import multiprocessing
import os
import resource
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from ibn_seg.reid.distances import distance_blocks
from ibn_seg.reid.measures import scores
from ibn_seg.reid.ranking import SearchLabels, rank_matches

# BLAS reads these when NumPy is loaded, which a spawned process does anew.
_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
RANKS = 50


@dataclass(frozen=True)
class Outcome:
    """What a way computed, and what it took.

    Attributes:
        distances_s: Seconds for the distances.
        ranking_s: Seconds for ranks and measures.
        peak_mib: Largest resident set, the features included.
        mean_precision: mAP, percent.
        cmc: The curve, percent.
    """

    distances_s: float
    ranking_s: float
    peak_mib: float
    mean_precision: float
    cmc: np.ndarray


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name, value in (("queries", 3368), ("gallery", 15913), ("identities", 750),
                        ("cameras", 6), ("dimensions", 2048)):  # fmt: skip
        parser.add_argument(f"--{name}", type=int, default=value)
    parser.add_argument("--cpu-time", action="store_true")
    parser.add_argument("--only", choices=("plain", "ours"))
    args = parser.parse_args()
    for name in _THREADS:
        os.environ[name] = "1"
    ways = {"plain": _plain, "ours": _ours}
    found = {}
    for name, way in ways.items():
        if args.only in (None, name):
            with multiprocessing.get_context("spawn").Pool(1) as pool:
                found[name] = pool.apply(_measured, (way, args))
    print(_table(found, args))


def _measured(way: Callable, args: argparse.Namespace) -> Outcome:
    clock = time.process_time if args.cpu_time else time.perf_counter
    return way(*_search(args), clock)


def _search(args: argparse.Namespace) -> tuple[np.ndarray, np.ndarray, SearchLabels]:
    """Return features and labels; a tenth of the gallery are distractors."""
    rng = np.random.default_rng(0)
    centres = rng.standard_normal((args.identities + 1, args.dimensions), np.float32)
    labels = SearchLabels(
        rng.integers(1, args.identities + 1, args.queries),
        rng.integers(0, args.cameras, args.queries),
        rng.integers(1, args.identities + 1, args.gallery),
        rng.integers(0, args.cameras, args.gallery),
    )
    labels.gallery_ids[rng.random(args.gallery) < 0.1] = 0
    sides = []
    for ids in (labels.query_ids, labels.gallery_ids):
        features = rng.standard_normal((len(ids), args.dimensions), np.float32)
        features *= 4.5
        features += centres[ids]
        sides.append(features)
    return *sides, labels


def _plain(
    query: np.ndarray, gallery: np.ndarray, labels: SearchLabels, clock: Callable[[], float]
) -> Outcome:
    """Sort every row, and loop over the queries."""
    start = clock()
    distances = (query**2).sum(axis=1)[:, None] + (gallery**2).sum(axis=1) - 2 * query @ gallery.T
    ready = clock()
    order = np.argsort(distances, axis=1)
    curves, precisions = [], []
    for query_id, camera, places in zip(labels.query_ids, labels.query_cameras, order, strict=True):
        ids, cameras = labels.gallery_ids[places], labels.gallery_cameras[places]
        kept = ~((ids == query_id) & (cameras == camera))
        right = (ids == query_id)[kept].astype(int)
        if not right.any():
            continue
        curves.append(np.minimum(right.cumsum(), 1)[:RANKS])
        precision = right.cumsum() / np.arange(1, len(right) + 1)
        precisions.append((precision * right).sum() / right.sum())
    cmc, mean = 100 * np.mean(curves, axis=0), 100 * float(np.mean(precisions))
    return Outcome(ready - start, clock() - ready, _peak_mib(), mean, cmc)


def _ours(
    query: np.ndarray, gallery: np.ndarray, labels: SearchLabels, clock: Callable[[], float]
) -> Outcome:
    """Rank by blocks; the time of the distances is that inside their generator."""
    spent = 0.0

    def timed(blocks: Iterator[np.ndarray]) -> Iterator[np.ndarray]:
        nonlocal spent
        while True:
            start = clock()
            block = next(blocks, None)
            spent += clock() - start
            if block is None:
                return
            yield block

    start = clock()
    found = scores(rank_matches(timed(distance_blocks(query, gallery)), labels), RANKS)
    everything = clock() - start
    return Outcome(spent, everything - spent, _peak_mib(), found.mean_precision, found.cmc)


def _peak_mib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _table(found: dict[str, Outcome], args: argparse.Namespace) -> str:
    """Return the table, and how much faster ours is."""
    lines = [
        f"{args.queries:,} queries, {args.gallery:,} gallery pictures, {args.dimensions} numbers, "
        "one thread",
        "",
        "| way | distances, s | ranks and measures, s | peak memory, MiB | rank-1 | mAP |",
        "|---|---|---|---|---|---|",
    ]
    for name, one in found.items():
        lines.append(
            f"| {name} | {one.distances_s:.2f} | {one.ranking_s:.2f} | {one.peak_mib:.0f} "
            f"| {one.cmc[0]:.4f} | {one.mean_precision:.6f} |"
        )
    if len(found) == 2:
        plain, ours = found["plain"], found["ours"]
        curves = float(np.abs(plain.cmc - ours.cmc).max())
        means = abs(plain.mean_precision - ours.mean_precision)
        lines += [
            "",
            f"ranks and measures: {plain.ranking_s / ours.ranking_s:.1f} times as fast; largest "
            f"differences {curves:.1e} (CMC) and {means:.1e} (mAP), percent",
        ]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
