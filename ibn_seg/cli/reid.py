"""`ibn-seg reid train`, `test` and `search`; `reid_cameras` beside it has the rest."""

import os
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import click

from ibn_seg.cli.reid_cameras import demo, divergence, name_pairs, network_options, render
from ibn_seg.command_options import (
    Size,
    command_line,
    launch_options,
    set_local_rank,
    split_numbers,
)
from ibn_seg.retrieval.baseline_recipe import SELECTIONS, BaselineRecipe


@click.group(commands=[render, demo, divergence])
def reid() -> None:
    """Search people or vehicles across cameras.

    \b
    Examples:
      ibn-seg reid demo
      ibn-seg reid train market1501 data/market1501 --model resnet50_ibn_a --pretrained
      ibn-seg reid test market1501 data/market1501 --model resnet50_ibn_a --checkpoint market.pth
      ibn-seg reid search person.jpg --gallery my_crops --model resnet50 --checkpoint market.pth

    `ibn-seg reid COMMAND --help` explains each command.
    """


def _setting(name: str, help_text: str, **options: Any) -> Callable:
    """Return the option for a setting of the recipe, with its default."""
    return click.option(
        f"--{name.replace('_', '-')}", default=getattr(BaselineRecipe, name), show_default=True,
        help=help_text, **options,
    )  # fmt: skip


@reid.command()
@click.argument("name")
@click.argument("root")
@click.option("--model", metavar="NAME",
              help="One of those that `ibn-seg models` lists. A recipe names its own.")  # fmt: skip
@click.option("--option", "options", multiple=True, metavar="KEY=VALUE",
              help="A choice of the data set, such as boxes=labeled.")  # fmt: skip
@click.option("--also", multiple=True, metavar="NAME=ROOT",
              help="Another data set to train on together.")  # fmt: skip
@click.option("--target", "targets", multiple=True, metavar="NAME=ROOT",
              help="Another data set to search in after the training.")  # fmt: skip
@click.option("--work-dir", metavar="DIR", help="Default: work_dirs/reid/MODEL_NAME.")
@click.option("--resume", is_flag=True, help="Go on from the newest checkpoint in the work dir.")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True)
@click.option("--workers", type=click.IntRange(0), default=0, show_default=True,
              help="Data workers of each process.")  # fmt: skip
@click.option("--amp", is_flag=True, help="Mixed precision: float16 with a GPU, else bfloat16.")
@click.option("--pretrained", is_flag=True, help="Start from the published ImageNet weights.")
@click.option("--size", type=Size(), default="128x256", show_default=True,
              help="Width and height of the network's input.")  # fmt: skip
@click.option("--milestones", default="40,70", show_default=True, metavar="LIST",
              help="Epochs from which the learning rate is a tenth.")  # fmt: skip
@_setting(
    "selection",
    "The last checkpoint, or the best of ten in the source's gallery.",
    type=click.Choice(SELECTIONS),
)
@_setting("last_stride", "Of the last stage; 2 halves the work.", type=click.IntRange(1, 2))
@_setting("epochs", "Epochs to train.")
@_setting("identities", "People of a batch of one process.")
@_setting("images", "Pictures of each.")
@_setting("lr", "Learning rate of Adam after the warm-up.")
@_setting("weight_decay", "Weight decay, of all parameters.")
@_setting("warmup_epochs", "First epoch with the whole learning rate; 0 or 1 for no warm-up.")
@_setting("smoothing", "Share of the target that is spread over all identities.")
@_setting("margin", "Margin of the triplet loss.")
@_setting("center_weight", "Weight of the center loss; 0 for none.")
@_setting("erasing", "Share of pictures with a painted rectangle; 0 is better for targets.")
@launch_options
@click.pass_context
def train(
    context: click.Context,
    name: str,
    root: str,
    model: str | None,
    options: tuple[str, ...],
    also: tuple[str, ...],
    targets: tuple[str, ...],
    work_dir: str | None,
    resume: bool,
    seed: int,
    workers: int,
    milestones: str,
    launcher: str,
    local_rank: int | None,
    verbose: bool,
    **settings: Any,
) -> None:
    """Train the strong baseline on a data set, and search in its gallery and in those of targets.

    NAME is a data set that `ibn-seg data check` knows, such as market1501, and ROOT its folder. Or
    NAME is a recipe: a file of configs/reid/, or ibn_seg::reid/FILE. It says data set, network and
    settings, and options given here come first.

    result.json in the work dir has all scores, and ranks_NAME.npz the ranks of all matches.

    \b
    Examples:
      ibn-seg reid train market1501 data/market1501 --model resnet50_ibn_a --pretrained
      ibn-seg reid train ibn_seg::reid/msmt17_r50-ibn-a data/msmt17
      ibn-seg reid train randperson data/randperson --model resnet50_ibn_a --pretrained \\
          --erasing 0 --target market1501=data/market1501
    """
    from ibn_seg.retrieval.run_training import train as run
    from ibn_seg.run.config_loading import read_options

    set_local_rank(local_rank)
    # Every process has the result; the first one speaks.
    first = os.environ.get("RANK", "0") == "0"
    settings["milestones"] = split_numbers(milestones, "--milestones")
    model, name, recipe = _chosen(context, name, model, settings)
    result = run(
        model,
        name,
        root,
        recipe,
        options=read_options(options, "--option"),
        also=name_pairs(also, "--also"),
        targets=name_pairs(targets, "--target"),
        work_dir=work_dir,
        resume=resume,
        seed=seed,
        workers=workers,
        launcher=launcher,
        quiet=not verbose,
        command=command_line(),
        say=click.echo if first else lambda _: None,
    )
    if not first:
        return
    for data_set, found in result["searches"].items():
        _print({**found, "data_set": data_set})
    click.echo(f"checkpoint: {result['checkpoint']}")


def _chosen(
    context: click.Context, name: str, model: str | None, settings: dict[str, Any]
) -> tuple[str, str, BaselineRecipe]:
    """Return network, data set and settings: those of a recipe, changed by what was given."""
    from click.core import ParameterSource

    from ibn_seg.retrieval.recipe_files import is_recipe, read_recipe

    if not is_recipe(name):
        if model is None:
            raise click.UsageError("Give --model, or a recipe in place of a data set.")
        return model, name, BaselineRecipe(**settings)
    named = read_recipe(name)
    given = {
        key: value
        for key, value in settings.items()
        if context.get_parameter_source(key) is ParameterSource.COMMANDLINE
    }
    return model or named.model, named.data, replace(named.recipe, **given)


@reid.command()
@click.argument("name")
@click.argument("root")
@network_options
@click.option("--option", "options", multiple=True, metavar="KEY=VALUE",
              help="A choice of the data set, such as boxes=labeled.")  # fmt: skip
@click.option("--rerank", is_flag=True,
              help="Also re-rank by k-reciprocal neighbours, which is transductive.")  # fmt: skip
@click.option("--work-dir", metavar="DIR", help="Default: work_dirs/reid/MODEL_NAME.")
def test(
    name: str,
    root: str,
    options: tuple[str, ...],
    rerank: bool,
    work_dir: str | None,
    **network: Any,
) -> None:
    """Search the queries of a data set in its gallery, and measure rank-k, mAP and mINP.

    NAME is a data set that `ibn-seg data check` knows, such as market1501, and ROOT its folder.

    The intervals of 95 % draw identities; they say nothing about other seeds of the training.
    test.json in the work dir has everything, and ranks.npz the ranks of all matches.

    \b
    Examples:
      ibn-seg reid test market1501 data/market1501 --model resnet50_ibn_a --checkpoint market.pth
      ibn-seg reid test cuhk03_np data/cuhk03-np --option boxes=labeled --rerank \\
          --model resnet50 --checkpoint cuhk03.pth
    """
    from ibn_seg.progress import progress_by_step
    from ibn_seg.retrieval.run_retrieval import Searcher
    from ibn_seg.retrieval.run_retrieval import test as run
    from ibn_seg.run.config_loading import read_options

    with progress_by_step() as progress:
        result = run(
            Searcher(**network),
            name,
            root,
            options=read_options(options, "--option"),
            rerank=rerank,
            work_dir=work_dir,
            command=command_line(),
            say=click.echo,
            progress=progress,
        )
    _print(result)
    for line in result["dropped"]:
        click.echo(f"left out of the checkpoint: {line}")


@reid.command()
@click.argument("query")
@click.option("--gallery", metavar="FOLDER", required=True, help="Pictures, at any depth.")
@network_options
@click.option("--count", type=click.IntRange(1), default=10, show_default=True,
              help="Pictures to show for each query.")  # fmt: skip
@click.option("-o", "--out", metavar="FILE", default="search.png", show_default=True,
              help="The contact sheet, a PNG.")  # fmt: skip
def search(query: str, gallery: str, count: int, out: str, **network: Any) -> None:
    """Rank the pictures of a folder by their likeness to QUERY, and draw a contact sheet.

    QUERY is a picture of a person or vehicle, or a folder of them. Names such as 12_c3_anything.jpg
    say identity and camera. Then frames are blue for right, orange for wrong, and grey for the same
    person in the query's own camera.

    \b
    Examples:
      ibn-seg reid search person.jpg --gallery my_crops --model resnet50 --checkpoint market.pth
      ibn-seg reid search queries --gallery my_crops --count 20 -o ranked.png \\
          --model resnet50_ibn_a --checkpoint market.pth
    """
    from ibn_seg.progress import progress_by_step
    from ibn_seg.retrieval.ranked_sheet import write_ranked_sheet
    from ibn_seg.retrieval.run_retrieval import Searcher
    from ibn_seg.retrieval.run_retrieval import search as run

    with progress_by_step() as progress:
        rankings = run(Searcher(**network), query, gallery, count=count, progress=progress)
    write_ranked_sheet(rankings, out)
    for ranking in rankings:
        click.echo(f"{ranking.query}:")
        for place, found in enumerate(ranking.found, start=1):
            said = f"  {found.verdict}" if found.verdict else ""
            click.echo(f"{place:4}  {found.distance:.4f}  {found.path}{said}")
    click.echo(f"sheet: {out}")


def _print(result: dict[str, Any]) -> None:
    """Print the measures of a test as a table, those after re-ranking in rows of their own."""
    from rich.table import Table

    from ibn_seg.reid.reranking import NAME
    from ibn_seg.terminal import plain_console

    table = Table(title=f"{result['model']} on {result['data_set']}")
    for title in ("measure", "percent", "95 % of draws of identities"):
        table.add_column(title, justify="left" if title == "measure" else "right")
    for key, suffix in (("scores", ""), (NAME, f", {NAME}")):
        for name, one in result.get(key, {}).get("measures", {}).items():
            interval = f"{one['low']:.2f} to {one['high']:.2f}"
            table.add_row(f"{name}{suffix}", f"{one['value']:.2f}", interval)
        table.add_section()
    plain_console().print(table)
    scores = result["scores"]
    click.echo(
        f"{scores['queries']:,} queries in {result['gallery']:,} pictures; "
        f"{scores['dropped']:,} queries without a match were left out"
    )
