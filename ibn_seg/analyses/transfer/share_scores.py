"""Computes the scores of a transfer by share and start, and source minus scratch."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ibn_seg.analyses.transfer.share_config import STARTS
from ibn_seg.evaluation.stored import StoredConfusions, confusions_of
from ibn_seg.provenance import source_domains
from ibn_seg.run.result_file import result_name
from ibn_seg.statistics import mean_score, paired_difference

if TYPE_CHECKING:
    from ibn_seg.statistics import Interval, SeedSummary


@dataclass(frozen=True)
class Run:
    """One training.

    Attributes:
        share: Percent of the training set.
        start: 'source' or 'scratch'.
        seed: Seed of the training and of the choice of images.
    """

    share: float
    start: str
    seed: int

    @property
    def name(self) -> str:
        """The name of its folder."""
        return f"share{self.share:g}_{self.start}_seed{self.seed}"


def summary(results: Mapping[Run, Mapping[str, Any]], folder: Path) -> dict[str, Any]:
    """Return the scores of a transfer for its result file.

    Args:
        results: The result of each training.
        folder: The folder of the trainings' folders.

    Returns:
        'runs' has a row for each training, with its score on every domain. 'scores' has mean and
        interval over seeds for each share and start. 'differences' has the paired difference of
        source and scratch for each share with both starts. The common entries of all trainings
        follow. Scores are in percent, differences in points, both by domain.

    Raises:
        UserError: The confusion matrices of a run are missing or damaged.
    """
    first = next(iter(results.values()))
    domains = list(first["domains"])
    trained = source_domains(first["source"])
    shares = sorted({run.share for run in results})
    scores, differences = [], []
    for share in shares:
        counted = {
            start: _counted(share, start, results, folder)
            for start in STARTS
            if any((run.share, run.start) == (share, start) for run in results)
        }
        scores += [
            {"share": share, "start": start, "domains": _means(runs, domains)}
            for start, runs in counted.items()
        ]
        if len(counted) == len(STARTS):
            differences.append({"share": share, "domains": _differences(counted, domains)})
    return {
        "method": first["method"],
        "backbone": first["backbone"],
        "source": first["source"],
        "targets": [domain for domain in domains if domain not in trained],
        "shares": shares,
        "starts": [start for start in STARTS if any(run.start == start for run in results)],
        "seeds": sorted({run.seed for run in results}),
        "wall_time_s": sum(result["wall_time_s"] for result in results.values()),
        "runs": [_row(run, result) for run, result in results.items()],
        "scores": scores,
        "differences": differences,
    }


def _row(run: Run, result: Mapping[str, Any]) -> dict[str, Any]:
    """Return one training's entry for the result file, with paths relative to that file."""
    return {
        **asdict(run),
        "method": result["method"],
        "backbone": result["backbone"],
        "source": result["source"],
        "state": "done",
        "iteration": result["iterations"],
        "training_set": result["training_set"],
        "mIoU": {domain: scores["mIoU"] for domain, scores in result["domains"].items()},
        "wall_time_s": result["wall_time_s"],
        "result": f"{run.name}/{result_name('train')}",
        "confusions": f"{run.name}/{result['confusions']}",
        "checkpoint": f"{run.name}/{Path(result['checkpoint']).name}",
    }


def _counted(
    share: float, start: str, results: Mapping[Run, Mapping[str, Any]], folder: Path
) -> dict[int, StoredConfusions]:
    """Return the confusion counts of each seed, for a share and start."""
    return {
        run.seed: confusions_of(result, folder / run.name)
        for run, result in results.items()
        if (run.share, run.start) == (share, start)
    }


def _means(runs: Mapping[int, StoredConfusions], domains: Iterable[str]) -> dict[str, Any]:
    found = {domain: mean_score(runs, [domain]) for domain in domains}
    return {
        domain: {**_over_seeds(mean.per_seed, mean.seeds), "interval": _interval(mean.interval)}
        for domain, mean in found.items()
    }


def _differences(
    counted: Mapping[str, Mapping[int, StoredConfusions]], domains: Iterable[str]
) -> dict[str, Any]:
    """Return source minus scratch on each domain."""
    found = {
        domain: paired_difference(*(counted[start] for start in STARTS), [domain])
        for domain in domains
    }
    return {
        domain: {**_over_seeds(pair.per_seed, pair.seeds), "interval": _interval(pair.interval)}
        for domain, pair in found.items()
    }


def _over_seeds(values: "SeedSummary", seeds: Sequence[int]) -> dict[str, Any]:
    return {
        "mean": values.mean,
        "sd": values.sd,
        "low": values.low,
        "high": values.high,
        "few_seeds": values.few,
        "by_seed": dict(zip(map(str, seeds), values.values, strict=True)),
    }


def _interval(interval: "Interval") -> dict[str, Any]:
    return asdict(interval)
