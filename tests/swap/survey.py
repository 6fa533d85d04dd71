"""Swap the backbone of every config that the installed mmseg has, and run what comes out.

`python -m tests.swap.survey` prints one row for each kind of backbone, and every refusal, every
config that cannot be tested here and every failure by name; a failure makes the exit code 1.
"""

import argparse
import os
import sys
import tempfile
from collections import Counter
from collections.abc import Mapping
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path

STATUSES = ("built", "refused", "not testable here", "failed")
UNCHANGED = ("strides", "dilations", "depth", "out_indices")
# What takes the place of a network that is no ResNet.
OTHERS = {"HRNet": 50}


@dataclass(frozen=True)
class Outcome:
    """What became of one config: its name, the kind of its backbone, and how it went."""

    name: str
    kind: str
    status: str
    detail: str = ""


def candidates(nested: bool = False) -> dict[str, str]:
    """Return the configs of the installed mmseg with a residual backbone: path to its kind.

    Args:
        nested: Those whose backbone is inside another network instead.
    """
    import mmseg

    from ibn_seg.config import load_config
    from ibn_seg.swap.source import KINDS

    root = Path(mmseg.__file__).parent / ".mim" / "configs"
    found = {}
    for path in sorted(root.rglob("*.py")):
        if "_base_" in path.relative_to(root).parts:
            continue
        model = load_config(path, custom_imports=False).get("model") or {}
        backbone = model.get("backbone") or {}
        if nested:
            backbone = backbone.get("backbone_cfg") or {}
        if backbone.get("type") in KINDS:
            found[str(path)] = backbone.type
    return found


def survey(path: str, kind: str, variant: str) -> Outcome:
    """Swap one config's backbone for the IBN network of its depth, and run the model."""
    import torch

    from ibn_seg.config import load_config
    from ibn_seg.errors import EnvError, UserError
    from ibn_seg.swap.hosts import host_registry
    from ibn_seg.swap.swap_config import run_both, swap

    torch.set_num_threads(1)
    name = "/".join(Path(path).parts[-2:])
    old = load_config(path, custom_imports=False)._cfg_dict.to_dict()
    depth = OTHERS.get(kind) or backbone_of(old)["depth"]
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "new.py"
        try:
            result, _ = swap(path, f"resnet{depth}_ibn_{variant}", out, check=False)
        except EnvError as error:
            return Outcome(name, kind, "not testable here", str(error))
        except UserError as error:
            return Outcome(name, kind, "refused", str(error).removeprefix(f"{path}: "))
        new = load_config(out)._cfg_dict.to_dict()
    try:
        if kind.startswith("ResNet"):
            check_unchanged(backbone_of(old), result.source.defaults, backbone_of(new))
        with host_registry(new, name) as registry:
            check = run_both(old, new, registry)
    except (UserError, AssertionError) as error:
        return Outcome(name, kind, "failed", str(error))
    return Outcome(name, kind, check.status, check.detail)


def backbone_of(config: Mapping) -> Mapping:
    """Return the backbone of a config, the inner one where there are two."""
    backbone = config["model"]["backbone"]
    return backbone.get("backbone_cfg", backbone)


def check_unchanged(old: Mapping, defaults: Mapping, new: Mapping) -> None:
    """Raise AssertionError if strides, dilations, depth or out_indices are not as before."""
    for option in UNCHANGED:
        before = old.get(option, defaults.get(option))
        after = new.get(option, defaults.get(option))
        assert before == after, f"{option} was {before}, is {after}"


def report(outcomes: list[Outcome]) -> None:
    """Print counts for each kind, then the names that are not built."""
    counts = Counter((outcome.kind, outcome.status) for outcome in outcomes)
    kinds = sorted({outcome.kind for outcome in outcomes})
    print("| backbone | configs | " + " | ".join(STATUSES) + " |")
    print("| --- |" + " ---: |" * (len(STATUSES) + 1))
    for kind in kinds:
        row = [counts[kind, status] for status in STATUSES]
        print(f"| {kind} | {sum(row)} | " + " | ".join(map(str, row)) + " |")
    total = [sum(counts[kind, status] for kind in kinds) for status in STATUSES]
    print(f"| all | {len(outcomes)} | " + " | ".join(map(str, total)) + " |")
    for status in STATUSES[1:]:
        for outcome in outcomes:
            if outcome.status == status:
                print(f"{status}: {outcome.name}: {outcome.detail}")


def main() -> int:
    """Survey all configs, several at once."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--variant", choices=("a", "b"), default="a")
    parser.add_argument("--nested", action="store_true", help="backbones inside other networks")
    parser.add_argument("--only", default="", help="configs whose path contains this")
    parser.add_argument("--processes", type=int, default=os.cpu_count())
    options = parser.parse_args()
    configs = {p: kind for p, kind in candidates(options.nested).items() if options.only in p}
    outcomes = []
    with ProcessPoolExecutor(options.processes) as pool:
        jobs = [pool.submit(survey, path, kind, options.variant) for path, kind in configs.items()]
        for job in as_completed(jobs):
            outcomes.append(job.result())
            print(f"\r{len(outcomes)}/{len(jobs)}", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    report(sorted(outcomes, key=lambda outcome: outcome.name))
    return int(any(outcome.status == "failed" for outcome in outcomes))


if __name__ == "__main__":
    sys.exit(main())
