"""Retention over seeds, by corruption and severity."""

from ibn_seg.report.board import Board, Measurement
from ibn_seg.report.measured import (
    AnalysisTable,
    analysis_table,
    checked,
    part_of,
    runs_by_shape,
)


def retention_tables(board: Board) -> list[AnalysisTable]:
    """Return, per domain, the retention of each corruption and severity, and the means; percent.

    Columns are 'mean', the corruptions, and 'CORRUPTION SEVERITY'.
    """
    tables = []
    for shape, runs in runs_by_shape(board, "robustness").items():
        domains = dict.fromkeys(domain for run in runs for domain in part_of(run, "retention"))
        for domain in domains:
            having = [run for run in runs if domain in run.content["retention"]]
            values = {id(run): checked(run, _retentions, domain) for run in having}
            tables.append(analysis_table("robustness", domain, shape, having, values))
    return tables


def _retentions(run: Measurement, domain: str) -> dict[str, float | None]:
    means = run.content["retention"][domain]
    values = {"mean": means["mean"], **means["corruptions"]}
    for one in run.content["corrupted"]:
        values[f"{one['corruption']} {one['severity']}"] = one["retention"][domain]
    return {name: None if value is None else 100 * float(value) for name, value in values.items()}
