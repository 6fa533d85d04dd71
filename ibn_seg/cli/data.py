"""`ibn-seg data`."""

from collections.abc import Iterable, Mapping
from typing import Any

import click

from ibn_seg.command_options import command_line
from ibn_seg.datasets.all_datasets import DATA_SETS
from ibn_seg.reid.sets.all_sets import PICTURE_SETS


def _listed(names: Iterable[str]) -> str:
    *first, last = names
    return f"{', '.join(first)} or {last}"


_NAMES = f"NAME is {_listed(DATA_SETS)}."
_PICTURE_NAMES = f"For re-identification, NAME is {_listed(PICTURE_SETS)}."


def _named(function: object) -> object:
    """Put the names of the data sets into a command's help."""
    text = function.__doc__.replace("PICTURES.", _PICTURE_NAMES)
    function.__doc__ = text.replace("NAMES.", _NAMES)
    return function


def _common(function: object) -> object:
    """Add the options that choose the data to read."""
    for option in (
        click.option("--workers", type=click.IntRange(1), help="Processes. Default: the cores."),
        click.option("--exclude", metavar="FILE", help="The exclude list, if it is not in ROOT."),
        click.option("--option", "options", multiple=True, metavar="KEY=VALUE",
                     help="An argument of the data set's class, such as split=val."),
    ):  # fmt: skip
        function = option(function)
    return function


@click.group()
def data() -> None:
    """Check a download, unpack archives into the layout, and look at the numbers.

    \b
    Examples:
      ibn-seg data check gta5 data/gta5
      ibn-seg data prepare cityscapes leftImg8bit_trainvaltest.zip gtFine_trainvaltest.zip \\
          --out data/cityscapes
      ibn-seg data stats cityscapes data/cityscapes --sheet sheet.png
    """


@data.command()
@click.argument("name")
@click.argument("root")
@click.option("--labels-only", is_flag=True,
              help="Decode labels only: no truncated images, no duplicates.")  # fmt: skip
@click.option("--complete", is_flag=True,
              help="Fewer files than the official number are a finding.")  # fmt: skip
@click.option("--allow", multiple=True, metavar="KIND",
              help="A kind of finding that does not count for the exit code.")  # fmt: skip
@click.option("--fix", type=click.Choice(["list"]),
              help="Add harmful files to ROOT/ibn_seg_exclude.txt, or to --exclude.")  # fmt: skip
@click.option("--report", metavar="FILE", help="JSON. Default: data_check_NAME.json, here.")
@click.option("--show", type=click.IntRange(0), default=10, show_default=True,
              help="Findings of each kind that are printed.")  # fmt: skip
@_common
@_named
def check(
    name: str,
    root: str,
    labels_only: bool,
    complete: bool,
    allow: tuple[str, ...],
    fix: str | None,
    report: str | None,
    show: int,
    options: tuple[str, ...],
    exclude: str | None,
    workers: int | None,
) -> None:
    """Look at every file of a data set and say what is wrong.

    NAMES. PICTURES.

    It reports missing pairs; truncated, empty and damaged files; sizes that differ; and images that
    are in two splits. It reports labels in an unexpected format: colours, 16 bits, unknown ids, no
    class. It reports images of another kind, and those that EXIF turns and maybe not their label.
    The number of files is compared with the official one.

    In re-identification data sets it reports names that do not parse, people in training and test,
    and what cannot be searched. It counts identities, cameras, junk and distractors.

    Notes say where labels look like those of another table: a class that never occurs, or a road
    that lies in the upper half. They do not change the exit code.

    --fix list writes the files that would stop or spoil a training into a list. Data sets leave out
    what stands in it.

    \b
    Examples:
      ibn-seg data check gta5 data/gta5
      ibn-seg data check cityscapes data/cityscapes --option split=val --labels-only
      ibn-seg data check bdd100k data/bdd100k --fix list --report bdd100k.json

    \b
    Exit codes:
      0  nothing found
      2  something found, or wrong usage
      3  the environment cannot do it
    """
    from ibn_seg.cli.data_output import print_check
    from ibn_seg.downloads.check import check as run
    from ibn_seg.downloads.check_report import check_report
    from ibn_seg.downloads.exclude import readable_list, write_exclude_list
    from ibn_seg.downloads.findings import failing
    from ibn_seg.progress import progress_callback
    from ibn_seg.run.config_loading import read_options

    failing((), allow)  # report a wrong kind before the work
    _check_name(name)
    if name in PICTURE_SETS:
        _without_list(name, exclude, fix)
        _check_pictures(name, root, labels_only, complete, allow, report, show, options, workers)
        return
    with progress_callback("check") as progress:
        result = run(
            name,
            root,
            options=read_options(options, "--option"),
            labels_only=labels_only,
            complete=complete,
            exclude=readable_list(exclude, fix is not None),
            workers=workers,
            progress=progress,
        )
    print_check(result, show)
    _write_report(report or f"data_check_{name}.json", check_report(name, result))
    if fix:
        path, added = write_exclude_list(result, exclude)
        click.echo(f"{path}: {added} file{'s' * (added != 1)} added")
    _fail(root, failing(result.findings, allow), "--fix list writes an exclude list, ")


def _write_report(file: str, content: Mapping[str, Any], also: str = "") -> None:
    """Write a report with the command line, and say where it is."""
    from ibn_seg.io import write_json

    write_json(file, {"command": command_line(), **content})
    click.echo(f"report: {file}{also}")


def _fail(root: str, count: int, hint: str = "") -> None:
    """Raise a `UserError` if there are findings that count."""
    from ibn_seg.errors import UserError

    if count:
        raise UserError(
            f"{root}: {count} finding{'s' * (count != 1)}",
            f"see above and the report; {hint}--allow KIND accepts one",
        )


def _check_name(name: str) -> None:
    """Raise a `UserError` for a name that no table of data sets has."""
    from ibn_seg.errors import unknown

    if name not in DATA_SETS and name not in PICTURE_SETS:
        raise unknown("data set", name, [*DATA_SETS, *PICTURE_SETS])


def _without_list(name: str, exclude: str | None, fix: str | None = None) -> None:
    """Refuse the options of exclude lists, which re-identification data sets do not have."""
    if exclude or fix:
        raise click.UsageError(f"{name} has no exclude list: leave out --exclude and --fix.")


def _check_pictures(
    name: str,
    root: str,
    headers_only: bool,
    complete: bool,
    allow: tuple[str, ...],
    report: str | None,
    show: int,
    options: tuple[str, ...],
    workers: int | None,
) -> None:
    """Check a re-identification data set."""
    from ibn_seg.cli.picture_output import print_picture_check
    from ibn_seg.downloads.findings import failing
    from ibn_seg.downloads.picture_check import check_pictures
    from ibn_seg.progress import progress_callback
    from ibn_seg.run.config_loading import read_options

    with progress_callback("check") as progress:
        result = check_pictures(
            name,
            root,
            options=read_options(options, "--option"),
            decode=not headers_only,
            complete=complete,
            workers=workers,
            progress=progress,
        )
    print_picture_check(result, show)
    _write_report(report or f"data_check_{name}.json", result.report())
    _fail(root, failing(result.findings, allow))


@data.command()
@click.argument("name")
@click.argument("archives", metavar="ARCHIVE...", nargs=-1)
@click.option("--out", metavar="ROOT", help="The data root, which is made.")
@click.option("--complete", is_flag=True,
              help="Fewer files than the official number are an error.")  # fmt: skip
@_named
def prepare(name: str, archives: tuple[str, ...], out: str | None, complete: bool) -> None:
    """Unpack the official archives of a data set into the layout that it is read from.

    NAMES.

    Zip and tar. Archives are refused before anything is written if they have links or paths that
    lead out, or unpack to far more than is plausible. After an interruption the same command goes
    on.

    Nothing is downloaded, because you may have to accept a licence. Without an archive, or if
    something is missing, the command says where to get it.

    \b
    Examples:
      ibn-seg data prepare gta5 downloads/*_images.zip downloads/*_labels.zip --out data/gta5
      ibn-seg data prepare idd idd-segmentation.tar.gz --out data/idd
    """
    from ibn_seg.cli.data_output import print_prepared
    from ibn_seg.downloads.prepare import prepare as run
    from ibn_seg.errors import UserError
    from ibn_seg.progress import progress_steps

    if name in PICTURE_SETS:
        raise click.UsageError(f"{name} is read as it is: unpack it into a folder of any name.")
    if archives and not out:
        raise click.UsageError("Missing option '--out': the data root to unpack into.")
    with progress_steps() as progress:
        result = run(name, archives, out or "", progress=progress)
    print_prepared(result)
    if complete and result.missing:
        raise UserError(f"{out}: {result.missing[0]}", "see above")


@data.command()
@click.argument("name")
@click.argument("root")
@click.option("--sheet", metavar="FILE", help="A PNG of images with their labels laid over.")
@click.option("--count", type=click.IntRange(1), default=12, show_default=True,
              help="Samples on the sheet.")  # fmt: skip
@click.option("--report", metavar="FILE", help="JSON. Default: data_stats_NAME.json, here.")
@_common
@_named
def stats(
    name: str,
    root: str,
    sheet: str | None,
    count: int,
    report: str | None,
    options: tuple[str, ...],
    exclude: str | None,
    workers: int | None,
) -> None:
    """Measure class frequencies, the images' mean and deviation, and draw a contact sheet.

    NAMES. PICTURES.

    Mean and standard deviation are per channel, RGB, 0 to 255, over all pixels of all images. For
    re-identification, identities and cameras are counted instead of classes. The sheet has a row
    for each of --count identities.

    \b
    Examples:
      ibn-seg data stats gta5 data/gta5 --option split=train --sheet gta5.png
      ibn-seg data stats acdc data/acdc --option condition=fog --count 6 --sheet fog.png
    """
    _check_name(name)
    if name in PICTURE_SETS:
        _without_list(name, exclude)
        _measure_pictures(name, root, sheet, count, report, options, workers)
        return
    from ibn_seg.cli.data_output import print_stats
    from ibn_seg.downloads.sheet import write_sheet
    from ibn_seg.downloads.stats import measure
    from ibn_seg.progress import progress_callback
    from ibn_seg.run.config_loading import read_options

    with progress_callback("measure") as progress:
        result = measure(
            name,
            root,
            options=read_options(options, "--option"),
            exclude=exclude,
            workers=workers,
            progress=progress,
        )
    if sheet:
        write_sheet(result.samples, sheet, result.palette, count)
    print_stats(result)
    sheet_line = f"; sheet: {sheet}" if sheet else ""
    _write_report(report or f"data_stats_{name}.json", result.report(), sheet_line)


def _measure_pictures(
    name: str,
    root: str,
    sheet: str | None,
    count: int,
    report: str | None,
    options: tuple[str, ...],
    workers: int | None,
) -> None:
    """Measure a re-identification data set."""
    from ibn_seg.cli.picture_output import print_picture_stats
    from ibn_seg.downloads.picture_stats import measure_pictures, write_picture_sheet
    from ibn_seg.progress import progress_callback
    from ibn_seg.run.config_loading import read_options

    with progress_callback("measure") as progress:
        result = measure_pictures(
            name,
            root,
            options=read_options(options, "--option"),
            workers=workers,
            progress=progress,
        )
    if sheet:
        write_picture_sheet(result.parts, result.pictures.CARD, sheet, count)
    print_picture_stats(result)
    sheet_line = f"; sheet: {sheet}" if sheet else ""
    _write_report(report or f"data_stats_{name}.json", result.report(), sheet_line)
