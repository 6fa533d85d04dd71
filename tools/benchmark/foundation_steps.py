"""Time and memory of training steps of ViTs on a CPU, against timm's own network, as a table.

    python tools/benchmark/foundation_steps.py [--models vit_small_patch14_dinov2,...]
        [--tunings full,frozen,lora,rein] [--size 512] [--repeats 15] [--json FILE]

A step reads one picture of noise, computes four maps, a linear head and the loss, and takes a step
of AdamW. The base is timm's network in the same step: the same blocks, pyramid and head, without
ours. Rows take turns, so that what else the machine does meets them alike; ratios are medians of
the ratios to the base within the turns. The peak is that of a process of its own that takes two
steps, over what it holds before it builds the network.
"""

import argparse
import functools
import multiprocessing
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from timing import options, ratio, start, turns
from torch import nn
from torch.nn import functional as F

from ibn_seg.foundation.pyramid import SCALES, bilinear_pyramid
from ibn_seg.foundation.timm_models import build_timm
from ibn_seg.foundation.tuned_network import TunedNetwork
from ibn_seg.io import write_json
from ibn_seg.provenance import cpu, git_commit, peak_memory_mib, reset_peak_memory, versions

BASE = "timm"
MODELS = ("vit_small_patch14_dinov2", "vit_base_patch14_dinov2")
TUNINGS = ("full", "frozen", "lora", "rein")
CLASSES, PATCH, LEVELS = 19, 16, 4


class TimmMaps(nn.Module):
    """timm's own network with the blocks and the pyramid of ours.

    Args:
        model: Its name.
        size: Side of the pictures, in pixels.
    """

    def __init__(self, model: str, size: int) -> None:
        super().__init__()
        self.network = build_timm(model, img_size=size, patch_size=PATCH)
        count = len(self.network.blocks)
        self.indices = [count * part // LEVELS - 1 for part in range(1, LEVELS + 1)]
        self.network.prune_intermediate_layers(self.indices, prune_norm=True, prune_head=True)

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Return four maps."""
        maps = self.network.forward_intermediates(
            images, indices=self.indices, intermediates_only=True
        )
        return bilinear_pyramid(maps, SCALES)


class Step:
    """A network that takes training steps.

    Args:
        model: Name in timm.
        tuning: A way of tuning, or `BASE` for timm's own network.
        size: Side of the pictures, in pixels.
    """

    def __init__(self, model: str, tuning: str, size: int) -> None:
        torch.manual_seed(0)
        if tuning == BASE:
            self.backbone: nn.Module = TimmMaps(model, size)
        else:
            self.backbone = TunedNetwork(model, img_size=size, patch_size=PATCH, tuning=tuning)
            self.backbone.start()
        width = self.backbone.network.embed_dim
        self.head = nn.Conv2d(LEVELS * width, CLASSES, 1)
        self.backbone.train()
        parts = (*self.backbone.parameters(), *self.head.parameters())
        self.trained = [value for value in parts if value.requires_grad]
        self.optimizer = torch.optim.AdamW(self.trained, lr=1e-4)
        noise = torch.Generator().manual_seed(0)
        self.images = torch.randn(1, 3, size, size, generator=noise)
        self.labels = torch.randint(CLASSES, (1, size // 4, size // 4), generator=noise)

    def take(self) -> None:
        """Take one training step."""
        maps = self.backbone(self.images)
        side = self.labels.shape[-2:]
        maps = [F.interpolate(one, side, mode="bilinear", align_corners=False) for one in maps]
        loss = F.cross_entropy(self.head(torch.cat(maps, dim=1)), self.labels)
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()


def peak_of(model: str, tuning: str, size: int, threads: int) -> float:
    """Return the peak of two steps in MiB, over what the process held before; for a new process."""
    torch.set_num_threads(threads)
    reset_peak_memory()
    before = peak_memory_mib()
    step = Step(model, tuning, size)
    step.take()
    step.take()
    return peak_memory_mib() - before


def measured(args: argparse.Namespace) -> dict[str, Any]:
    """Return the content of the JSON file."""
    stopwatch = start(args)
    found: dict[str, Any] = {}
    for model in args.models.split(","):
        names = [BASE, *args.tunings.split(",")]
        with multiprocessing.get_context("spawn").Pool(1, maxtasksperchild=1) as pool:
            peaks = [pool.apply(peak_of, (model, name, args.size, args.threads)) for name in names]
        steps = {name: Step(model, name, args.size) for name in names}
        times = turns(_timed(steps, stopwatch), args.repeats)
        found[model] = {
            name: {
                "seconds": times[name], "peak_mib": peak,
                "trained": sum(value.numel() for value in steps[name].trained),
            }
            for name, peak in zip(names, peaks, strict=True)
        }  # fmt: skip
    return {
        "kind": "foundation steps", "size": args.size, "threads": args.threads, "cpu": cpu(),
        "commit": git_commit(), "versions": versions(), "models": found,
    }  # fmt: skip


def _timed(
    steps: dict[str, Step], stopwatch: Callable[[Callable[[], object]], float]
) -> dict[str, Callable[[], float]]:
    return {name: functools.partial(stopwatch, step.take) for name, step in steps.items()}


def table(found: dict[str, Any]) -> str:
    """Return the Markdown table of a JSON file's content."""
    lines = [
        "| network | tuning | time over timm's | quartiles | peak MiB | trained |",
        "|---|---|---:|---:|---:|---:|",
    ]
    for model, rows in found["models"].items():
        for name, one in rows.items():
            times = ratio(one["seconds"], rows[BASE]["seconds"])
            count = f"{one['peak_mib']:.0f} | {one['trained']:,}"
            lines.append(f"| {model} | {name} | {times} | {count} |")
    return "\n".join(lines)


def main() -> None:
    """Measure, and print the table."""
    parser = options(__doc__.partition("\n")[0])
    parser.add_argument("--models", default=",".join(MODELS), help="names of timm")
    parser.add_argument("--tunings", default=",".join(TUNINGS))
    parser.add_argument("--size", type=int, default=512, help="side of the picture, in pixels")
    parser.add_argument("--json", type=Path, help="where to write what was measured")
    args = parser.parse_args()
    found = measured(args)
    if args.json:
        write_json(args.json, found)
    print(table(found))


if __name__ == "__main__":
    main()
