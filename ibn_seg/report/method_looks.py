"""Gives each method a colour and a shape, which follow its name and not its place on a page.

A method of the package's table looks alike on every page. Any other name has a colour of its own
too, which it leaves only to another method of the same page.
"""

import hashlib
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ibn_seg.report.runs import order_methods

# Colours of the methods on white and on the dark page. Each has a contrast of at least 3 to its
# ground, as WCAG 2.2 asks of drawings (1.4.11), and any two differ by at least 20 in CIELAB.
LIGHT = (
    "#7b8590", "#2f6fd0", "#d9701a", "#1b936f", "#a4478f", "#a48b00",
    "#2f9bc8", "#8a5a3b", "#d23b4e", "#5a3fb0", "#0b5f6b", "#e667a8",
)  # fmt: skip
DARK = (
    "#98a2ae", "#6ea5f7", "#f29b4b", "#43c296", "#d583c3", "#d2ba3c",
    "#6ccaf0", "#c39270", "#ff7a85", "#9d8cf5", "#2f9aa6", "#ffb0d8",
)  # fmt: skip
# Matplotlib's markers; the style sheet has the same shapes in this order. Methods differ by shape
# too, for readers who do not see the colours, and because there are more methods than colours.
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")

# Each row has the colours from the second on, in their order: the grey is the baseline's alone.
# Methods of one column share a colour and differ in shape. A new name goes to an end: a name that
# moves changes its colour on every page.
_BASELINE = "BN"
_ROWS = (
    ("IBN-a", "IBN-b", "ISW", "RandConv", "PASTA", "MixStyle",
     "SAN-SAW", "SW-5", "DSU", "IN", "IterNorm"),
    ("FDA", "SAN-SAW (released)", "strong colour", "pAdaIN", "CrossNorm", "FACT mix",
     "NP+", "AdaBN", "TENT", "SW-3", "jitter and blur"),
    ("EFDMix", "SelfNorm", "RandConv (consistency)", "IW", "IRW", "SW",
     "batch BN", "SAN"),
)  # fmt: skip


@dataclass(frozen=True)
class Look:
    """How a method looks on a page.

    Args:
        colour: Number of its colour, a place in `LIGHT` and `DARK`.
        shape: Number of its shape, a place in `MARKERS`.
    """

    colour: int
    shape: int

    @property
    def marker(self) -> str:
        """Its marker in a drawing."""
        return MARKERS[self.shape]


def _fixed_looks() -> dict[str, Look]:
    """Return the looks that never change."""
    found = {_BASELINE: Look(0, 0)}
    for at, row in enumerate(_ROWS):
        for colour, name in enumerate(row, 1):
            # Five and eight have no common factor, so the shapes of a column differ.
            found[name] = Look(colour, (colour + 5 * at) % len(MARKERS))
    return found


FIXED_LOOKS = _fixed_looks()


def method_looks(methods: Iterable[str]) -> dict[str, Look]:
    """Return the looks of the methods of a page, in the order of tables.

    Two methods share a colour only if both are in the package's table, or all colours are taken.
    They then differ in shape, up to eight methods of a colour.

    Args:
        methods: All methods of the page. A method outside the table keeps its colour if no other
            of them has it.
    """
    given = order_methods(list(methods))
    found = {name: FIXED_LOOKS[name] for name in given if name in FIXED_LOOKS}
    # By name, so that the order in which results were read changes nothing.
    for name in sorted(name for name in given if name not in found):
        found[name] = _free_look(name, tuple(found.values()))
    return {name: found[name] for name in given}


def _free_look(name: str, taken: Sequence[Look]) -> Look:
    """Return the look of a name that the table does not have: its own if that is free.

    Otherwise it has the next colour that fewest methods have.
    """
    others = len(LIGHT) - 1
    # Python's own hash differs between processes.
    own = int.from_bytes(hashlib.sha256(name.encode()).digest()[:4], "big") % others
    colours = [1 + (own + step) % others for step in range(others)]
    uses = Counter(look.colour for look in taken)
    colour = min(colours, key=lambda one: uses[one])
    shapes = [(colour + step) % len(MARKERS) for step in range(len(MARKERS))]
    looks = [Look(colour, shape) for shape in shapes]
    return next((look for look in looks if look not in taken), looks[0])


def style_of_colours() -> str:
    """Return the style sheet's variables of the colours: `--series-0` and so on."""
    light, dark = (
        " ".join(f"--series-{k}: {colour};" for k, colour in enumerate(colours))
        for colours in (LIGHT, DARK)
    )
    return f":root {{ {light} }}\n@media (prefers-color-scheme: dark) {{ :root {{ {dark} }} }}\n"
