"""Prints the output of `ibn-seg data`: one table, and lines of findings."""

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

import click
from rich.table import Table

from ibn_seg.downloads.check import shortage
from ibn_seg.downloads.check_report import class_rows
from ibn_seg.downloads.findings import KINDS
from ibn_seg.terminal import plain_console

if TYPE_CHECKING:
    from ibn_seg.downloads.check import Check
    from ibn_seg.downloads.parts import Listing
    from ibn_seg.downloads.picture_check import PictureCheck
    from ibn_seg.downloads.prepare import Prepared
    from ibn_seg.downloads.stats import Stats

# A line's subject, its number, and its remark.
Row = tuple[str, str, str]
_SIZES = 3


def print_check(result: "Check", show: int) -> None:
    """Print a check: findings by kind, then the summary of files, classes and findings.

    Args:
        result: The check.
        show: Number of findings of each kind to print.
    """
    print_findings(result, show)
    classes = class_rows(result.classes, result.pixels.values(), result.present.values())
    _print_table(
        "summary",
        _class_lines(classes),
        map(_part_line, result.listings),
        _picture_lines(result),
        _finding_lines(result),
    )
    for note in result.notes:
        click.echo(f"note: {note}")
    if result.notes:
        click.echo("      if that is odd, look at the labels: ibn-seg data stats ... --sheet FILE")
    seconds = result.seconds
    click.echo(
        f"{result.files:,} files in {seconds['look']:.1f} s with {result.workers} processes; "
        f"decoding alone {seconds['decode'] / result.workers:.1f} s"
        + ("; images by header only: no truncated ones, no duplicates" * result.labels_only)
    )


def print_findings(result: "Check | PictureCheck", show: int) -> None:
    """Print the first findings of each kind, and how many more there are."""
    for kind, count in result.counts().items():
        lines = [finding.line for finding in result.findings if finding.kind == kind]
        for line in lines[:show]:
            click.echo(f"{kind}: {line}")
        if count > show:
            click.echo(f"{kind}: {count - show} more in the report")


def print_prepared(result: "Prepared") -> None:
    """Print the unpacked files, the existing files and the missing ones."""
    if result.listings:
        _print_table("files", map(_part_line, result.listings))
    kept = f", {result.kept:,} were there" if result.kept else ""
    others = f", {result.others:,} others in the archives left out" if result.others else ""
    click.echo(f"{result.root}: {result.written:,} files unpacked{kept}{others}")
    for line in result.missing:
        click.echo(f"incomplete: {line}")
    if not result.missing:
        click.echo("complete")


def print_stats(result: "Stats") -> None:
    """Print class frequencies, and the images' sizes, mean and deviation."""
    report = result.report()
    _print_table("classes", _class_lines(report["classes"]))
    sizes = sizes_text(list(report["sizes"].items()))
    click.echo(f"{report['samples']:,} samples: {sizes}")
    for name in ("mean", "std"):
        values = ", ".join(f"{value:.3f}" for value in report[name])
        click.echo(f"{name}, RGB: {values}")


def _print_table(title: str, *sections: Iterable[Row]) -> None:
    """Print rows of several sections as one table."""
    table = Table(title=title)
    table.add_column("")
    table.add_column("number", justify="right")
    table.add_column("what")
    for rows in sections:
        for row in rows:
            table.add_row(*row)
        table.add_section()
    plain_console().print(table)


def _class_lines(rows: list[dict]) -> Iterator[Row]:
    for row in rows:
        labels = "" if row["labels"] is None else f"in {row['labels']:,} labels"
        yield f"{row['train_id']} {row['name']}", f"{row['percent']:.3f} %", labels


def _part_line(listing: "Listing") -> Row:
    """Return a part's number of pairs, and remarks such as the expected number."""
    part, notes = listing.part, []
    if part.count is not None:
        about = "" if part.sure else "about "
        lacking = ", incomplete" if shortage(listing) else ""
        notes.append(f"pairs of {about}{part.count:,}{lacking}")
    images, labels = len(listing.images), len(listing.labels)
    if images != labels:
        notes.append(f"{images:,} images, {labels:,} labels")
    if listing.known:
        notes.append(f"{listing.known:,} known defects left out")
    if listing.excluded:
        notes.append(f"{listing.excluded:,} left out by the exclude list")
    if listing.absent:
        notes.append(listing.absent)
    return part.name, f"{listing.pairs:,}", "; ".join(notes) or "pairs"


def _picture_lines(result: "Check") -> Iterator[Row]:
    for kind, forms in result.forms.items():
        for form, count in forms.most_common():
            yield f"{kind}s", f"{count:,}", form
    size = result.card.size
    official = f"; officially {size[0]}x{size[1]}" if size else ""
    sizes = [(f"{w}x{h}", count) for (w, h), count in result.sizes.most_common()]
    yield "image sizes", f"{len(sizes):,}", sizes_text(sizes) + official


def sizes_text(sizes: list[tuple[str, int]]) -> str:
    """Return the most frequent sizes, each with its count."""
    text = ", ".join(f"{size} ({count:,})" for size, count in sizes[:_SIZES])
    return text + (f", {len(sizes) - _SIZES:,} others" if len(sizes) > _SIZES else "")


def _finding_lines(result: "Check") -> Iterator[Row]:
    for kind, count in result.counts().items():
        harmless = "" if KINDS[kind].harmful else " (harmless)"
        yield kind, f"{count:,}", KINDS[kind].meaning + harmless
    if not result.findings:
        yield "no findings", "0", f"in {result.files:,} files"
