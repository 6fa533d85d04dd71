"""`ibn-seg imagenet test` and `ibn-seg imagenet train`."""

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from ibn_seg.command_options import command_line, launch_options, set_local_rank
from ibn_seg.imagenet.recipe import AMP_TYPES, SCHEDULES, Recipe

if TYPE_CHECKING:
    from rich.table import Table

_EMA = 0.0002


class Epochs(click.ParamType):
    """Epochs with commas between them, such as 30,60,90."""

    name = "LIST"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[float, ...]:
        """Return the numbers."""
        if isinstance(value, tuple):
            return value
        try:
            return tuple(float(word) for word in value.split(","))
        except ValueError:
            self.fail(f"{value!r} is not a list of epochs such as 30,60,90", param, ctx)


@click.group()
def imagenet() -> None:
    """Train and test classifiers on ImageNet, or any pictures in one folder per class.

    Needs mmengine and torchvision, not mmsegmentation: pip install 'ibn_seg[imagenet]'.

    \b
    Examples:
      ibn-seg imagenet test --model resnet50_ibn_a --data data/imagenet --pretrained
      ibn-seg imagenet train --model resnet50_ibn_a --data data/imagenet

    `ibn-seg imagenet COMMAND --help` explains each command.
    """


def _run_options(function: Callable) -> Callable:
    """Add the options that both commands share."""
    for option in (
        click.option("--workers", type=int, metavar="N",
                     help="Data workers of each process. Default: 4 with a GPU, else 0."),
        click.option("--work-dir", metavar="DIR", help="Default: work_dirs/imagenet/MODEL."),
        click.option("--data", metavar="PATH", required=True,
                     help="The folder with train/CLASS/PICTURE and val/CLASS/PICTURE."),
        click.option("--model", metavar="NAME", required=True,
                     help="One of those that `ibn-seg models` lists."),
    ):  # fmt: skip
        function = option(function)
    return function


def _setting(name: str, help_text: str, **options: Any) -> Callable:
    """Return the option for a setting of the recipe, with its default."""
    default = getattr(Recipe, name)
    return click.option(
        f"--{name.replace('_', '-')}", default=default, show_default=default is not None,
        help=help_text, **options,
    )  # fmt: skip


@imagenet.command()
@_run_options
@click.option("--pretrained", is_flag=True, help="Test the weights that the authors published.")
@click.option("--checkpoint", metavar="FILE", help="Test these weights: a state dict, or a file "
              "of the authors, of torch.hub or of `imagenet train`.")  # fmt: skip
@click.option("--transform", "transforms", metavar="NAME", multiple=True,
              help="Change the pictures' appearance: none, rgb+50, r+50 or std1.5; several times "
              "for several rows. Default: none.")  # fmt: skip
@click.option("--batch-size", type=int, default=100, show_default=True,
              help="Of all processes together.")  # fmt: skip
@click.option("--image-size", type=int, metavar="N",
              help="Side of the centre crop; the short side is resized to N * 256 / 224. Default: "
              "what the checkpoint was trained with, else 224.")  # fmt: skip
@launch_options
def test(local_rank: int | None, verbose: bool, **options: Any) -> None:
    """Measure top-1 and top-5 error on PATH/val, or on PATH where it holds the class folders.

    The errors are printed in percent and written to test.json. The changes of appearance are those
    of the paper. Of values from 0 to 255, rgb+50 adds 50 to all channels and r+50 to red. std1.5
    multiplies the standard deviation by 1.5. `ibn_seg/transforms/pixel_shifts.py` says what is
    recalled and what chosen.

    \b
    Examples:
      ibn-seg imagenet test --model resnet50_ibn_a --data data/imagenet --pretrained \\
          --batch-size 100
      ibn-seg imagenet test --model resnet50_ibn_a --data data/imagenet --pretrained \\
          --transform none --transform rgb+50 --transform r+50 --transform std1.5
      ibn-seg imagenet test --model resnet18 --data my_photos \\
          --checkpoint work_dirs/imagenet/resnet18/iter_900.pth
      torchrun --nproc_per_node=2 -m ibn_seg imagenet test --launcher pytorch --model NAME ...
    """
    from ibn_seg.imagenet.run_imagenet import test as run

    set_local_rank(local_rank)
    result = run(**options, quiet=not verbose, command=command_line())
    _print(result)


@imagenet.command()
@_run_options
@click.option("--resume", is_flag=True, help="Go on from the newest checkpoint in the work dir.")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True)
@_setting("epochs", "Epochs to train; one has as many iterations as there are whole batches.")
@_setting("batch_size", "Of all processes together; --lr is for this batch.")
@_setting("lr", "Learning rate at the beginning.")
@_setting("momentum", "Momentum of SGD.")
@_setting("weight_decay", "Weight decay, of all parameters.")
@_setting("schedule", "step: x0.1 at the milestones; cosine: down to 0.",
          type=click.Choice(SCHEDULES))  # fmt: skip
@_setting("milestones", "Epochs of the steps. Default: 30, 60 and 90 percent of the epochs.",
          type=Epochs())  # fmt: skip
@_setting("warmup_epochs", "Epochs in which the learning rate rises linearly from a hundredth.")
@click.option("--amp/--no-amp", default=None, help="Mixed precision. Default: with a GPU.")
@_setting("amp_type", "Default: float16 on a GPU, bfloat16 on a CPU.",
          type=click.Choice(AMP_TYPES))  # fmt: skip
@click.option("--channels-last/--no-channels-last", default=None,
              help="Memory format of the network. Default: channels last with a GPU.")  # fmt: skip
@click.option("--ema", type=float, is_flag=False, flag_value=_EMA, metavar="[WEIGHT]",
              help="Validate and save an exponential average of the weights, in which the newest "
              f"count this much ({_EMA} where no number follows).")  # fmt: skip
@_setting("image_size", "Side of the square that the network sees.")
@_setting("val_interval", "Epochs between validations; the last epoch is always validated.")
@_setting("val_batch_size", "Of all processes together.")
@click.option("--pretrained", is_flag=True, help="Start from the published weights.")
@click.option("--init", metavar="FILE", help="Start from this checkpoint; a batch-norm network's "
              "weights become its IBN form's; another number of classes is fine.")  # fmt: skip
@launch_options
def train(
    model: str,
    data: str,
    work_dir: str | None,
    resume: bool,
    seed: int,
    workers: int | None,
    launcher: str,
    local_rank: int | None,
    verbose: bool,
    **settings: Any,
) -> None:
    """Train a network on PATH/train and validate it on PATH/val.

    The defaults are the reference's train.sh: SGD 0.1, momentum 0.9, weight decay 1e-4, batch 256,
    100 epochs, x0.1 at 30, 60 and 90. Pictures get a random resized crop and flip. The work dir
    receives checkpoints, the log, and result.json with errors and curves. Interrupt at any time.
    `--resume` with the same options goes on and ends with the same weights.

    \b
    Examples:
      ibn-seg imagenet train --model resnet50_ibn_a --data data/imagenet
      ibn-seg imagenet train --model resnet50_ibn_a --data data/imagenet --resume
      ibn-seg imagenet train --model resnet18_ibn_a --data my_photos --pretrained \\
          --epochs 20 --lr 0.01 --batch-size 64 --schedule cosine --ema 0.01
      torchrun --nproc_per_node=8 -m ibn_seg imagenet train --launcher pytorch --model NAME ...
    """
    from ibn_seg.imagenet.run_imagenet import train as run

    set_local_rank(local_rank)
    result = run(
        model,
        data,
        Recipe(**settings),
        work_dir=work_dir,
        resume=resume,
        seed=seed,
        workers=workers,
        launcher=launcher,
        quiet=not verbose,
        command=command_line(),
    )
    _print(result)


def _print(result: dict) -> None:
    """Print the error rates, only in the first process."""
    if os.environ.get("RANK", "0") != "0":
        return
    from ibn_seg.terminal import plain_console

    plain_console().print(_table(result))


def _table(result: dict) -> "Table":
    """Return a table of the error rates; only this function rounds them."""
    from rich.table import Table

    from ibn_seg.transforms.pixel_shifts import BASELINE

    experiment = result["experiment"]
    table = Table(title=experiment["method"])
    table.add_column("appearance")
    for title in ("top-1 error", "top-5 error"):
        table.add_column(title, justify="right")
    errors = result["errors"]
    base = errors.get(BASELINE) if len(errors) > 1 else None
    for name, found in errors.items():
        cells = []
        for key, value in found.items():
            text = "-" if value is None else f"{value:.2f}"
            if base is not None and name != BASELINE and value is not None:
                text += f" ({value - base[key]:+.2f})"
            cells.append(text)
        table.add_row(name, *cells)
    note = "" if result["classes"] >= 5 else "; no top-5 error with fewer than five classes"
    table.caption = (
        f"percent of {result['images']} pictures, {result['classes']} classes, "
        f"{experiment['image_size']}x{experiment['image_size']}{note}"
    )
    return table
