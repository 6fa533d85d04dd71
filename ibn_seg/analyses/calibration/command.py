"""`ibn-seg calibration`."""

from typing import TYPE_CHECKING

import click

from ibn_seg.analyses.calibration.options import OPTIONS
from ibn_seg.analyses.option_kinds import add_options
from ibn_seg.command_options import ConfigCommand, measurement_options

if TYPE_CHECKING:
    from ibn_seg.run.measurement import RunOptions


@click.command(cls=ConfigCommand)
@click.argument("config")
@click.argument("checkpoint")
@add_options(OPTIONS, "domains", "temperature")
@measurement_options("calibration", protocol=True)
def calibration(
    config: str,
    checkpoint: str,
    domains: tuple[str, ...],
    temperature: str | None,
    protocol: str | None,
    options: "RunOptions",
) -> None:
    """Measure on each domain whether CHECKPOINT knows where it is wrong.

    Confidence is the probability of the predicted class. ECE says how far it is from the share of
    right pixels. AUROC and FPR@95 say how well it tells wrong pixels from right ones. Writes
    calibration.json, and small histograms of each image in calibration_confidences.npz.

    --temperature measures once more at the temperatures that `ibn-seg temperature` fits on the
    source. It fits them if none lie beside CHECKPOINT.

    \b
    Examples:
      ibn-seg calibration CONFIG CHECKPOINT
      ibn-seg calibration CONFIG CHECKPOINT --domain gta5 --domain cityscapes
      ibn-seg calibration CONFIG CHECKPOINT --temperature global
    """
    from ibn_seg.analyses.calibration.printing import print_tempered, print_trust
    from ibn_seg.analyses.calibration.run import calibration as run
    from ibn_seg.progress import progress_by_step

    with progress_by_step() as move:
        result = run(
            config,
            checkpoint,
            domains=domains,
            temperature=temperature,
            protocol=protocol,
            progress=move,
            **options,
        )
    print_trust(result["trust"])
    if result.get("tempered"):
        print_tempered(result["tempered"])
