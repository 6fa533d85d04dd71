"""Prints tables of scores on the terminal."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ibn_seg.analyses.calibration.printing import print_trust
from ibn_seg.provenance import source_domains

if TYPE_CHECKING:
    from rich.table import Table


def print_domains(result: dict) -> None:
    """Print a result's scores per domain, rounded.

    In a distributed run only the first process prints.
    """
    if os.environ.get("RANK", "0") != "0":
        return
    from ibn_seg.terminal import plain_console

    console = plain_console()
    if result["domains"]:
        console.print(_domain_table(result))
        for domain, scores in result["domains"].items():
            if scores["absent"]:
                classes = ", ".join(scores["absent"])
                console.print(f"{domain}: absent, not in the mean: {classes}", highlight=False)
            if scores.get("mapping"):
                console.print(_map_table(domain, scores))
        if result.get("trust"):
            print_trust(result["trust"])
    else:
        for key, value in result["metrics"].items():
            console.print(f"{key}: {value}", highlight=False)


def _domain_table(result: dict) -> "Table":
    from rich.table import Table

    table = Table(title=result["method"] or Path(result["name"]).name)
    table.add_column("domain")
    for name in ("mIoU", "mAcc", "aAcc", "images"):
        table.add_column(name, justify="right")
    sizes = {domain: _class_count(scores) for domain, scores in result["domains"].items()}
    differ = len(set(sizes.values())) > 1
    if differ:
        table.add_column("classes", justify="right")
    for domain, scores in result["domains"].items():
        name = f"{domain} (source)" if domain in source_domains(result["source"]) else domain
        values = (f"{scores[key]:.2f}" for key in ("mIoU", "mAcc", "aAcc"))
        more = [str(sizes[domain])] if differ else []
        table.add_row(name, *values, str(scores["images"]), *more)
    if result["targets_mIoU"] is not None and len(result["domains"]) > 2:
        table.add_row("mean of targets", f"{result['targets_mIoU']:.2f}", "", "", "")
    if result["gap"] is not None:
        table.caption = f"source minus targets: {result['gap']:.2f}"
    return table


def _class_count(scores: Mapping[str, Any]) -> int:
    """Return the number of classes of a domain's labels that are scored."""
    return len(scores["IoU"]) + len(scores["absent"])


def _map_table(domain: str, scores: Mapping[str, Any]) -> "Table":
    """Return what was mapped to what: the predicted classes of each class of the labels."""
    from rich.table import Table

    table = Table(title=f"{domain}: {len(scores['classes'])} predicted classes in groups")
    table.add_column("class of the labels")
    table.add_column("IoU", justify="right")
    table.add_column("predicted classes")
    for group, members in scores["mapping"]["groups"].items():
        value = scores["IoU"].get(group)
        table.add_row(group, "-" if value is None else f"{value:.2f}", ", ".join(members) or "-")
    if none := scores["mapping"]["none"]:
        table.add_section()
        share = f"{scores['no_group']:.2f} % of pixels"
        table.add_row("none, always wrong", share, ", ".join(none))
    return table
