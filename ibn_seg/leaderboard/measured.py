"""Divergence, robustness and transfer as numbers over seeds; unrounded."""

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from ibn_seg.analyses.transfer.drawing import STARTS
from ibn_seg.errors import UserError
from ibn_seg.leaderboard.read import Analysis, Board, Network
from ibn_seg.provenance import source_domains
from ibn_seg.report.runs import order_methods
from ibn_seg.statistics import PairedDifference, SeedSummary, paired_difference, summarise

# How columns of a divergence's medians end.
MEDIAN = " median"


@dataclass(frozen=True, eq=False)
class Measured:
    """One method's values in an analysis.

    Args:
        method: Its name.
        values: What was measured over seeds, by column; None where it has no value.
        runs: The results behind them, by seed.
    """

    method: str
    values: dict[str, SeedSummary | None]
    runs: tuple[Analysis, ...]


@dataclass(frozen=True, eq=False)
class AnalysisTable:
    """Methods x columns of one analysis, for one backbone, segmentor and source.

    Args:
        task: 'divergence' or 'robustness'.
        of: The pair of sides, or the domain.
        shape: Backbone, segmentor and source.
        columns: Groups of layers; or pairs of corruption and severity.
        rows: The methods.
        few_images: Whether a side had fewer pictures than the command asks for by default.
    """

    task: str
    of: str
    shape: tuple[str, str, str]
    columns: tuple[str, ...]
    rows: tuple[Measured, ...]
    few_images: bool = False


@dataclass(frozen=True, eq=False)
class TransferRow:
    """One method and start over the shares of a training set.

    Args:
        method: Its name.
        start: 'source' or 'scratch'.
        scores: mIoU on the domain trained on, over seeds, by share; percent.
        networks: The networks by share.
        to_scratch: 'source' minus 'scratch' by share, for the start 'source'.
        to_baseline: Method minus baseline of the same start by share.
    """

    method: str
    start: str
    scores: dict[float, SeedSummary]
    networks: dict[float, tuple[Network, ...]]
    to_scratch: dict[float, PairedDifference] = field(default_factory=dict)
    to_baseline: dict[float, PairedDifference] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class TransferTable:
    """Fine-tuning on shares of a domain, for one backbone and segmentor."""

    domain: str
    backbone: str
    segmentor: str
    shares: tuple[float, ...]
    rows: tuple[TransferRow, ...]


def divergence_tables(board: Board) -> list[AnalysisTable]:
    """Return, per pair of sides, the divergence of each group of layers: mean over its layers.

    A group is what stands before the point in a layer's name: 'stem', 'layer1' ... Its column of
    that name has the mean over the channels; those that end in `MEDIAN` have their median instead.
    """
    tables = []
    for shape, runs in _by_shape(board, "divergence").items():
        pairs = dict.fromkeys(pair for run in runs for pair in _part(run, "pairs"))
        for pair in pairs:
            having = [run for run in runs if pair in run.content["pairs"]]
            values = {id(run): _checked(run, _groups, pair) for run in having}
            few = any(run.content["pairs"][pair].get("few_images") for run in having)
            tables.append(_table("divergence", pair, shape, having, values, few))
    return tables


def retention_tables(board: Board) -> list[AnalysisTable]:
    """Return, per domain, the retention of each corruption and severity, and the means; percent.

    Columns are 'mean', the corruptions, and 'CORRUPTION SEVERITY'.
    """
    tables = []
    for shape, runs in _by_shape(board, "robustness").items():
        domains = dict.fromkeys(domain for run in runs for domain in _part(run, "retention"))
        for domain in domains:
            having = [run for run in runs if domain in run.content["retention"]]
            values = {id(run): _checked(run, _retentions, domain) for run in having}
            tables.append(_table("robustness", domain, shape, having, values))
    return tables


def transfer_tables(board: Board, baseline: str | None) -> list[TransferTable]:
    """Return fine-tuning and training from scratch by share, with their differences."""
    groups: dict[tuple, list[Network]] = {}
    for one in board.networks:
        if one.start is not None:
            groups.setdefault((one.source, one.backbone, one.segmentor), []).append(one)
    return [_transfer(*key, networks, baseline) for key, networks in groups.items()]


def _by_shape(board: Board, task: str) -> dict[tuple[str, str, str], list[Analysis]]:
    found: dict[tuple[str, str, str], list[Analysis]] = {}
    for run in board.analyses:
        if run.task == task:
            found.setdefault((run.backbone, run.segmentor, run.source), []).append(run)
    return found


def _part(run: Analysis, key: str) -> Mapping:
    """Return a mapping of a result.

    Raises:
        UserError: It is missing.
    """
    part = run.content.get(key)
    if not isinstance(part, Mapping):
        raise UserError(f"{run.result}: has no {key!r}", f"run `ibn-seg {run.task}` again")
    return part


def _checked(
    run: Analysis, read: Callable[[Analysis, str], dict[str, float | None]], of: str
) -> dict[str, float | None]:
    """Return the values of a result; whatever is amiss with it is one `UserError`."""
    try:
        return read(run, of)
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        raise UserError(
            f"{run.result}: {of!r} is damaged ({error!r})", f"run `ibn-seg {run.task}` again"
        ) from error


def _groups(run: Analysis, pair: str) -> dict[str, float]:
    groups: dict[str, list[float]] = {}
    layers = run.content["pairs"][pair]["layers"]
    for key, ending in (("divergence", ""), ("median", MEDIAN)):
        for layer in layers:
            name = layer["layer"].partition(".")[0] + ending
            groups.setdefault(name, []).append(float(layer[key]))
    return {name: statistics.fmean(values) for name, values in groups.items()}


def _retentions(run: Analysis, domain: str) -> dict[str, float | None]:
    means = run.content["retention"][domain]
    values = {"mean": means["mean"], **means["corruptions"]}
    for one in run.content["corrupted"]:
        values[f"{one['corruption']} {one['severity']}"] = one["retention"][domain]
    return {name: None if value is None else 100 * float(value) for name, value in values.items()}


def _table(
    task: str,
    of: str,
    shape: tuple[str, str, str],
    runs: Sequence[Analysis],
    values: Mapping[int, Mapping[str, float | None]],
    few: bool = False,
) -> AnalysisTable:
    columns = tuple(dict.fromkeys(name for run in runs for name in values[id(run)]))
    rows = []
    for method in order_methods([run.method for run in runs]):
        mine = tuple(sorted((r for r in runs if r.method == method), key=lambda run: run.seed))
        found = {name: [values[id(run)].get(name) for run in mine] for name in columns}
        summaries = {n: None if None in some else summarise(some) for n, some in found.items()}
        rows.append(Measured(method, summaries, mine))
    return AnalysisTable(task, of, shape, columns, tuple(rows), few)


def _transfer(
    source: str,
    backbone: str,
    segmentor: str,
    networks: Sequence[Network],
    baseline: str | None,
) -> TransferTable:
    domains = [name for name in source_domains(source) if name in networks[0].scores]
    if not domains:
        raise UserError(
            f"{networks[0].result}: trained on {source!r}, which was not evaluated",
            "transfer is compared on the domain trained on",
        )
    cells: dict[tuple[str, str], dict[float, tuple[Network, ...]]] = {}
    shares = sorted({_share(one) for one in networks})
    for method in order_methods([one.method for one in networks]):
        for start in STARTS:
            mine = [one for one in networks if (one.method, one.start) == (method, start)]
            by_share = {s: tuple(one for one in mine if _share(one) == s) for s in shares}
            if mine:
                cells[method, start] = {s: some for s, some in by_share.items() if some}
    rows = []
    for (method, start), by_share in cells.items():
        row = TransferRow(
            method,
            start,
            {
                share: summarise(statistics.fmean(n.scores[d] for d in domains) for n in some)
                for share, some in by_share.items()
            },
            by_share,
        )
        if start == "source":
            row.to_scratch.update(_differences(by_share, cells.get((method, "scratch")), domains))
        if method != baseline:
            row.to_baseline.update(_differences(by_share, cells.get((baseline, start)), domains))
        rows.append(row)
    return TransferTable("+".join(domains), backbone, segmentor, tuple(shares), tuple(rows))


def _share(network: Network) -> float:
    """Return the share of the training set, percent; none given is all of it."""
    return 100.0 if network.share is None else float(network.share)


def _differences(
    mine: Mapping[float, Sequence[Network]],
    others: Mapping[float, Sequence[Network]] | None,
    domains: Sequence[str],
) -> dict[float, PairedDifference]:
    """Return the paired differences at the shares and seeds that both have."""
    found = {}
    for share, some in mine.items():
        left = {one.seed: one.stored for one in some}
        right = {one.seed: one.stored for one in (others or {}).get(share, ())}
        if set(left) & set(right):
            found[share] = paired_difference(left, right, domains)
    return found
