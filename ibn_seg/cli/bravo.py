"""`ibn-seg bravo`."""

import click


@click.command()
@click.argument("results", nargs=-1, required=True, metavar="RESULT...")
def bravo(results: tuple[str, ...]) -> None:
    """Compute the index of the BRAVO challenge from result files.

    The files are test.json of predictions with pictures of confidence, calibration.json, and
    unknown.json. Their domains have the names of BRAVO's subsets: ACDCfog, ACDCrain, ACDCnight,
    ACDCsnow, synrain, synobjs, synflare and outofcontext, and SMIYC and synobjs for unknown things.
    The index is a harmonic mean, so all 54 values must be there. All pixels count, not BRAVO's
    sample of them.

    \b
    Examples:
      ibn-seg bravo work_dirs/bravo/test.json work_dirs/bravo/unknown.json
    """
    from ibn_seg.io import read_json
    from ibn_seg.trust.bravo import bravo_index, values_of

    found = bravo_index(values_of([read_json(path) for path in results]))
    for name, value in found.items():
        click.echo(f"{name:<20} {100 * value:.2f}")
