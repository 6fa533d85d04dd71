"""Scores at other input scales over seeds, by measure and domain."""

from collections.abc import Mapping
from typing import Any

from ibn_seg.report.board import Board, Measurement
from ibn_seg.report.measured import AnalysisTable, analysis_table, checked, runs_by_shape

MEASURES = ("mIoU", "ECE", "AUROC")
TIME = "time"
ENSEMBLE = "ensemble"


def scale_tables(board: Board) -> list[tuple[str, AnalysisTable]]:
    """Return, per measure and domain, networks x scales and their ensemble; percent.

    The last table of a shape has the network's time for one picture, in milliseconds.
    """
    tables = []
    for shape, runs in runs_by_shape(board, "scales").items():
        for domain in domains_of([run.content for run in runs]):
            for measure in MEASURES:
                values = {
                    id(run): checked(run, lambda one, of, m=measure: _values(one, of, m), domain)
                    for run in runs
                }
                table = analysis_table("scales", domain, shape, runs, values)
                tables.append((measure, table))
        times = {id(run): checked(run, _times, "scales") for run in runs}
        tables.append((TIME, analysis_table("scales", "one picture", shape, runs, times)))
    return tables


def domains_of(contents: list[Mapping[str, Any]]) -> list[str]:
    """Return the domains that some contents of `scales.json` measured."""
    found = (name for one in contents for scale in one.get("scales") or ()
             for name in scale["domains"])  # fmt: skip
    return list(dict.fromkeys(found))


def _times(run: Measurement, of: str) -> dict[str, float | None]:
    return {one["name"]: float(one["milliseconds"]) for one in run.content[of]}


def _values(run: Measurement, domain: str, measure: str) -> dict[str, float | None]:
    return {
        one["name"]: one["domains"][domain][measure]
        for one in run.content["scales"]
        if domain in one["domains"]
    }
