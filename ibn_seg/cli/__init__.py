"""The `ibn-seg` command: lazily loaded subcommands, one-line errors, exit codes for scripts."""

import contextlib
import importlib
import os
import sys
import traceback
import warnings
from collections.abc import Sequence

import click

from ibn_seg import __version__
from ibn_seg.analyses.all_analyses import ANALYSES, analysis
from ibn_seg.environment import environment_error
from ibn_seg.errors import TRACEBACK_VARIABLE, UserError
from ibn_seg.heap import keep_freed_memory

# name -> (place of the command, its line in the overview)
COMMANDS = {
    "demo": ("ibn_seg.cli.demo:demo", "Train and compare BN, IBN-a and IBN-b on embedded scenes."),
    "train": ("ibn_seg.cli.train:train", "Train a network from a config."),
    "test": ("ibn_seg.cli.test:test", "Evaluate a checkpoint on the config's data sets."),
    "evaluate": (
        "ibn_seg.cli.evaluate:evaluate",
        "Score any network, or predictions in files, on named domains.",
    ),
    "report": ("ibn_seg.cli.report:report", "Write a page about trainings or evaluations."),
    **{
        name: (f"ibn_seg.analyses.{name}.command:{name}", analysis(name).summary)
        for name in ANALYSES
    },
    "temperature": (
        "ibn_seg.cli.temperature:temperature",
        "Fit temperatures that make confidence honest.",
    ),
    "bravo": ("ibn_seg.cli.bravo:bravo", "Compute the index of the BRAVO challenge."),
    "predict": ("ibn_seg.cli.predict:predict", "Segment pictures, folders or videos."),
    "export": ("ibn_seg.cli.export:export", "Write a network as an ONNX file."),
    "benchmark": ("ibn_seg.cli.benchmark:benchmark", "Train and compare a matrix of networks."),
    "leaderboard": (
        "ibn_seg.cli.leaderboard:leaderboard",
        "Compare results in one page, with intervals.",
    ),
    "panels": ("ibn_seg.cli.panels:panels", "Predict the images on which methods disagree most."),
    "scenes": ("ibn_seg.cli.scenes:scenes", "Render the embedded street scenes as data sets."),
    "data": ("ibn_seg.cli.data:data", "Check, unpack and measure downloaded data sets."),
    "cache": ("ibn_seg.cli.data_cache:cache", "Decode training frames once, for fast crops."),
    "swap": ("ibn_seg.cli.swap:swap", "Put an IBN backbone into an existing config."),
    "imagenet": (
        "ibn_seg.cli.imagenet:imagenet",
        "Train and test classifiers on ImageNet's layout.",
    ),
    "reid": ("ibn_seg.cli.reid:reid", "Search people or vehicles across cameras."),
    "import-mxnet": (
        "ibn_seg.cli.import_mxnet:import_mxnet",
        "Turn a checkpoint of MXNet into one of ours.",
    ),
    "models": ("ibn_seg.cli.models:models", "List the backbones."),
}
INTERRUPTED = 130
BROKEN_PIPE = 141  # a shell's exit code for a program that SIGPIPE ended
# Commands that keep freed memory. Training does not: at full size it would take twice the memory.
_KEEPING = (
    "test", "evaluate", "predict", *(name for name in ANALYSES if analysis(name).keeps_memory)
)  # fmt: skip
# Their warnings are for developers. Errors tell a user what matters.
_CHATTY = r"(mmcv|mmengine|mmseg|torch)(\.|$)"


class LazyGroup(click.Group):
    """A group that imports a subcommand on first use."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names in the order in which a user needs them."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        """Import one subcommand."""
        if name not in COMMANDS:
            return None
        module, _, attribute = COMMANDS[name][0].partition(":")
        return getattr(importlib.import_module(module), attribute)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the subcommands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, summary) for name, (_, summary) in COMMANDS.items()])

    def resolve_command(self, ctx: click.Context, args: list[str]) -> tuple:
        """Find a subcommand; for an unknown one, suggest the nearest name."""
        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            from ibn_seg.errors import unknown

            raise unknown("command", args[0], COMMANDS)
        return super().resolve_command(ctx, args)


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="ibn-seg")
def cli() -> None:
    """IBN-Net for domain-generalised semantic segmentation.

    \b
    Examples:
      ibn-seg demo                                   # everything, on embedded scenes
      ibn-seg train configs/demo/NAME.py             # train from a config file
      ibn-seg train ibn_seg::demo/NAME --seed 1      # ... or from one in the package
      ibn-seg test CONFIG work_dirs/NAME/iter_600.pth
      ibn-seg predict CONFIG CHECKPOINT my_photos/ --out predictions/

    `ibn-seg COMMAND --help` explains each command.

    \b
    Exit codes:
      0    success
      1    a bug in ibn-seg, with its traceback
      2    wrong input or usage
      3    the environment cannot do it: disk, permissions, a missing package
      130  interrupted
      141  whoever read the output through a pipe has gone

    With IBN_SEG_TRACEBACK=1 in the environment, errors 2 and 3 come with their
    traceback.
    """


def main(args: Sequence[str] | None = None) -> None:
    """Run the command line and exit."""
    given = sys.argv[1:] if args is None else list(args)
    if given and given[0] in _KEEPING:
        keep_freed_memory()
    sys.exit(run(given))


def run(args: Sequence[str]) -> int:
    """Run the command line and return its exit code; errors are one line on stderr."""
    warnings.filterwarnings("ignore", module=_CHATTY)
    stdout = sys.stdout
    try:
        # `command_line` records the object.
        cli.main(args=list(args), prog_name="ibn-seg", standalone_mode=False, obj=tuple(args))
    except click.ClickException as error:
        with _whoever_reads():
            error.show()
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        return _interrupted()
    except SystemExit as stop:
        # click and rich end this way if a pipe's reader has gone, as in `ibn-seg models | head`.
        # click has then replaced stdout by a wrapper.
        if isinstance(stop.__context__, BrokenPipeError) or sys.stdout is not stdout:
            return BROKEN_PIPE
        raise
    except Exception as error:
        if _began_as_interrupt(error):
            return _interrupted()
        explanation = error if isinstance(error, UserError) else environment_error(error)
        if explanation is None:
            raise
        return _report(explanation, error)
    return 0


def _interrupted() -> int:
    with _whoever_reads():
        click.echo("interrupted", err=True)
    return INTERRUPTED


def _began_as_interrupt(error: BaseException | None) -> bool:
    """Tell whether Ctrl-C became another error, as mmengine catches everything in some places."""
    seen: set[int] = set()  # `raise error from error` is its own cause
    while error is not None and id(error) not in seen:
        if isinstance(error, KeyboardInterrupt):
            return True
        seen.add(id(error))
        error = error.__cause__ or error.__context__
    return False


def _report(error: UserError, raised: BaseException) -> int:
    """Print the error line, after the traceback if the user asks for it."""
    with _whoever_reads():
        if os.environ.get(TRACEBACK_VARIABLE):
            traceback.print_exception(raised)
        click.echo(f"error: {error.line}", err=True)
    return error.exit_code


def _whoever_reads() -> contextlib.AbstractContextManager:
    """Print a last line; if stderr is on the full disk, only the exit code remains."""
    return contextlib.suppress(OSError)
