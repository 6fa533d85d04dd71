"""Scores after adaptation over seeds, by domain."""

from ibn_seg.analyses.adaptation.conditions import Condition
from ibn_seg.report.board import Board, Measurement
from ibn_seg.report.measured import AnalysisTable, tables_by_part

UNADAPTED = "as trained"


def adaptation_tables(board: Board) -> list[AnalysisTable]:
    """Return, per domain, the mIoU as trained and after each adaptation; percent.

    Columns are 'as trained' and 'METHOD, BATCH SIZE'.
    """
    return tables_by_part(board, "adaptation", "domains", _scores)


def _scores(run: Measurement, domain: str) -> dict[str, float | None]:
    values = {UNADAPTED: float(run.content["domains"][domain]["mIoU"])}
    for one in run.content["adapted"]:
        name = Condition(one["method"], one["batch_size"]).name
        values[name] = float(one["domains"][domain]["mIoU"])
    return values
