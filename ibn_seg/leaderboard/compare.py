"""Computes the leaderboard: methods over seeds, differences to the baseline, gap closed.

Values stay unrounded here. A method is compared only with the baseline of the same backbone,
segmentor, pretraining and source, over common seeds.
"""

import itertools
import math
import statistics
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from ibn_seg.errors import UserError, unknown
from ibn_seg.leaderboard.class_views import about_classes, class_lists, over_classes
from ibn_seg.leaderboard.comparison import TARGETS, Comparison, Group, Row
from ibn_seg.provenance import source_domains
from ibn_seg.report.board import Board, Network
from ibn_seg.report.runs import order_methods
from ibn_seg.statistics import gap_closed, paired_difference, seeds_needed, summarise


@dataclass(frozen=True)
class _Rules:
    """The baseline method, and what intervals tell about."""

    baseline: str | None
    intervals: str


def check_baseline(board: Board, baseline: str | None, default: str) -> str | None:
    """Return the baseline method: what was asked for, the default, or the first one of a plan.

    None if nothing was asked for and no network has the others.

    Raises:
        UserError: There is no such method.
    """
    if baseline is None:
        planned = (head.get("baseline") for head in board.heads.values())
        return next((one for one in (default, *planned) if one in board.methods), None)
    if baseline not in board.methods:
        raise unknown("baseline", baseline, board.methods)
    return baseline


def compare(board: Board, baseline: str | None) -> list[Comparison]:
    """Return one comparison per source, in the order of the results.

    If the labels of its targets have different classes, there is one for each list of classes.

    A network of unknown source joins the first source that shares an evaluated domain with it. A
    source that only oracles use has no comparison of its own.

    Args:
        board: Everything that the leaderboard has read.
        baseline: The baseline method.
    """
    networks = [one for one in board.networks if one.start is None]
    by_source: dict[str, list[Network]] = {}
    for one in networks:
        if one.source is not None:
            by_source.setdefault(one.source, []).append(one)
    for one in networks:
        if one.source is None:
            _home(one, by_source).append(one)
    found = [
        one
        for source, members in by_source.items()
        if not _only_oracles(source, members, networks)
        for one in _comparisons(source, members, networks, _Rules(baseline, board.intervals))
    ]
    return [one for one in found if one.columns]


def _comparisons(
    source: str, members: Sequence[Network], networks: Sequence[Network], rules: _Rules
) -> list[Comparison]:
    """Return the comparisons of a source: one for each list of classes of its targets."""
    lists = class_lists(members)
    every = {one.stored.names(domain) for one in members for domain in one.scores}
    found = []
    for names in lists:
        views = {id(one): over_classes(one, names) for one in networks}
        here = [view for one in members if (view := views[id(one)])]
        one = _comparison(source, here, list(filter(None, views.values())), rules)
        if len(every) > 1:
            one = replace(one, over=about_classes(names, one.targets))
        found.append(one)
    return found


def _home(network: Network, by_source: dict[str, list[Network]]) -> list[Network]:
    """Return the networks that a network of unknown source joins."""
    for members in by_source.values():
        if any(set(network.scores) & set(one.scores) for one in members):
            return members
    return by_source.setdefault("", [])


def _only_oracles(source: str, members: Sequence[Network], networks: Sequence[Network]) -> bool:
    """Tell whether a source's networks serve only as an upper bound for others.

    That is so if they have one method, and other sources have more methods and are evaluated on
    this domain.
    """
    others = [one for one in networks if one.source not in (source, None)]
    evaluated = {domain for one in others for domain in one.scores}
    methods = {one.method for one in members}
    return source in evaluated and len(methods) == 1 and methods < {one.method for one in others}


def _comparison(
    source: str, members: Sequence[Network], networks: Sequence[Network], rules: _Rules
) -> Comparison:
    domains = tuple(dict.fromkeys(domain for one in members for domain in one.scores))
    sources = tuple(domain for domain in source_domains(source) if domain in domains)
    targets = tuple(domain for domain in domains if domain not in source_domains(source))
    starts = list(dict.fromkeys(one.pretraining for one in members))
    # Groups of one pretraining stand together.
    shapes = sorted(dict.fromkeys(map(_shape, members)), key=lambda shape: starts.index(shape[2]))
    groups = []
    for shape in shapes:
        alike = [one for one in networks if _shape(one) == shape]
        here = [one for one in members if one in alike]
        rivals = _groups(here, _oracles(alike, targets), targets, rules)
        groups += [replace(group, apart=len(starts) > 1) for group in rivals]
    known = {row.method for group in groups for row in group.ranked}
    baseline = rules.baseline if rules.baseline in known else None
    return Comparison(source, sources, targets, tuple(groups), baseline, intervals=rules.intervals)


def _shape(network: Network) -> tuple[str, str, str]:
    """Return what the methods of a group have in common."""
    return network.backbone, network.segmentor, network.pretraining


def _groups(
    here: Sequence[Network],
    oracles: dict[str, list[Network]],
    targets: Sequence[str],
    rules: _Rules,
) -> Iterator[Group]:
    """Yield the methods that see no target, with the oracles; then those that do."""
    base = _by_seed(one for one in here if one.method == rules.baseline)
    for sees_target in (False, True):
        some = [one for one in here if one.sees_target == sees_target]
        shown = {} if sees_target else oracles
        if some or shown:
            rows = _rows(some, base, oracles, targets, rules)
            rows += tuple(_oracle_rows(shown, targets, rules))
            yield Group(*_shape(here[0]), rows, sees_target)


def _oracles(alike: Sequence[Network], targets: Sequence[str]) -> dict[str, list[Network]]:
    """Return the networks trained on a target itself, by target."""
    found = {target: [one for one in alike if one.source == target] for target in targets}
    return {target: networks for target, networks in found.items() if networks}


def _rows(
    here: Sequence[Network],
    base: tuple[Network, ...],
    oracles: dict[str, list[Network]],
    targets: Sequence[str],
    rules: _Rules,
) -> tuple[Row, ...]:
    """Return one row per method, compared with the networks of the baseline."""
    by_method = {
        method: _by_seed(one for one in here if one.method == method)
        for method in order_methods([one.method for one in here])
    }
    rows = [_row(method, some, targets, base, rules) for method, some in by_method.items()]
    best = {
        target: _by_seed(one for one in some if one.method == rules.baseline)
        for target, some in oracles.items()
    }
    for row in rows:
        for target, oracle in best.items():
            if base and oracle and row.method != rules.baseline and target in row.scores:
                three = map(_runs, (row.networks, base, oracle))
                row.gaps[target] = gap_closed(*three, target, over=rules.intervals)
    return tuple(rows)


def _oracle_rows(
    oracles: dict[str, list[Network]], targets: Sequence[str], rules: _Rules
) -> Iterator[Row]:
    for target, some in oracles.items():
        for method in order_methods([one.method for one in some]):
            mine = _by_seed(one for one in some if one.method == method)
            yield _row(method, mine, targets, (), rules, oracle_of=target)


def _row(
    method: str,
    networks: tuple[Network, ...],
    targets: Sequence[str],
    base: tuple[Network, ...],
    rules: _Rules,
    oracle_of: str | None = None,
) -> Row:
    columns = _columns(networks, targets)
    if oracle_of is not None:
        # It has seen one of the targets, so their mean does not measure generalisation.
        columns.pop(TARGETS, None)
    peeks = {
        column: [best_ever(one, domains) for one in networks]
        for column, domains in columns.items()
        if column in {*targets, TARGETS} and oracle_of is None
    }
    row = Row(
        method,
        networks,
        {
            column: summarise(_value(one.scores, domains) for one in networks)
            for column, domains in columns.items()
        },
        {column: summarise(best) for column, best in peeks.items() if None not in best},
        oracle_of=oracle_of,
    )
    if not base or method == base[0].method:
        return row
    common = {one.seed for one in networks} & {one.seed for one in base}
    for column, domains in _columns((*networks, *base), targets).items():
        if common:
            found = paired_difference(_runs(networks), _runs(base), domains, over=rules.intervals)
            row.differences[column] = found
            row.needed[column] = seeds_needed(found.per_seed.mean, found.per_seed.sd)
    return row


def best_ever(network: Network, domains: Sequence[str]) -> float | None:
    """Return the highest mean mIoU on domains over all validations; None without validations."""
    if not all(domain in network.validation for domain in domains):
        return None
    curves = [network.validation[domain] for domain in domains]
    by_iteration = [dict(zip(c.iterations, c.values, strict=True)) for c in curves]
    common = set.intersection(*map(set, by_iteration))
    means = (statistics.fmean(values[at] for values in by_iteration) for at in common)
    return max((mean for mean in means if not math.isnan(mean)), default=None)


def _columns(networks: Sequence[Network], targets: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Return the columns that all networks have, each with the domains that it averages."""
    first, *others = (one.scores for one in networks)
    shared = [name for name in first if all(name in scores for scores in others)]
    columns = {name: (name,) for name in shared}
    if len(targets) > 1 and all(target in shared for target in targets):
        columns[TARGETS] = tuple(targets)
    return columns


def _runs(networks: Iterable[Network]) -> dict[int, object]:
    return {one.seed: one.stored for one in networks}


def _value(scores: dict[str, float], domains: Sequence[str]) -> float:
    return statistics.fmean(scores[domain] for domain in domains)


def _by_seed(networks: Iterable[Network]) -> tuple[Network, ...]:
    """Return networks of one method by seed.

    Raises:
        UserError: Two networks have the same seed, for example one of known and one of unknown
            source.
    """
    found = sorted(networks, key=lambda one: one.seed)
    for one, other in itertools.pairwise(found):
        if one.seed == other.seed:
            raise UserError(
                f"{one.result} and {other.result} are both of {one.method!r} with seed {one.seed}",
                "give one evaluation another --method",
            )
    return tuple(found)
