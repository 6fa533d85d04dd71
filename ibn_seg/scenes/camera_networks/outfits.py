"""What makes a person: body, hair, clothes and things; the same in every picture.

Colours come from a small grid, as in RandPerson (Wang et al., ACM MM 2020), so that they repeat
among people. A colour alone therefore seldom tells who it is.
"""

import colorsys
import random
from dataclasses import dataclass

from ibn_seg.scenes import palette
from ibn_seg.scenes.canvas import Colour, scaled
from ibn_seg.scenes.scene import pick

_HUES = 9
_HUE_JITTER = 0.015
_SATURATIONS = (0.45, 0.8)
_VALUES = (0.25, 0.5, 0.78)
_GREYS = (0.1, 0.25, 0.45, 0.65, 0.85)
# Three in seven are plain.
_PATTERNS = ("plain", "plain", "plain", "stripes", "halves", "jacket", "print")


@dataclass(frozen=True)
class Outfit:
    """A person.

    Attributes:
        height: Factor on all lengths.
        width: Factor on widths, beside `height`.
        skin: Colour of face, hands and bare legs.
        hair: Colour of the hair.
        long_hair: Whether it covers the neck.
        top: Colour of the upper garment.
        second: Second colour of its pattern.
        pattern: 'plain', 'stripes', 'halves', 'jacket' (open, seen from ahead) or 'print'.
        sleeves: Whether the sleeves are long.
        lower: 'trousers', 'shorts' or 'skirt'.
        legs: Colour of the lower garment.
        shoes: Colour of the shoes.
        bag: 'backpack', 'shoulder' or ''.
        bag_colour: Colour of the bag.
        hat: Colour of the hat, or None.
    """

    height: float
    width: float
    skin: Colour
    hair: Colour
    long_hair: bool
    top: Colour
    second: Colour
    pattern: str
    sleeves: bool
    lower: str
    legs: Colour
    shoes: Colour
    bag: str
    bag_colour: Colour
    hat: Colour | None


def outfit_of(key: str) -> Outfit:
    """Return the person of a key; the same key gives the same person."""
    rng = random.Random(f"outfit/{key}")
    skin = palette.skin(rng)
    return Outfit(
        height=rng.uniform(0.9, 1.1),
        width=rng.uniform(0.88, 1.18),
        skin=skin,
        hair=scaled(palette.skin(rng), rng.uniform(0.15, 0.75)),
        long_hair=rng.random() < 0.4,
        top=cloth(rng),
        second=cloth(rng),
        pattern=pick(rng, *_PATTERNS),
        sleeves=rng.random() < 0.6,
        lower=pick(rng, "trousers", "trousers", "trousers", "shorts", "skirt"),
        legs=cloth(rng),
        shoes=palette.grey(rng, 0.05, 0.85),
        bag=pick(rng, "", "", "backpack", "shoulder"),
        bag_colour=cloth(rng),
        hat=cloth(rng) if rng.random() < 0.2 else None,
    )


def cloth(rng: random.Random) -> Colour:
    """Return a colour of the grid: 54 of nine hues, and five greys, which two in five wear."""
    grey, hue = pick(rng, *_GREYS), int(rng.random() * _HUES) / _HUES
    saturation, value = pick(rng, *_SATURATIONS), pick(rng, *_VALUES)
    shift = rng.uniform(-_HUE_JITTER, _HUE_JITTER)
    if rng.random() < 0.4:
        return (grey, grey, grey)
    return colorsys.hsv_to_rgb((hue + shift) % 1.0, saturation, value)
