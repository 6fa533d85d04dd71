"""Makes the table of networks: pretraining, licence, tuning and how much was trained."""

from collections.abc import Iterable, Sequence

from ibn_seg.leaderboard.comparison import Comparison, Row
from ibn_seg.pretraining import NONE
from ibn_seg.report.board import UNKNOWN, Network
from ibn_seg.report.cell_text import EMPTY
from ibn_seg.report.table import Part, Table
from ibn_seg.report.tables import Cell

_MILLION = 1e6


def network_table(comparisons: Sequence[Comparison]) -> Table | None:
    """Return what each row's networks began from; None if all trained all weights from scratch."""
    groups = [group for found in comparisons for group in found.groups]
    rows_of: dict[tuple[str, str, str], dict[str, Row]] = {}
    for group in groups:
        key = (group.pretraining, group.backbone, group.segmentor)
        for row in group.ranked:
            rows_of.setdefault(key, {}).setdefault(row.method, row)
    shown = [row.networks[0] for rows in rows_of.values() for row in rows.values()]
    if not any(map(_tells, shown)):
        return None
    parts = tuple(
        Part(f"{backbone}, {segmentor}", tuple(_cells(one.networks[0]) for one in rows.values()))
        for (_, backbone, segmentor), rows in rows_of.items()
    )
    return Table(
        key="networks",
        caption="What the networks began from, and how much of them was trained",
        header=(
            "Method", "Pretraining", "Licence", "Tuning", "Trained, millions", "Weights, millions",
        ),
        parts=parts,
        rules=(
            "The licence is that of the weights as timm gives it. Rows of different pretraining "
            "are no ranking of methods.",
        ),
        names=4,
    )  # fmt: skip


def _tells(network: Network) -> bool:
    """Tell whether a network has more to say than that it was trained whole from scratch."""
    tuned = network.record.get("tuning") not in (None, "full")
    return tuned or network.pretraining not in (NONE, UNKNOWN)


def _cells(network: Network) -> tuple[Cell, ...]:
    record = network.record
    words = (network.method, network.pretraining, record.get("licence"), record.get("tuning"))
    counts = (record.get("trained_parameters"), record.get("parameters"))
    return (*_texts(words), *map(_millions, counts))


def _texts(words: Iterable[object]) -> Iterable[Cell]:
    return (Cell(str(word)) if word else EMPTY for word in words)


def _millions(count: object) -> Cell:
    if not isinstance(count, int):
        return EMPTY
    return Cell(f"{count / _MILLION:.2f}", value=count / _MILLION)
