"""Computes fine-tuning and training from scratch over seeds, by share."""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from ibn_seg.analyses.transfer.drawing import STARTS
from ibn_seg.errors import UserError
from ibn_seg.provenance import source_domains
from ibn_seg.report.board import Board, Network
from ibn_seg.report.runs import order_methods
from ibn_seg.statistics import PairedDifference, SeedSummary, paired_difference, summarise


@dataclass(frozen=True, eq=False)
class TransferRow:
    """One method and start over the shares of a training set.

    Args:
        method: Its name.
        start: 'source' or 'scratch'.
        scores: mIoU on the training domain over seeds, by share; percent.
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


def transfer_tables(board: Board, baseline: str | None) -> list[TransferTable]:
    """Return fine-tuning and training from scratch by share, with their differences."""
    groups: dict[tuple, list[Network]] = {}
    for one in board.networks:
        if one.start is not None:
            groups.setdefault((one.source, one.backbone, one.segmentor), []).append(one)
    return [
        _transfer(*key, networks, baseline, board.intervals) for key, networks in groups.items()
    ]


def _transfer(
    source: str,
    backbone: str,
    segmentor: str,
    networks: Sequence[Network],
    baseline: str | None,
    over: str,
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
            row.to_scratch.update(
                _differences(by_share, cells.get((method, "scratch")), domains, over)
            )
        if method != baseline:
            row.to_baseline.update(
                _differences(by_share, cells.get((baseline, start)), domains, over)
            )
        rows.append(row)
    return TransferTable("+".join(domains), backbone, segmentor, tuple(shares), tuple(rows))


def _share(network: Network) -> float:
    """Return the share of the training set, percent; 100 if none is given."""
    return 100.0 if network.share is None else float(network.share)


def _differences(
    mine: Mapping[float, Sequence[Network]],
    others: Mapping[float, Sequence[Network]] | None,
    domains: Sequence[str],
    over: str,
) -> dict[float, PairedDifference]:
    """Return the paired differences at common shares and seeds."""
    found = {}
    for share, some in mine.items():
        left = {one.seed: one.stored for one in some}
        right = {one.seed: one.stored for one in (others or {}).get(share, ())}
        if set(left) & set(right):
            found[share] = paired_difference(left, right, domains, over=over)
    return found
