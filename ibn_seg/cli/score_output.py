"""Prints tables of scores on the terminal."""

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from ibn_seg.provenance import source_domains

if TYPE_CHECKING:
    from rich.table import Table


def print_domains(result: dict) -> None:
    """Print a result's scores per domain, rounded.

    In a distributed run only the first process prints.
    """
    if os.environ.get("RANK", "0") != "0":
        return
    from rich.console import Console

    console = Console(file=sys.stdout)
    if result["domains"]:
        console.print(_domain_table(result))
        for domain, scores in result["domains"].items():
            if scores["absent"]:
                classes = ", ".join(scores["absent"])
                console.print(f"{domain}: absent, not in the mean: {classes}", highlight=False)
    else:
        for key, value in result["metrics"].items():
            console.print(f"{key}: {value}", highlight=False)


def _domain_table(result: dict) -> "Table":
    from rich.table import Table

    table = Table(title=result["method"] or Path(result["name"]).name)
    table.add_column("domain")
    for name in ("mIoU", "mAcc", "aAcc", "images"):
        table.add_column(name, justify="right")
    for domain, scores in result["domains"].items():
        name = f"{domain} (source)" if domain in source_domains(result["source"]) else domain
        values = (f"{scores[key]:.2f}" for key in ("mIoU", "mAcc", "aAcc"))
        table.add_row(name, *values, str(scores["images"]))
    if result["targets_mIoU"] is not None and len(result["domains"]) > 2:
        table.add_row("mean of targets", f"{result['targets_mIoU']:.2f}", "", "", "")
    if result["gap"] is not None:
        table.caption = f"source minus targets: {result['gap']:.2f}"
    return table
