"""Checks result files once, and turns them into values that the report relies on."""

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ibn_seg.datasets.targets import check_source
from ibn_seg.errors import UserError
from ibn_seg.methods.all_methods import METHODS, is_test_time
from ibn_seg.provenance import source_domains

SCHEMA = 1
METHOD_ORDER = tuple(METHODS)
# Settings that results in one table share, with their usual values.
_SAME: Mapping[str, str | None] = {"backbone": None, "protocol": "native", "merge": "hard"}
# Keys that tasks copy from a config, and that a config may lack.
_FROM_EXPERIMENT = ("method", "source")


@dataclass(frozen=True)
class DomainScores:
    """Scores of one run on one domain; percent, unrounded.

    Args:
        miou: Mean intersection over union of the classes that are present.
        macc: Mean class accuracy.
        aacc: Pixel accuracy.
        iou: IoU of each class that is present.
        absent: Classes without a pixel in ground truth and prediction. No mean includes them.
        images: Number of images evaluated.
        unlabelled: Classes of `iou` that are predicted but not in the ground truth. Their IoU is 0.
    """

    miou: float
    macc: float
    aacc: float
    iou: Mapping[str, float]
    absent: tuple[str, ...]
    images: int
    unlabelled: tuple[str, ...] = ()

    @property
    def classes(self) -> frozenset[str]:
        """The classes that are scored."""
        return frozenset(self.iou) | frozenset(self.absent)

    @property
    def labelled(self) -> frozenset[str]:
        """The classes of the ground truth, regardless of predictions."""
        return frozenset(self.iou) - frozenset(self.unlabelled)


@dataclass(frozen=True)
class Curve:
    """Values over training iterations; NaN where a value was not finite."""

    iterations: tuple[int, ...]
    values: tuple[float, ...]


@dataclass(frozen=True)
class Run:
    """One network's result.

    Args:
        name: Name of the run.
        method: Row of the summary that includes the run.
        seed: Training seed.
        source: Training domain, or several joined by '+'. They need not be evaluated.
        domains: Scores by domain, the sources first.
        loss: Training loss; None for an evaluation only.
        validation: mIoU over iterations by domain, percent.
        record: The whole result, for provenance.
    """

    name: str
    method: str
    seed: int
    source: str
    domains: Mapping[str, DomainScores]
    loss: Curve | None = None
    validation: Mapping[str, Curve] = field(default_factory=dict)
    record: Mapping[str, Any] = field(default_factory=dict)

    @property
    def sees_target(self) -> bool:
        """Whether it adapts to images of the domain that it is evaluated on."""
        return sees_target(self.method, self.record)

    @property
    def sources(self) -> tuple[str, ...]:
        """The evaluated domains that are training domains."""
        trained_on = source_domains(self.source)
        return tuple(name for name in self.domains if name in trained_on)

    @property
    def targets(self) -> tuple[str, ...]:
        """The evaluated domains that are not training domains."""
        return tuple(name for name in self.domains if name not in self.sources)

    @property
    def compared(self) -> tuple[str, ...]:
        """The domains that rank methods: targets over the classes of the first target.

        Without a target, they are sources over the classes of the first source.
        """
        return self._over_classes_of_first(self.targets or self.sources)

    @property
    def targets_miou(self) -> float | None:
        """Unweighted mean mIoU over the targets, percent.

        None if there is no target, or if their classes differ.
        """
        one_list = self._over_classes_of_first(self.targets) == self.targets
        return self._mean(self.targets) if self.targets and one_list else None

    @property
    def gap(self) -> float | None:
        """Mean source mIoU minus `targets_miou`, points; None unless all domains were evaluated.

        If the sources are scored over other classes than the targets, it is the recorded gap. There
        the sources' labels were merged into the targets' classes (`MultiDomainIoU`).
        """
        if self.targets_miou is None or len(self.sources) < len(source_domains(self.source)):
            return None
        if self.one_list:
            return self._mean(self.sources) - self.targets_miou
        recorded = _number(self.record.get("gap"))
        return None if math.isnan(recorded) else recorded

    @property
    def one_list(self) -> bool:
        """Whether all domains are scored over the same classes."""
        return len({scores.classes for scores in self.domains.values()}) == 1

    @property
    def score(self) -> float:
        """The figure that ranks methods: the mean mIoU over `compared`, percent."""
        return self._mean(self.compared)

    def _over_classes_of_first(self, domains: Sequence[str]) -> tuple[str, ...]:
        """Return those of some domains that are scored over the classes of the first of them."""
        classes = [self.domains[name].classes for name in domains]
        return tuple(n for n, own in zip(domains, classes, strict=True) if own == classes[0])

    def _mean(self, domains: Sequence[str]) -> float:
        return statistics.fmean(self.domains[d].miou for d in domains)


def read_runs(results: Sequence[Mapping[str, Any]]) -> tuple[Run, ...]:
    """Check results and return runs ordered by method (BN, IBN-a, IBN-b, others) and seed.

    Args:
        results: Contents of result files (schema 1).

    Raises:
        UserError: A result lacks a key or holds a wrong value. Two results have the same method and
            seed. Or results differ in source, domains, evaluated images, protocol or backbone.
    """
    if not results:
        raise UserError("no results to report", "give at least one result file")
    runs = [_read_run(result, index) for index, result in enumerate(results)]
    first = runs[0]
    seen: dict[tuple[str, int], Run] = {}
    for run in runs:
        _check_same_evaluation(run, first)
        twin = seen.setdefault((run.method, run.seed), run)
        if twin is not run:
            raise UserError(
                f"result {run.name!r}: same method {run.method!r} and seed {run.seed} as result "
                f"{twin.name!r}",
                "leave one out",
            )
    methods = order_methods([run.method for run in runs])
    return tuple(sorted(runs, key=lambda run: (methods.index(run.method), run.seed)))


def sees_target(method: str, record: Mapping[str, Any]) -> bool:
    """Tell whether a network adapts to its target, by its result or by its method's name."""
    return record.get("sees_target") is True or is_test_time(method)


def order_methods(methods: Sequence[str]) -> tuple[str, ...]:
    """Return each method once: BN, IBN-a, IBN-b, then the others in the given order."""
    given = tuple(dict.fromkeys(methods))
    known = tuple(method for method in METHOD_ORDER if method in given)
    return known + tuple(method for method in given if method not in known)


def _read_run(result: Mapping[str, Any], index: int) -> Run:
    where = f"result {index + 1}"
    if not isinstance(result, Mapping):
        raise UserError(f"{where}: not a result", "give the content of a result.json")
    if isinstance(result.get("name"), str):
        where = f"result {result['name']!r}"
    if result.get("schema", SCHEMA) != SCHEMA:
        raise UserError(
            f"{where}: schema {result['schema']!r} cannot be read",
            f"allowed: {SCHEMA}; write the result again with this version of ibn_seg",
        )
    source = required(result, "source", str, where)
    domains = required(result, "domains", Mapping, where)
    if not domains:
        raise UserError(f"{where}: 'domains' is empty", "evaluate at least one domain")
    check_source(source, domains, f"'source' of {where}")
    ordered = sorted(domains, key=lambda domain: domain not in source_domains(source))
    loss, validation = read_curves(result.get("curves"), where)
    return Run(
        name=required(result, "name", str, where),
        method=required(result, "method", str, where),
        seed=required(result, "seed", int, where),
        source=source,
        domains={name: _read_domain(domains[name], f"{where}, {name}") for name in ordered},
        loss=loss,
        validation=validation,
        record=result,
    )


def _read_domain(scores: Any, where: str) -> DomainScores:
    if not isinstance(scores, Mapping):
        raise UserError(f"{where}: not a domain's scores", "give mIoU, mAcc, aAcc, IoU, absent")
    iou = required(scores, "IoU", Mapping, where)
    return DomainScores(
        miou=percent(scores, "mIoU", where),
        macc=percent(scores, "mAcc", where),
        aacc=percent(scores, "aAcc", where),
        iou={name: percent(iou, name, f"{where}, IoU") for name in iou},
        absent=tuple(required(scores, "absent", (list, tuple), where)),
        images=required(scores, "images", int, where),
        unlabelled=tuple(scores.get("unlabelled", ())),
    )


def read_curves(curves: Any, where: str) -> tuple[Curve | None, dict[str, Curve]]:
    """Return the training loss and, by domain, the validation mIoU of a result's 'curves'.

    Raises:
        UserError: The curves are incomplete or damaged.
    """
    if curves is None:
        return None, {}
    where = f"{where}, curves"
    iterations = required(curves, "iter", (list, tuple), where)
    losses = required(curves, "loss", (list, tuple), where)
    if len(iterations) != len(losses):
        raise UserError(
            f"{where}: {len(iterations)} values of 'iter' but {len(losses)} of 'loss'",
            "both need one value per logged iteration",
        )
    loss = Curve(tuple(iterations), tuple(_number(value) for value in losses))
    points: dict[str, list[tuple[int, float]]] = {}
    for entry in required(curves, "val", (list, tuple), where):
        at = required(entry, "iter", int, f"{where}, val")
        for key, value in entry.items():
            domain, slash, metric = key.rpartition("/")
            if slash and metric == "mIoU":
                points.setdefault(domain, []).append((at, _number(value)))
    validation = {
        domain: Curve(*zip(*sorted(values), strict=True)) for domain, values in points.items()
    }
    return (loss if iterations else None), validation


def _check_same_evaluation(run: Run, first: Run) -> None:
    """Raise if the numbers of two runs cannot stand in one table."""
    where = f"result {run.name!r}"
    fix = f"report runs of one experiment together (compared with result {first.name!r})"
    if run.source != first.source:
        raise UserError(f"{where}: source {run.source!r}, expected {first.source!r}", fix)
    if set(run.domains) != set(first.domains):
        given, expected = ", ".join(run.domains), ", ".join(first.domains)
        raise UserError(f"{where}: evaluated on {given}, expected {expected}", fix)
    for key, usual in _SAME.items():
        given, expected = (one.record.get(key) or usual for one in (run, first))
        if given != expected:
            raise UserError(f"{where}: {key} {given!r}, expected {expected!r}", fix)
    for name, scores in run.domains.items():
        expected = first.domains[name]
        if scores.images != expected.images:
            raise UserError(
                f"{where}: {scores.images} images of {name}, expected {expected.images}", fix
            )
        if scores.labelled != expected.labelled:
            raise UserError(f"{where}: other classes are in the labels of {name}", fix)


def required(mapping: Any, key: str, kind: type | tuple[type, ...], where: str) -> Any:
    """Return a value of a result file.

    Raises:
        UserError: The value is missing or has another type.
    """
    if not isinstance(mapping, Mapping) or key not in mapping:
        raise UserError(f"{where}: the key {key!r} is missing", "write the result again")
    value = mapping[key]
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        hint = "; set it in the config's 'experiment'" if key in _FROM_EXPERIMENT else ""
        raise UserError(f"{where}: {key!r} is {value!r}", f"expected {_kind_name(kind)}{hint}")
    return value


def _kind_name(kind: type | tuple[type, ...]) -> str:
    names = {str: "a text", int: "a whole number", Mapping: "a mapping", list: "a list"}
    return names[kind[0] if isinstance(kind, tuple) else kind]


def percent(mapping: Any, key: str, where: str) -> float:
    """Return a value of a result file that is percent.

    Raises:
        UserError: The value is missing, or not from 0 to 100.
    """
    value = _number(required(mapping, key, object, where))
    if not 0 <= value <= 100:
        raise UserError(f"{where}: {key!r} is {mapping[key]!r}", "expected percent, 0 to 100")
    return value


def _number(value: Any) -> float:
    """Return a finite number as float, else NaN; null stands for a diverged loss."""
    finite = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    return float(value) if finite else math.nan
