"""Prints what `ibn-seg data` found in re-identification data sets."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import click
from rich.table import Table

from ibn_seg.cli.data_output import print_findings, sizes_text
from ibn_seg.downloads.findings import KINDS
from ibn_seg.reid.sets.picture_set import say_notes
from ibn_seg.terminal import plain_console

if TYPE_CHECKING:
    from ibn_seg.downloads.picture_check import PictureCheck
    from ibn_seg.downloads.picture_stats import PictureStats
    from ibn_seg.reid.set_numbers import PartNumbers
    from ibn_seg.reid.sets.picture_set import Expected, PictureSet


def print_picture_check(result: "PictureCheck", show: int) -> None:
    """Print a check: findings by kind, then the parts.

    Args:
        result: The check.
        show: Number of findings of each kind to print.
    """
    print_findings(result, show)
    _print_parts(result.pictures, result.numbers, result.unmatched)
    for kind, count in result.counts().items():
        harmless = "" if KINDS[kind].harmful else " (harmless)"
        click.echo(f"{kind}: {count:,}, {KINDS[kind].meaning}{harmless}")
    sizes = [(f"{w}x{h}", count) for (w, h), count in result.sizes.most_common()]
    click.echo(f"{result.files:,} files in {result.seconds:.1f} s; {sizes_text(sizes)}")


def print_picture_stats(result: "PictureStats") -> None:
    """Print the parts, and the pictures' sizes, mean and deviation."""
    report = result.report()
    _print_parts(result.pictures, result.numbers, result.unmatched)
    for part, numbers in result.numbers.items():
        few, mean, many = numbers.per_identity
        click.echo(f"{part}: {few:,} to {many:,} pictures of an identity, on average {mean:.1f}")
        click.echo(f"{part}: pictures by camera, from 0: {_pairs(numbers.cameras)}")
        spread = _pairs(numbers.cameras_per_identity)
        click.echo(f"{part}: identities by their number of cameras: {spread}")
    click.echo(f"{report['pictures']:,} pictures: {sizes_text(list(report['sizes'].items()))}")
    for name in ("mean", "std"):
        click.echo(f"{name}, RGB: " + ", ".join(f"{value:.3f}" for value in report[name]))


def _print_parts(
    pictures: "PictureSet", numbers: Mapping[str, "PartNumbers"], without: int
) -> None:
    """Print a table of the parts, and what to know of the data set."""
    say_notes([pictures], click.echo)
    table = Table(title=pictures.CARD.title)
    table.add_column("")
    for title in ("pictures", "identities", "cameras"):
        table.add_column(title, justify="right")
    table.add_column("what")
    for part, found in numbers.items():
        remarks = _remarks(found, pictures.expected.get(part))
        row = (f"{found.pictures:,}", f"{found.identities:,}", f"{len(found.cameras)}")
        table.add_row(part, *row, remarks)
    plain_console().print(table)
    if "query" in numbers:
        click.echo(f"queries without a match from another camera: {without:,}")


def _remarks(found: "PartNumbers", official: "Expected | None") -> str:
    """Return what else is to say about a part."""
    remarks = []
    if official is not None:
        about = "" if official.sure else "about "
        remarks.append(f"of {about}{official.pictures:,}, {official.identities:,} identities")
    for count, what in (
        (found.junk, "junk"),
        (found.distractors, "distractors"),
        (found.doubled, "with the suffix twice"),
    ):
        if count:
            remarks.append(f"{count:,} {what}")
    return "; ".join(remarks)


def _pairs(counts: Mapping[int, int]) -> str:
    return ", ".join(f"{key}: {count:,}" for key, count in counts.items())
