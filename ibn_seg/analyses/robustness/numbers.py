"""Retention and the scores of corruption benchmarks over seeds."""

from collections.abc import Sequence

from ibn_seg.analyses.robustness.degradation import (
    corruption_degradation,
    performance,
    scores_of,
)
from ibn_seg.report.board import Board, Measurement
from ibn_seg.report.measured import (
    AnalysisTable,
    analysis_table,
    checked,
    part_of,
    runs_by_shape,
    tables_by_part,
)


def retention_tables(board: Board) -> list[AnalysisTable]:
    """Return, per domain, the retention of each corruption and severity, and the means; percent.

    Columns are 'mean', the corruptions, and 'CORRUPTION SEVERITY'.
    """
    return tables_by_part(board, "robustness", "retention", _retentions)


def performance_tables(board: Board, baseline: str | None) -> list[AnalysisTable]:
    """Return, per domain, clean mIoU, mPC, rPC, and mCD beside the baseline; percent.

    The baseline's mean over its seeds is the reference of mCD and relative mCD. Both are missing
    where it was not measured under the same conditions.
    """
    tables = []
    for shape, runs in runs_by_shape(board, "robustness").items():
        domains = dict.fromkeys(domain for run in runs for domain in part_of(run, "retention"))
        for domain in domains:
            having = [run for run in runs if domain in run.content["retention"]]
            references = [run for run in having if run.method == baseline]

            def read(run: Measurement, of: str, others: Sequence[Measurement] = references) -> dict:
                return _performance(run, of, others)

            values = {id(run): checked(run, read, domain) for run in having}
            tables.append(analysis_table("robustness", domain, shape, having, values))
    return tables


def _performance(
    run: Measurement, domain: str, references: Sequence[Measurement]
) -> dict[str, float | None]:
    """Return the scores of one result on a domain."""
    clean, scores = _scores(run, domain)
    found = performance(clean, scores)
    values = {name: found[name] for name in ("clean", "mPC", "rPC")}
    if not references or any(_conditions(one) != _conditions(run) for one in references):
        return values
    theirs, count = [_scores(one, domain) for one in references], len(references)
    mean = {
        name: [sum(one[1][name][at] for one in theirs) / count for at in range(len(scores[name]))]
        for name in scores
    }
    clean_mean = sum(one[0] for one in theirs) / count
    return {**values, **corruption_degradation(clean, scores, clean_mean, mean)}


def _conditions(run: Measurement) -> list[tuple[str, int]]:
    """Return the corruptions and severities of a result."""
    return [(one["corruption"], one["severity"]) for one in run.content["corrupted"]]


def _scores(run: Measurement, domain: str) -> tuple[float, dict[str, list[float]]]:
    """Return the clean mIoU and those by corruption."""
    clean = float(run.content["domains"][domain]["mIoU"])
    return clean, scores_of(run.content["corrupted"], domain)


def _retentions(run: Measurement, domain: str) -> dict[str, float | None]:
    means = run.content["retention"][domain]
    values = {"mean": means["mean"], **means["corruptions"]}
    for one in run.content["corrupted"]:
        values[f"{one['corruption']} {one['severity']}"] = one["retention"][domain]
    return {name: None if value is None else 100 * float(value) for name, value in values.items()}
