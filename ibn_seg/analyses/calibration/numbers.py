"""Measures of trust over seeds, by domain."""

from ibn_seg.report.board import Board, Measurement
from ibn_seg.report.measured import AnalysisTable, analysis_table, checked, part_of, runs_by_shape

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
    tables = []
    for shape, runs in runs_by_shape(board, "calibration").items():
        domains = dict.fromkeys(domain for run in runs for domain in part_of(run, "trust"))
        for domain in domains:
            having = [run for run in runs if domain in run.content["trust"]]
            values = {id(run): checked(run, _values, domain) for run in having}
            tables.append(analysis_table("calibration", domain, shape, having, values))
    return tables


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
