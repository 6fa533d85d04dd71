"""The tables of the analyses, of published figures and of what is not finished."""

from collections.abc import Mapping, Sequence
from typing import Any

from ibn_seg.leaderboard.links import Links
from ibn_seg.leaderboard.measured import (
    MEDIAN,
    AnalysisTable,
    Measured,
    TransferRow,
    TransferTable,
)
from ibn_seg.leaderboard.read import Board
from ibn_seg.leaderboard.score_tables import Part, Table, slug
from ibn_seg.leaderboard.text import (
    EMPTY,
    difference_cell,
    rule_lines,
    score_cell,
    significant,
)
from ibn_seg.report.published_figures import PublishedRow
from ibn_seg.report.scores import is_best
from ibn_seg.report.tables import Cell, number

_PAIRS = {
    "appearance": "the same scenes in two styles",
    "content": "one style, fewer against more buildings",
    "null": "random halves of one domain",
    "domains": "two domains",
}


def divergence_table(board: Board, found: AnalysisTable, links: Links) -> Table:
    """Return methods x groups of layers of one pair of sides."""
    kind = found.of.partition(":")[0]
    meaning = f": {_PAIRS[kind]}" if kind in _PAIRS else ""
    groups = [name for name in found.columns if not name.endswith(MEDIAN)]
    parts = tuple(
        Part(title, tuple(
            (Cell(row.method), *(_divergence(row, name + ending, links) for name in groups))
            for row in found.rows
        ))
        for title, ending in (("mean over channels", ""), ("median over channels", MEDIAN))
    )  # fmt: skip
    notes = [
        "Mean over the layers of each group, from shallow to deep; not ranked. A few channels can"
        " outweigh the others in the mean over channels, not in the median."
    ]
    if found.few_images:
        notes.append("Fewer images than `ibn-seg divergence` asks for by default.")
    return Table(
        key=f"divergence-{slug(found.of)}-{slug(' '.join(found.shape))}",
        caption=f"Feature divergence, {found.of}{meaning} ({', '.join(found.shape)})",
        header=("Method", *groups),
        parts=parts,
        rules=rule_lines(board, [_seeds(row) for row in found.rows]),
        notes=tuple(notes),
    )


def retention_tables(board: Board, found: AnalysisTable, links: Links) -> list[Table]:
    """Return the means as methods x corruptions, and every severity as rows x methods."""
    means = [name for name in found.columns if not _severity(name)]
    graded = [name for name in found.columns if _severity(name)]
    rules = rule_lines(board, [_seeds(row) for row in found.rows])
    rows = tuple(
        (Cell(row.method), *(_retention(row, name, found, links) for name in means))
        for row in found.rows
    )
    details = tuple(
        (Cell(name), *(_retention(row, name, found, links) for row in found.rows))
        for name in graded
    )
    key = f"{slug(found.of)}-{slug(' '.join(found.shape))}"
    shape = f"on {found.of} ({', '.join(found.shape)})"
    header = tuple(name.replace("_", " ") for name in means)
    return [
        Table(
            f"robustness-{key}",
            f"Retention (%): corrupted mIoU over clean mIoU, {shape}, mean over severities",
            ("Method", *header),
            (Part(None, rows),),
            rules,
        ),
        Table(
            f"severities-{key}",
            f"Retention (%) by corruption and severity, {shape}",
            ("Corruption", *(row.method for row in found.rows)),
            (Part(None, details),),
            rules,
        ),
    ]


def transfer_table_texts(
    board: Board, found: TransferTable, baseline: str | None, links: Links
) -> list[Table]:
    """Return mIoU by share, and the two kinds of paired differences by share."""
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
            (Part(None, tuple(_transfer_scores(row, found, links) for row in found.rows)),),
            rules,
            names=2,
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
        body = tuple(_transfer_differences(row, name, found, links) for row in rows)
        if body:
            tables.append(
                Table(
                    f"transfer-{kind}-{key}",
                    f"{caption}, on {found.domain} ({shape})",
                    ("Method", "Start", *shares),
                    (Part(None, body),),
                    rules,
                    names=2,
                    notes=("In brackets the 95 % interval, paired by seed.",),
                )
            )
    return tables


def published_table(train_set: str, rows: Sequence[PublishedRow]) -> Table:
    """Return what papers report of one training set; never ranked."""
    tests = list(dict.fromkeys(name for row in rows for name in row.values))
    body = []
    for row in sorted(rows, key=lambda row: (row.backbone, row.year)):
        remarks = "; ".join(filter(None, ("" if row.verified else "not verified", row.note)))
        cells = [Cell(row.method), Cell(row.backbone), Cell(row.segmentor)]
        cells += [Cell(f"{row.paper} {row.year}", detail=remarks), Cell(row.source)]
        cells += [_published(row, name) for name in tests]
        body.append(tuple(cells))
    return Table(
        key=f"published-{slug(train_set)}",
        caption=f"Published mIoU (%), trained on {train_set}: not measured here, not ranked",
        header=("Method", "Backbone", "Segmentor", "Paper", "Read in", *tests),
        parts=(Part(None, tuple(body)),),
        rules=("Selection, protocol and seeds are the papers' own, and differ between them.",),
        names=5,
    )


def unfinished_table(board: Board) -> Table | None:
    """Return the cells that are not done; None if all are."""
    rows = tuple(
        (
            Cell(str(row.get("id"))),
            Cell(str(row.get("task", "train"))),
            Cell(_words(row)),
            Cell(str(row.get("seed"))),
            Cell(str(row["state"])),
            Cell(str(row.get("error", ""))),
        )
        for row in board.unfinished
    )
    if not rows:
        return None
    header = ("Cell", "Task", "Of", "Seed", "State", "Error")
    caption = "Cells that are not done, and so are missing above"
    return Table("unfinished", caption, header, (Part(None, rows),), names=6)


def _published(row: PublishedRow, test_set: str) -> Cell:
    value = row.values.get(test_set)
    if value is None:
        return EMPTY
    return Cell(f"{number(value)}{'' if row.verified else ' (not verified)'}", value=value)


def _words(row: Mapping[str, Any]) -> str:
    parts = [str(row.get(name)) for name in ("method", "backbone", "segmentor", "source")]
    if row.get("start"):
        parts.append(f"{row.get('share')} % from {row['start']}")
    return ", ".join(parts)


def _seeds(row: Measured) -> tuple[int, ...]:
    return tuple(run.seed for run in row.runs)


def _severity(column: str) -> bool:
    return column.rpartition(" ")[2].isdecimal()


def _divergence(row: Measured, column: str, links: Links) -> Cell:
    stat = row.values[column]
    if stat is None:
        return EMPTY
    where, title = links.of(row.runs)
    spread = "" if stat.sd is None else f" ± {significant(stat.sd)}"
    detail = "n = 1"
    if stat.n > 1:
        detail = f"{significant(stat.low)} to {significant(stat.high)}" if stat.few else ""
    return Cell(f"{significant(stat.mean)}{spread}", False, detail, stat.mean, where, title)


def _retention(row: Measured, column: str, found: AnalysisTable, links: Links) -> Cell:
    stat = row.values[column]
    others = [other.values[column] for other in found.rows if other.values[column] is not None]
    best = stat is not None and is_best(stat, others)
    return score_cell(stat, links, row.runs, best)


def _transfer_scores(row: TransferRow, found: TransferTable, links: Links) -> tuple[Cell, ...]:
    cells = [Cell(row.method), Cell(row.start)]
    for share in found.shares:
        stat = row.scores.get(share)
        if stat is None:
            cells.append(EMPTY)
            continue
        others = [other.scores[share] for other in found.rows if share in other.scores]
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
