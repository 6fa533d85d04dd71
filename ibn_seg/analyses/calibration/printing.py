"""Prints measures of trust on the terminal."""

from collections.abc import Mapping
from typing import Any

from ibn_seg.analyses.calibration.numbers import AT_TEMPERATURE, OF_IMAGES, REMOVED, SHARES


def print_trust(trust: Mapping[str, Mapping[str, Any]]) -> None:
    """Print the pooled measures of each domain in percent, and why some are undefined.

    Args:
        trust: By domain, as `ibn_seg.trust.trust_measures.trust_measures` returns it.
    """
    from rich.table import Table

    from ibn_seg.terminal import plain_console

    console = plain_console()
    ece = next(iter(trust.values()))["ece"]
    caption = f"ECE: {ece['kind']}, {ece['bins']} bins; all pixels of a domain pooled, percent"
    table = Table(title="confidence", caption=caption)
    table.add_column("domain")
    for title in (*SHARES.values(), OF_IMAGES):
        table.add_column(title, justify="right")
    for domain, found in trust.items():
        values = [*(found["pooled"][name] for name in SHARES), found["mean_of_images"]["ece"]]
        table.add_row(domain, *("-" if v is None else f"{100 * v:.2f}" for v in values))
    console.print(table)
    for domain, found in trust.items():
        for name, title in SHARES.items():
            if reason := found["undefined"].get(f"pooled.{name}"):
                console.print(f"{domain}: no {title}: {reason}", highlight=False)


def print_tempered(tempered: Mapping[str, Mapping[str, Any]]) -> None:
    """Print what a temperature does on each domain, in percent.

    Args:
        tempered: By domain, as `ibn_seg.trust.tempered_measures.tempered_measures` returns it.
    """
    from rich.table import Table

    from ibn_seg.terminal import plain_console

    caption = "images that the temperature was fitted on are left out"
    table = Table(title="at the temperature of the source", caption=caption)
    for title in ("domain", "images", "ECE before", AT_TEMPERATURE, REMOVED):
        table.add_column(title, justify="left" if title == "domain" else "right")
    for domain, found in tempered.items():
        after = found["trust"] and found["trust"]["pooled"]["ece"]
        values = (found["ece_before"], after, found["ece_removed"])
        shown = ("-" if value is None else f"{100 * value:.2f}" for value in values)
        table.add_row(domain, str(found["images"]), *shown)
    plain_console().print(table)
