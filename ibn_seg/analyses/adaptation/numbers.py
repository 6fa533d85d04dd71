"""Scores after adaptation over seeds, by domain."""

from ibn_seg.analyses.adaptation.conditions import Condition
from ibn_seg.report.board import Board, Measurement
from ibn_seg.report.measured import AnalysisTable, analysis_table, checked, part_of, runs_by_shape

UNADAPTED = "as trained"


def adaptation_tables(board: Board) -> list[AnalysisTable]:
    """Return, per domain, the mIoU as trained and after each adaptation; percent.

    Columns are 'as trained' and 'METHOD, BATCH SIZE'.
    """
    tables = []
    for shape, runs in runs_by_shape(board, "adaptation").items():
        domains = dict.fromkeys(domain for run in runs for domain in part_of(run, "domains"))
        for domain in domains:
            having = [run for run in runs if domain in run.content["domains"]]
            values = {id(run): checked(run, _scores, domain) for run in having}
            tables.append(analysis_table("adaptation", domain, shape, having, values))
    return tables


def _scores(run: Measurement, domain: str) -> dict[str, float | None]:
    values = {UNADAPTED: float(run.content["domains"][domain]["mIoU"])}
    for one in run.content["adapted"]:
        name = Condition(one["method"], one["batch_size"]).name
        values[name] = float(one["domains"][domain]["mIoU"])
    return values
