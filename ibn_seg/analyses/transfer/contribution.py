"""The contribution of transfer to a leaderboard."""

from collections.abc import Iterator, Sequence

from ibn_seg.analyses.transfer.drawing import TRANSFER_NOTE, transfer_chart
from ibn_seg.analyses.transfer.numbers import TransferRow, TransferTable, transfer_tables
from ibn_seg.report.board import Board
from ibn_seg.report.cell_text import EMPTY, difference_cell, rule_lines, score_cell
from ibn_seg.report.links import Links
from ibn_seg.report.measured import method_parts
from ibn_seg.report.number_record import Record, difference_record, over_seeds, role_of
from ibn_seg.report.scores import is_best
from ibn_seg.report.section import Chart, Contribution, Section, chart, legend
from ibn_seg.report.table import Table, slug
from ibn_seg.report.tables import Cell


def contribution(board: Board, baseline: str | None, links: Links) -> Contribution:
    """Return the section and the numbers of transfer; see `Contribution`."""
    found = transfer_tables(board, baseline)
    section = Section(
        "transfer",
        "Transfer",
        tuple(text for one in found for text in transfer_table_texts(board, one, baseline, links)),
        (TRANSFER_NOTE,),
        folded=True,
        legend=legend(board, (row.method for one in found for row in one.rows)),
        charts=tuple(transfer_charts(board, found)),
    )
    records = [record for one in found for record in transfer_records(board, one, baseline)]
    return Contribution(section, tuple(records))


def transfer_table_texts(
    board: Board, found: TransferTable, baseline: str | None, links: Links
) -> list[Table]:
    """Return mIoU and both kinds of paired differences, by share."""
    shares = [f"{share:g} %" for share in found.shares]
    rules = rule_lines(
        board, [[n.seed for n in some] for row in found.rows for some in row.networks.values()]
    )
    shape = f"{found.backbone}, {found.segmentor}"
    key = f"{slug(found.domain)}-{slug(shape)}"
    tables = [
        Table(
            f"transfer-{key}",
            f"mIoU (%) on {found.domain} by share of its training set ({shape})",
            ("Method", "Start", *shares),
            method_parts(found.rows, lambda row: _transfer_scores(row, found, links)),
            rules,
            names=2,
            short=f"mIoU (%) on {found.domain}",
            about=shape,
        )
    ]
    kinds = {
        "to_scratch": (
            "source", "Fine-tuned from the source minus trained from scratch, points",
        ),
        "to_baseline": ("baseline", f"Method minus {baseline} of the same start, points"),
    }  # fmt: skip
    for name, (kind, caption) in kinds.items():
        rows = [row for row in found.rows if getattr(row, name)]
        parts = method_parts(
            rows, lambda row, name=name: _transfer_differences(row, name, found, links)
        )
        if parts:
            tables.append(
                Table(
                    f"transfer-{kind}-{key}",
                    f"{caption}, on {found.domain} ({shape})",
                    ("Method", "Start", *shares),
                    parts,
                    rules,
                    names=2,
                    notes=("In brackets the 95 % interval, paired by seed.",),
                    short=f"{caption}, on {found.domain}",
                    about=shape,
                )
            )
    return tables


def transfer_charts(board: Board, tables: Sequence[TransferTable]) -> list[Chart]:
    """Return mIoU over the share, for each transfer."""
    charts = []
    for k, table in enumerate(tables):
        cells = [
            {
                "id": one.name, "method": one.method, "backbone": one.backbone, "seed": one.seed,
                "start": one.start, "share": share, "state": "done", "mIoU": one.scores,
            }
            for row in table.rows for share, some in row.networks.items() for one in some
        ]  # fmt: skip
        for at, domain in enumerate(table.domain.split("+")):
            title, shape = f"mIoU on {domain} by share", f"{table.backbone}, {table.segmentor}"
            label, methods = f"{title}: {shape}", board.every_method
            svg = transfer_chart(cells, domain, f"transfer{k}-{at}", label, methods=methods)
            charts.append(chart(title, svg, about=shape))
    return charts


def transfer_records(board: Board, found: TransferTable, baseline: str | None) -> Iterator[Record]:
    """Yield every number of the transfer to one domain."""
    for row in found.rows:
        facts = {
            "source": found.domain, "backbone": found.backbone, "segmentor": found.segmentor,
            "method": row.method, "role": role_of(row), "protocol": board.protocol,
            "selection": board.selection or "", "domain": found.domain,
        }  # fmt: skip
        for share, stat in row.scores.items():
            where = {"condition": f"{row.start} {share:g} %"}
            yield from over_seeds("transfer_miou", stat, row.networks[share], facts, **where)
            if share in row.to_scratch:
                yield difference_record(
                    "transfer_source_minus_scratch", row.to_scratch[share], facts, **where
                )
            if share in row.to_baseline:
                yield difference_record(
                    "transfer_minus_baseline", row.to_baseline[share], facts, **where,
                    baseline=baseline or "",
                )  # fmt: skip


def _transfer_scores(row: TransferRow, found: TransferTable, links: Links) -> tuple[Cell, ...]:
    cells = [Cell(row.method), Cell(row.start)]
    for share in found.shares:
        stat = row.scores.get(share)
        if stat is None:
            cells.append(EMPTY)
            continue
        others = [
            other.scores[share]
            for other in found.rows
            if share in other.scores and other.sees_target == row.sees_target
        ]
        cells.append(score_cell(stat, links, row.networks[share], is_best(stat, others)))
    return tuple(cells)


def _transfer_differences(
    row: TransferRow, name: str, found: TransferTable, links: Links
) -> tuple[Cell, ...]:
    differences = getattr(row, name)
    return (
        Cell(row.method),
        Cell(row.start),
        *(
            difference_cell(differences[share], links, row.networks[share])
            if share in differences
            else EMPTY
            for share in found.shares
        ),
    )
