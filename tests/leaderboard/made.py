"""Folders of results as the commands write them, with real matrices of drawn pixel counts."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from ibn_seg.evaluation.confusion import scores
from ibn_seg.evaluation.stored import ImageConfusions, StoredConfusions, write_confusions
from tests.statistics.made import CLASSES, label_counts, predictions

DOMAINS = ("game", "dashcam", "night")
IMAGES = 12
# Share of right pixels by method on the source and on the targets.
SKILL = {"BN": (0.85, 0.45), "IBN-a": (0.85, 0.55), "IBN-b": (0.82, 0.65)}
COMMIT = "0123456789abcdef0123456789abcdef01234567"
VERSIONS = {"python": "3.12.4", "torch": "2.9.0"}


def matrices(skill: Mapping[str, float], seed: int, entropy: int = 0) -> StoredConfusions:
    """Return matrices by domain; labels depend on the domain alone, as in a real evaluation."""
    domains = {}
    for at, (name, level) in enumerate(skill.items()):
        labels = label_counts(np.random.default_rng(sum(map(ord, name))), IMAGES)
        rng = np.random.default_rng([entropy, seed, at])
        counts = predictions(labels, min(0.95, level + rng.uniform(-0.05, 0.05)), rng)
        domains[name] = ImageConfusions(tuple(f"{name}/{k}.png" for k in range(IMAGES)), counts)
    return StoredConfusions(CLASSES, domains)


def scored(stored: StoredConfusions) -> dict[str, dict]:
    """Return the scores of each domain, as results hold them."""
    found = {}
    for name, part in stored.domains.items():
        score = scores(part.scored_counts.sum(axis=0), stored.names(name), len(part.images))
        found[name] = {**score.to_dict(), "confusion": part.counts.sum(axis=0).tolist()}
    return found


class Folder:
    """A results folder that grows by cells."""

    def __init__(self, path: Path, **head: object) -> None:
        self.path, self.rows = path, []
        self.head = {
            "schema": 1, "name": "made", "plan": "plan.yaml", "plan_text": "name: made\n",
            "protocol": "native", "selection": "last", "threads": 1, "processes": 1,
            "versions": VERSIONS, "git_commit": COMMIT, "date": "2026-01-02T03:04:05Z", **head,
        }  # fmt: skip

    def train(
        self,
        method: str,
        seed: int,
        skill: Mapping[str, float],
        *,
        backbone: str = "ResNet-18",
        segmentor: str = "FCN",
        source: str = "game",
        entropy: int = 0,
        stored: StoredConfusions | None = None,
        record: Mapping[str, object] | None = None,
        **row: object,
    ) -> dict:
        """Add a finished training.

        `stored` are its matrices, else some are drawn. `record` joins the result file.
        """
        stored = stored or matrices(skill, seed, entropy)
        cell = f"c{len(self.rows):03d}"
        folder = self.path / "cells" / cell
        write_confusions(folder / "confusions.npz", stored)
        domains = scored(stored)
        peak = {
            f"{name}/mIoU": one["mIoU"] + 2 + at for at, (name, one) in enumerate(domains.items())
        }
        last = {f"{name}/mIoU": one["mIoU"] for name, one in domains.items()}
        self._write(folder / "result.json", {
            "schema": 1, "kind": "train", "name": cell, "method": method, "backbone": backbone,
            "source": source, "seed": seed, "iterations": 600, "domains": domains,
            "confusions": "confusions.npz", "wall_time_s": 60.0, "git_commit": COMMIT,
            "versions": VERSIONS, "cpu": "Processor 1 (AVX2)",
            "curves": {"iter": [600], "loss": [1.0], "val": [{"iter": 300, **peak},
                                                              {"iter": 600, **last}]},
            **(record or {}),
        })  # fmt: skip
        return self._add({
            "id": cell, "task": "train", "method": method, "backbone": backbone,
            "segmentor": segmentor, "source": source, "seed": seed, "iterations": 600, "needs": [],
            "targets": [name for name in skill if name != source], "share": None, "start": None,
            "state": "done", "iteration": 600, "wall_time_s": 60.0,
            "mIoU": {name: one["mIoU"] for name, one in domains.items()},
            "result": f"cells/{cell}/result.json", "confusions": f"cells/{cell}/confusions.npz",
            "command": f"ibn-seg train configs/{cell}.py --work-dir cells/{cell}", **row,
        })  # fmt: skip

    def divergence(self, training: Mapping, values: Mapping[str, Mapping[str, float]]) -> dict:
        """Add a divergence: by pair, the value of each layer; the median is half of it."""
        pairs = {
            pair: {
                "kind": pair.partition(":")[0], "few_images": False,
                "layers": [
                    {"layer": name, "divergence": value, "median": value / 2}
                    for name, value in layers.items()
                ],
            }
            for pair, layers in values.items()
        }  # fmt: skip
        return self.analysis("divergence", training, {"pairs": pairs})

    def robustness(
        self, training: Mapping, domain: str, values: Mapping[tuple[str, int], float]
    ) -> dict:
        """Add a robustness: the retention of each corruption and severity, a share of 1."""
        names = list(dict.fromkeys(name for name, _ in values))
        means = {n: float(np.mean([v for (k, _), v in values.items() if k == n])) for n in names}
        clean = training["mIoU"][domain]
        corrupted = [
            {"corruption": name, "severity": severity, "retention": {domain: value},
             "domains": {domain: {"mIoU": clean * value}}}
            for (name, severity), value in values.items()
        ]  # fmt: skip
        graded = {
            "corruptions": names, "severities": sorted({severity for _, severity in values}),
            "domains": {domain: {"mIoU": clean, "images": IMAGES}}, "protocol": "native",
        }  # fmt: skip
        retention = {domain: {"mean": float(np.mean(list(means.values()))), "corruptions": means}}
        return self.analysis(
            "robustness", training, {**graded, "corrupted": corrupted, "retention": retention}
        )

    def analysis(self, task: str, training: Mapping, content: Mapping) -> dict:
        """Add the result of an analysis of a training."""
        cell = f"c{len(self.rows):03d}"
        path = self.path / "cells" / cell / f"{task}.json"
        self._write(path, {"schema": 1, "kind": task, "method": training["method"], **content})
        names = ("method", "backbone", "segmentor", "source", "seed", "targets")
        return self._add({
            "id": cell, "task": task, **{name: training[name] for name in names},
            "needs": [training["id"]], "state": "done", "result": f"cells/{cell}/{task}.json",
            "command": f"ibn-seg {task} configs/{cell}.py",
        })  # fmt: skip

    def unfinished(self, state: str, **row: object) -> dict:
        """Add a cell that is not done."""
        return self._add({
            "id": f"c{len(self.rows):03d}", "task": "train", "method": "IBN-a",
            "backbone": "ResNet-18", "segmentor": "FCN", "source": "game", "seed": 9,
            "targets": ["dashcam"], "state": state, **row,
        })  # fmt: skip

    def write(self) -> Path:
        """Write the index and return the folder."""
        self._write(self.path / "benchmark.json", {**self.head, "cells": self.rows})
        return self.path

    def _add(self, row: dict) -> dict:
        self.rows.append(row)
        return row

    @staticmethod
    def _write(path: Path, content: object) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(content))


def skill_of(method: str, domains: Sequence[str] = DOMAINS) -> dict[str, float]:
    """Return a method's skill by domain, the source first."""
    source, target = SKILL[method]
    return {name: source if name == "game" else target for name in domains}


def whole(path: Path, seeds: Sequence[int] = (0, 1, 2)) -> Folder:
    """Return a benchmark with all that a leaderboard shows; not yet written."""
    folder = Folder(path)
    for seed in seeds:
        for entropy, method in enumerate(SKILL):
            done = folder.train(method, seed, skill_of(method), entropy=entropy)
            shift = 2.0 if method == "BN" else 1.0
            folder.divergence(done, {
                "appearance:scenes/source,scenes/target":
                    {"stem": shift, "layer1.0": shift / 2, "layer1.1": shift / 4 + seed / 100},
                "null:scenes/source": {"stem": 0.01, "layer1.0": 0.002, "layer1.1": 0.004},
            })  # fmt: skip
            folder.robustness(done, "game", {
                (name, severity): 1 - 0.1 * severity * (2 - entropy / 2) / 2 - 0.01 * seed
                for name in ("haze", "r_offset") for severity in (1, 3, 5)
            })  # fmt: skip
        folder.train("BN", seed, dict.fromkeys(DOMAINS, 0.5) | {"dashcam": 0.9},
                     source="dashcam", entropy=7)  # fmt: skip
    for entropy, method in enumerate(SKILL):
        folder.train(method, 0, skill_of(method), backbone="ResNet-50", entropy=10 + entropy)
    for method in ("BN", "IBN-a"):
        for share, gain in ((10.0, 0.0), (100.0, 0.2)):
            for start in ("source", "scratch"):
                level = 0.55 + gain + 0.1 * (start == "source") + 0.05 * (method == "IBN-a")
                for seed in seeds:
                    folder.train(method, seed, {"dashcam": level}, source="dashcam", share=share,
                                 start=start, entropy=20 + int(share) + len(method))  # fmt: skip
    folder.unfinished("failed", error="RuntimeError: <loss> is NaN", failed="cells/x/failed.json")
    folder.unfinished("running")
    return folder


def evaluated(path: Path, method: str, seed: int = 0, **changes: object) -> Path:
    """Write what `ibn-seg evaluate` leaves of a network from elsewhere."""
    stored = matrices(skill_of("IBN-b"), seed, entropy=99)
    write_confusions(path / "test_confusions.npz", stored)
    content = {
        "schema": 1, "kind": "test", "name": path.name, "seed": seed, "method": method,
        "backbone": "ResNet-18", "source": "game", "protocol": "native",
        "command": f"ibn-seg evaluate --predictions {path.name}", "domains": scored(stored),
        "confusions": "test_confusions.npz", "git_commit": COMMIT, "versions": VERSIONS, **changes,
    }  # fmt: skip
    (path / "test.json").write_text(json.dumps(content))
    return path
