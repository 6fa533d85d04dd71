"""What `ibn-seg data` prints: tables, and lines of findings."""

import sys
from typing import TYPE_CHECKING

import click
from rich.console import Console
from rich.table import Table

from ibn_seg.tasks.data.check import shortage
from ibn_seg.tasks.data.findings import KINDS
from ibn_seg.tasks.data.report import class_rows

if TYPE_CHECKING:
    from ibn_seg.tasks.data.check import Check
    from ibn_seg.tasks.data.parts import Listing
    from ibn_seg.tasks.data.prepare import Prepared
    from ibn_seg.tasks.data.stats import Stats


def print_check(result: "Check", show: int) -> None:
    """Print a check: the files, the classes, the findings, and the summary last.

    Args:
        result: The check.
        show: How many findings of each kind are printed.
    """
    console = Console(file=sys.stdout)
    console.print(class_table(class_rows(result.pixels.values(), result.present.values())))
    _print_findings(result, show)
    console.print(parts_table(result.listings))
    _print_forms(result)
    console.print(_summary(result))
    _print_seconds(result)


def parts_table(listings: "list[Listing]") -> Table:
    """Return the table of parts: what is there and what should be."""
    table = Table(title="files")
    table.add_column("part")
    for name in ("images", "labels", "pairs", "official", "left out"):
        table.add_column(name, justify="right")
    table.add_column("")
    for listing in listings:
        part = listing.part
        about = "" if part.sure else "about "
        official = "" if part.count is None else f"{about}{part.count:,}"
        out = listing.known + listing.excluded
        cells = (len(listing.images), len(listing.labels), listing.pairs)
        note = listing.absent or ("incomplete" if shortage(listing) else "")
        table.add_row(
            part.name, *(f"{n:,}" for n in cells), official, f"{out:,}" if out else "", note
        )
    return table


def class_table(rows: list[dict]) -> Table:
    """Return the table of class frequencies."""
    table = Table(title="classes")
    table.add_column("trainId", justify="right")
    table.add_column("class")
    table.add_column("% of pixels", justify="right")
    table.add_column("labels", justify="right")
    for row in rows:
        labels = "" if row["labels"] is None else f"{row['labels']:,}"
        table.add_row(str(row["train_id"]), row["name"], f"{row['percent']:.3f}", labels)
    return table


def print_prepared(result: "Prepared") -> None:
    """Print what was unpacked, what is there, and what is missing."""
    if result.listings:
        Console(file=sys.stdout).print(parts_table(result.listings))
    kept = f", {result.kept:,} were there" if result.kept else ""
    others = f", {result.others:,} others in the archives left out" if result.others else ""
    click.echo(f"{result.root}: {result.written:,} files unpacked{kept}{others}")
    for line in result.missing:
        click.echo(f"missing: {line}")
    if not result.missing:
        click.echo("complete")


def print_stats(result: "Stats") -> None:
    """Print class frequencies, and the images' sizes, mean and deviation."""
    report = result.report()
    Console(file=sys.stdout).print(class_table(report["classes"]))
    sizes = list(report["sizes"].items())
    text = ", ".join(f"{size} ({count:,})" for size, count in sizes[:3])
    more = f", {len(sizes) - 3} other sizes" if len(sizes) > 3 else ""
    click.echo(f"{report['samples']:,} samples: {text}{more}")
    for name in ("mean", "std"):
        values = ", ".join(f"{value:.3f}" for value in report[name])
        click.echo(f"{name}, RGB: {values}")


def _print_findings(result: "Check", show: int) -> None:
    for kind, count in result.counts().items():
        lines = [finding.line for finding in result.findings if finding.kind == kind]
        for line in lines[:show]:
            click.echo(f"{kind}: {line}")
        if count > show:
            click.echo(f"{kind}: {count - show} more in the report")


def _print_forms(result: "Check") -> None:
    for kind, forms in result.forms.items():
        for form, count in forms.most_common():
            click.echo(f"{kind}s: {count:,} of {form}")
    sizes = result.sizes.most_common(3)
    text = ", ".join(f"{w}x{h} ({count:,})" for (w, h), count in sizes)
    more = f", {len(result.sizes) - 3} other sizes" if len(result.sizes) > 3 else ""
    size = result.entry.size
    official = f"; officially {size[0]}x{size[1]}" if size else ""
    click.echo(f"sizes: {text}{more}{official}")


def _summary(result: "Check") -> Table:
    """Return the summary table: how many findings of which kind."""
    table = Table(title="summary")
    table.add_column("finding")
    table.add_column("files", justify="right")
    table.add_column("what it is")
    for kind, count in result.counts().items():
        meaning = KINDS[kind].meaning + ("" if KINDS[kind].harmful else " (harmless)")
        table.add_row(kind, f"{count:,}", meaning)
    if not result.findings:
        table.add_row("none", "0", f"{result.files:,} files looked at")
    return table


def _print_seconds(result: "Check") -> None:
    seconds = result.seconds
    click.echo(
        f"{result.files:,} files in {seconds['look']:.1f} s with {result.workers} processes; "
        f"decoding alone {seconds['decode'] / result.workers:.1f} s"
        + ("; images by header only: no truncated ones, no duplicates" * result.labels_only)
    )
