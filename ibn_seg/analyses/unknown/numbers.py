"""Measures of unknown things over seeds, by data set."""

from ibn_seg.report.board import Board, Measurement
from ibn_seg.report.measured import AnalysisTable, tables_by_part

# The measures with their titles; all are shares of 1.
MEASURES = {"unknown_auroc": "AUROC", "unknown_auprc": "AUPRC", "unknown_fpr95": "FPR@95"}
SHARE = "share of pixels"
HIGHER_IS_BETTER = ("AUROC", "AUPRC")


def unknown_tables(board: Board) -> list[AnalysisTable]:
    """Return, per data set, the measures of networks and the share of unknown pixels; percent."""
    return tables_by_part(board, "unknown", "unknown_things", _values)


def _values(run: Measurement, name: str) -> dict[str, float | None]:
    found = run.content["unknown_things"][name]
    shares = {title: found["pooled"][measure] for measure, title in MEASURES.items()}
    shares[SHARE] = found["unknown_share"]
    return {title: None if one is None else 100 * float(one) for title, one in shares.items()}
