"""`ibn-seg train`."""

import click

from ibn_seg.command_options import (
    ConfigCommand,
    amp_option,
    command_line,
    config_options,
    launch_options,
    set_local_rank,
    split_words,
)


@click.command(cls=ConfigCommand)
@click.argument("config")
@click.option("--work-dir", metavar="DIR", help="Default: work_dirs/NAME_OF_THE_CONFIG.")
@click.option("--resume", is_flag=True, help="Go on from the newest checkpoint in the work dir.")
@amp_option
@click.option("--compile", "compiled", is_flag=True,
              help="Compile the network (torch.compile); its first steps are slow.")  # fmt: skip
@click.option(
    "--seed",
    type=click.IntRange(min=0),
    help="Default: the config's, else 0; with --resume that of the checkpoint.",
)
@click.option(
    "--log",
    "loggers",
    multiple=True,
    metavar="NAME",
    help="Send the curves to tensorboard, wandb or mlflow too; several with commas.",
)
@config_options
@launch_options
def train(
    config: str,
    work_dir: str | None,
    resume: bool,
    amp: bool | str,
    compiled: bool,
    seed: int | None,
    loggers: tuple[str, ...],
    cfg_options: tuple[str, ...],
    launcher: str,
    local_rank: int | None,
    verbose: bool,
) -> None:
    """Train a network from CONFIG: a file, or `ibn_seg::FOLDER/NAME` from the package.

    The work dir receives checkpoints, the log, and result.json with all metrics and curves.
    Interrupt at any time: `--resume` goes on and ends with the same weights. If the config has
    changed by then, its settings hold from there on, its schedule too. Where there are checkpoints
    and none can be used, `--resume` is an error.

    Without `--resume` a training begins anew. It replaces an earlier run in the work dir, unless
    that is of another network. A work dir belongs to one training at a time.

    \b
    Examples:
      ibn-seg train configs/demo/NAME.py --work-dir work_dirs/first --seed 1
      ibn-seg train CONFIG --resume
      ibn-seg train CONFIG --log tensorboard
      ibn-seg train CONFIG --cfg-options train_cfg.max_iters=2000 train_dataloader.batch_size=4
      torchrun --nproc_per_node=2 tools/train.py CONFIG --launcher pytorch
    """
    from ibn_seg.run.config_loading import read_options
    from ibn_seg.run.segmentation import train as run

    set_local_rank(local_rank)
    result = run(
        config,
        work_dir=work_dir,
        resume=resume,
        amp=amp,
        compiled=compiled,
        seed=seed,
        log=[name for text in loggers for name in split_words(text)],
        cfg_options=read_options(cfg_options),
        launcher=launcher,
        quiet=not verbose,
        command=command_line(),
    )
    from ibn_seg.cli.score_output import print_domains

    print_domains(result)
