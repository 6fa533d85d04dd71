"""`ibn-seg test`."""

import click

from ibn_seg.command_options import (
    ConfigCommand,
    amp_option,
    command_line,
    config_options,
    fuse_option,
    launch_options,
    set_local_rank,
    temperature_option,
)


@click.command(cls=ConfigCommand)
@click.argument("config")
@click.argument("checkpoint")
@click.option("--work-dir", metavar="DIR", help="Default: work_dirs/NAME_OF_THE_CONFIG/test.")
@click.option("--out", metavar="DIR", help="Write the predictions as PNGs, and classes.yaml.")
@click.option(
    "--confidence",
    is_flag=True,
    help="With --out: write NAME_pred.png, NAME_conf.png and NAME_heat.png instead.",
)
@temperature_option
@click.option("--show", is_flag=True, help="Show the predictions in a window.")
@click.option("--show-dir", metavar="DIR", help="Write pictures of the predictions.")
@click.option("--wait-time", type=float, default=2.0, show_default=True, help="Seconds per window.")
@click.option("--tta", is_flag=True, help="Test with the config's tta_pipeline.")
@click.option(
    "--protocol",
    metavar="NAME",
    help="Evaluate as a published table does: sizes, windows and classes of each target.",
)
@fuse_option
@amp_option
@config_options
@launch_options
def test(
    config: str,
    checkpoint: str,
    work_dir: str | None,
    out: str | None,
    confidence: bool,
    temperature: str | None,
    show: bool,
    show_dir: str | None,
    wait_time: float,
    tta: bool,
    protocol: str | None,
    fuse: bool,
    amp: bool | str,
    cfg_options: tuple[str, ...],
    launcher: str,
    local_rank: int | None,
    verbose: bool,
) -> None:
    """Evaluate CHECKPOINT on every data set that CONFIG tests on.

    Prints mIoU, mAcc and aAcc of each domain, and writes test.json with the classes too.

    \b
    Examples:
      ibn-seg test CONFIG work_dirs/NAME/iter_40000.pth
      ibn-seg test CONFIG CHECKPOINT --out predictions/ --show-dir pictures/
      ibn-seg test CONFIG CHECKPOINT --out predictions/ --confidence    # pairs as BRAVO reads them
      ibn-seg test CONFIG CHECKPOINT --protocol robustnet    # or rein, ibn_paper, synthia16, ...
      ibn-seg test CONFIG CHECKPOINT --cfg-options test_dataloader.num_workers=4
      torchrun --nproc_per_node=2 tools/test.py CONFIG CHECKPOINT --launcher pytorch
    """
    from ibn_seg.run.config_loading import read_options
    from ibn_seg.run.segmentation import test as run

    set_local_rank(local_rank)
    result = run(
        config,
        checkpoint,
        work_dir=work_dir,
        out=out,
        confidence=confidence,
        temperature=temperature,
        show=show,
        show_dir=show_dir,
        wait_time=wait_time,
        tta=tta,
        fuse=fuse,
        amp=amp,
        protocol=protocol,
        cfg_options=read_options(cfg_options),
        launcher=launcher,
        quiet=not verbose,
        command=command_line(),
    )
    from ibn_seg.cli.score_output import print_domains

    print_domains(result)
