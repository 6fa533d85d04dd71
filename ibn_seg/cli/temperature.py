"""`ibn-seg temperature`."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click

from ibn_seg.command_options import ConfigCommand, measurement_options

if TYPE_CHECKING:
    from ibn_seg.run.measurement import RunOptions


@click.command(cls=ConfigCommand)
@click.argument("config")
@click.argument("checkpoint")
@click.option("--oracle", metavar="NAME", help="Fit on a target's labels instead, to compare with.")
@measurement_options("temperature")
def temperature(
    config: str,
    checkpoint: str,
    oracle: str | None,
    options: "RunOptions",
) -> None:
    """Fit temperatures that make the confidence of CHECKPOINT honest on its source.

    A temperature divides the logits. One is fitted for all pixels, and one for each predicted
    class, by the negative log-likelihood. Half of the source's validation images are for the fit,
    and the other half is for the check. No target is looked at. Writes NAME.temperature.json beside
    the checkpoint. `predict`, `test`, `export` and `calibration` use it by --temperature.

    --oracle fits on the labels of a target, to show what would be possible. It writes a record
    alone.

    \b
    Examples:
      ibn-seg temperature CONFIG CHECKPOINT
      ibn-seg temperature CONFIG CHECKPOINT --oracle cityscapes
    """
    from ibn_seg.progress import progress_by_step
    from ibn_seg.run.fit_temperature import fit_temperature_of

    with progress_by_step() as move:
        result = fit_temperature_of(
            config,
            checkpoint,
            oracle=oracle,
            progress=move,
            **options,
        )
    for line in _lines(result["temperature"]):
        click.echo(line)
    if result["file"]:
        click.echo(result["file"])


def _lines(found: Mapping[str, Any]) -> list[str]:
    """Return the report of a fit."""
    lines = [found["oracle"]] if "oracle" in found else []
    lines.append(f"temperature of all pixels: {found['global']['values'][0]:.4f}")
    for part, title in (("fit", "the fit"), ("check", "the check")):
        one = found[part]
        lines.append(f"{title}: {len(one['images'])} images, {one['pixels']} pixels")
        for kind, words in (
            ("none", "no temperature"),
            ("global", "one for all"),
            ("class", "one for each class"),
        ):
            nll, ece = (one[kind][name] for name in ("nll", "ece"))
            if nll is not None:
                lines.append(f"  {words:<20} NLL {nll:.4f}  ECE {100 * ece:.2f} %")
    return lines + [f"note: {note}" for note in found["notes"]]
