"""Options and types that commands share, and mmseg's way to write `--cfg-options`."""

import functools
import os
import re
import shlex
import sys
from collections.abc import Callable, Iterable
from typing import Any

import click

from ibn_seg.errors import UserError
from ibn_seg.run.config_loading import PAIR, read_options
from ibn_seg.run.gpu_settings import PRECISIONS
from ibn_seg.run.setup import LAUNCHERS

_FLAG = "--cfg-options"
_AMP = "--amp"
# What older launchers add for each process.
_RANKS = ("--local_rank=", "--local-rank=")
# The value of `--amp` that stands alone.
_AUTO = "auto"
# Words that are meant as a precision, so that a wrong one is not taken for a config.
_TYPE = re.compile(r"[a-z]+\d+")


class Size(click.ParamType):
    """A picture size as WIDTHxHEIGHT."""

    name = "WxH"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[int, int]:
        """Return (width, height)."""
        if isinstance(value, tuple):
            return value
        match = re.fullmatch(r"(\d+)[xX](\d+)", value)
        if match is None or not min(int(match[1]), int(match[2])):
            self.fail(f"{value!r} is not a size such as 256x128", param, ctx)
        return int(match[1]), int(match[2])


class ConfigCommand(click.Command):
    """A command that takes several values after one `--cfg-options`, as mmseg's tools do.

    Its `--amp` may stand alone, also before an argument.
    """

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Repeat the flag before every KEY=VALUE that follows it."""
        return super().parse_args(ctx, name_precision(fold_pairs(args)))


def fold_pairs(args: Iterable[str]) -> list[str]:
    """Return `--cfg-options a=1 b=2` as `--cfg-options a=1 --cfg-options b=2`."""
    folded: list[str] = []
    inside = False
    for arg in args:
        if arg == _FLAG:
            inside = True
            folded.append(arg)
            continue
        inside = inside and PAIR.match(arg) is not None
        if inside and folded[-1] != _FLAG:
            folded.append(_FLAG)
        folded.append(arg)
    return folded


def name_precision(args: Iterable[str]) -> list[str]:
    """Return `--amp CONFIG` as `--amp=auto CONFIG`; a word such as bf16 stays its value."""
    args = list(args)
    return [
        f"{_AMP}={_AUTO}" if arg == _AMP and not _TYPE.fullmatch(after) else arg
        for arg, after in zip(args, [*args[1:], ""], strict=False)
    ]


def split_words(text: str) -> tuple[str, ...]:
    """Return the words of a comma-separated list such as `a,b`; an empty text gives none."""
    return tuple(word.strip() for word in text.split(",") if word.strip())


def split_numbers(text: str, flag: str) -> tuple[int, ...]:
    """Return the whole numbers of a list with commas, such as `1,3,5`.

    Args:
        text: The list.
        flag: The option that gave it, for the message.

    Raises:
        UserError: A word is not a whole number.
    """
    words = split_words(text)
    for word in words:
        if not word.isdecimal():
            raise UserError(f"{flag} {text!r}: {word!r} is not a whole number", "write 1,3,5")
    return tuple(map(int, words))


def split_decimals(text: str, flag: str) -> tuple[float, ...]:
    """Return the numbers of a list with commas, such as `0.5,1,10`.

    Args:
        text: The list.
        flag: The option that gave it, for the message.

    Raises:
        UserError: A word is not a number.
    """
    words = split_words(text)
    for word in words:
        if not re.fullmatch(r"\d+(\.\d+)?", word):
            raise UserError(f"{flag} {text!r}: {word!r} is not a number", "write 0.5,1,10")
    return tuple(map(float, words))


def config_options(function: Callable) -> Callable:
    """Add `--cfg-options`."""
    return click.option(
        _FLAG,
        multiple=True,
        metavar="KEY=VALUE ...",
        help="Replace settings of the config, several after one flag: "
        'a.b=1 c=[1,2] d="[(1,2),(3,4)]".',
    )(function)


def measurement_options(
    name: str, *, protocol: bool = False, launcher: bool = False
) -> Callable[[Callable], Callable]:
    """Add the options that commands which measure a trained network share.

    The command gets them as one argument, `options`: an `ibn_seg.run.measurement.RunOptions`.

    Args:
        name: What is measured; the last part of the default work dir.
        protocol: Add `--protocol`, which the command gets as `protocol`.
        launcher: Add `--launcher`, which the command gets as `launcher`.
    """
    last = launch_options if launcher else _verbose_option

    def add(function: Callable) -> Callable:
        @functools.wraps(function)
        def with_options(
            *,
            work_dir: str | None,
            cfg_options: tuple[str, ...],
            verbose: bool,
            local_rank: int | None = None,
            **values: Any,
        ) -> Any:
            set_local_rank(local_rank)
            options = {
                "work_dir": work_dir,
                "cfg_options": read_options(cfg_options),
                "quiet": not verbose,
                "command": command_line(),
            }
            return function(options=options, **values)

        command = last(config_options(with_options))
        if protocol:
            command = click.option(
                "--protocol", metavar="NAME", help="Evaluate as a published table does."
            )(command)
        return click.option(
            "--work-dir", metavar="DIR", help=f"Default: work_dirs/NAME_OF_THE_CONFIG/{name}."
        )(command)

    return add


def _verbose_option(function: Callable) -> Callable:
    """Add `--verbose`."""
    return click.option(
        "--verbose", is_flag=True, help="Print mmengine's log instead of progress."
    )(function)


def fuse_option(function: Callable) -> Callable:
    """Add `--fuse`."""
    return click.option(
        "--fuse", is_flag=True, help="Fold norms into convolutions first: faster, same results."
    )(function)


def temperature_option(function: Callable) -> Callable:
    """Add `--temperature`."""
    return click.option(
        "--temperature",
        type=click.Choice(("global", "class")),
        default=None,
        help="With --confidence: use what `ibn-seg temperature` wrote beside CHECKPOINT.",
    )(function)


def amp_option(function: Callable) -> Callable:
    """Add `--amp`, which gives False, a precision, or True if it stands alone."""
    return click.option(
        _AMP,
        type=click.Choice((*PRECISIONS, _AUTO)),
        default=None,
        metavar="[bf16|fp16]",
        callback=lambda ctx, param, value: True if value == _AUTO else value or False,
        help="Mixed precision; needs a GPU. Alone it means fp16.",
    )(function)


def launch_options(function: Callable) -> Callable:
    """Add `--launcher`, `--local_rank` and `--verbose`."""
    for option in (
        _verbose_option,
        click.option("--local_rank", "--local-rank", type=int, default=None, hidden=True),
        click.option(
            "--launcher",
            type=click.Choice(LAUNCHERS),
            default="none",
            show_default=True,
            help="What started the processes; pytorch is torchrun.",
        ),
    ):
        function = option(function)
    return function


def set_local_rank(local_rank: int | None) -> None:
    """Pass on the rank that older launchers give as an argument."""
    if local_rank is not None:
        os.environ.setdefault("LOCAL_RANK", str(local_rank))


def command_line() -> str:
    """Return the command that runs, for the record of its result; it can be run again.

    `tools/train.py` is `ibn-seg train`. What torchrun has started is started by torchrun again.
    """
    context = click.get_current_context(silent=True)
    given = context.find_root().obj if context else None
    words = sys.argv[1:] if given is None else given
    return shlex.join([*_start(), *(word for word in words if not word.startswith(_RANKS))])


def _start() -> list[str]:
    """Return the words that start the package in as many processes as there are."""
    if "TORCHELASTIC_RUN_ID" not in os.environ:
        return ["ibn-seg"]
    here, every = (int(os.environ.get(key, 1)) for key in ("LOCAL_WORLD_SIZE", "WORLD_SIZE"))
    nodes = [f"--nnodes={every // here}"] if every > here else []
    return ["torchrun", *nodes, f"--nproc_per_node={here}", "-m", "ibn_seg"]
