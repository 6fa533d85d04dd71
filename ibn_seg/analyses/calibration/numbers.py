"""Measures of trust over seeds, by domain."""

from ibn_seg.report.board import Board, Measurement
from ibn_seg.report.measured import AnalysisTable, tables_by_part

# The measures in tables, with their titles; all are shares of 1 but the NLL and the Brier score.
SHARES = {
    "error_rate": "error rate", "ece": "ECE", "auroc": "AUROC", "fpr95": "FPR@95",
    "aupr_success": "AUPR-Success", "aupr_error": "AUPR-Error", "aurc": "AURC",
}  # fmt: skip
OF_IMAGES = "ECE, mean of images"
# At temperatures fitted on the source, where there are some.
AT_TEMPERATURE, REMOVED = "ECE at temperature", "ECE removed by it"
SUMS = {"nll": "NLL", "brier": "Brier"}
HIGHER_IS_BETTER = ("AUROC", "AUPR-Success", "AUPR-Error", REMOVED)


def trust_tables(board: Board) -> list[AnalysisTable]:
    """Return, per domain, the measures of trust: percent; NLL in nats and Brier from 0 to 2."""
    return tables_by_part(board, "calibration", "trust", _values)


def _values(run: Measurement, domain: str) -> dict[str, float | None]:
    trust = run.content["trust"][domain]
    pooled = trust["pooled"]
    found = {title: _percent(pooled[name]) for name, title in SHARES.items()}
    found[OF_IMAGES] = _percent(trust["mean_of_images"]["ece"])
    if tempered := (run.content.get("tempered") or {}).get(domain):
        after = tempered["trust"] and tempered["trust"]["pooled"]["ece"]
        found[AT_TEMPERATURE] = _percent(after)
        found[REMOVED] = _percent(tempered["ece_removed"])
    return {**found, **{title: pooled[name] for name, title in SUMS.items()}}


def _percent(share: float | None) -> float | None:
    return None if share is None else 100 * float(share)
