"""The console that tables of all commands are printed on."""

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console


def plain_console() -> "Console":
    """Return a console on stdout that prints every text as it is.

    Rich would read brackets in names, such as a class '[wall]', as its markup and leave them out.
    It would draw ':car:' as a picture.
    """
    from rich.console import Console

    return Console(file=sys.stdout, markup=False, emoji=False)
