"""Random colours of things before any light falls on them.

The ranges of different classes overlap on purpose: shape and texture should identify a class, not a
colour. All domains draw from the same ranges.
"""

import colorsys
import random

from ibn_seg.scenes.canvas import Colour

Range = tuple[float, float]


def _hsv(rng: random.Random, hue: Range, sat: Range, value: Range) -> Colour:
    """Return a colour drawn evenly from ranges of hue, saturation and value."""
    return colorsys.hsv_to_rgb(rng.uniform(*hue) % 1.0, rng.uniform(*sat), rng.uniform(*value))


def grey(rng: random.Random, low: float, high: float) -> Colour:
    """Return a nearly neutral grey."""
    return _hsv(rng, (0.0, 1.0), (0.0, 0.08), (low, high))


def paint(rng: random.Random) -> Colour:
    """Return a vehicle's paint: neutral for about half of them, else any hue."""
    kind = rng.random()
    if kind < 0.2:
        return grey(rng, 0.75, 0.95)
    if kind < 0.36:
        return grey(rng, 0.3, 0.6)
    if kind < 0.5:
        return grey(rng, 0.07, 0.18)
    return _hsv(rng, (0.0, 1.0), (0.35, 0.9), (0.25, 0.85))


def cloth(rng: random.Random) -> Colour:
    """Return the colour of a piece of clothing."""
    if rng.random() < 0.4:
        return grey(rng, 0.08, 0.85)
    return _hsv(rng, (0.0, 1.0), (0.2, 0.85), (0.2, 0.85))


def skin(rng: random.Random) -> Colour:
    """Return a skin tone."""
    tone = rng.random()
    return (0.36 + 0.5 * tone, 0.22 + 0.46 * tone, 0.15 + 0.42 * tone)


def facade(rng: random.Random) -> Colour:
    """Return the colour of a house's wall: plaster, brick, stone, concrete or glass."""
    kind = rng.random()
    if kind < 0.3:
        return _hsv(rng, (0.07, 0.15), (0.1, 0.4), (0.6, 0.92))
    if kind < 0.5:
        return _hsv(rng, (0.0, 0.07), (0.35, 0.65), (0.4, 0.7))
    if kind < 0.75:
        return grey(rng, 0.4, 0.85)
    return _hsv(rng, (0.0, 1.0), (0.1, 0.4), (0.45, 0.85))


def masonry(rng: random.Random) -> Colour:
    """Return the colour of a free-standing wall."""
    if rng.random() < 0.4:
        return _hsv(rng, (0.0, 0.09), (0.25, 0.6), (0.35, 0.7))
    return _hsv(rng, (0.05, 0.18), (0.02, 0.2), (0.4, 0.8))


def leaf(rng: random.Random) -> Colour:
    """Return the colour of foliage, from yellowish and brownish to deep green."""
    if rng.random() < 0.12:
        return _hsv(rng, (0.06, 0.15), (0.5, 0.75), (0.4, 0.65))
    return _hsv(rng, (0.2, 0.36), (0.35, 0.7), (0.26, 0.55))


def grass(rng: random.Random) -> Colour:
    """Return the colour of open ground: lawn, dry grass or soil."""
    kind = rng.random()
    if kind < 0.7:
        return _hsv(rng, (0.17, 0.31), (0.35, 0.65), (0.38, 0.62))
    return _hsv(rng, (0.08, 0.14), (0.25, 0.5), (0.4, 0.65))


def asphalt(rng: random.Random) -> Colour:
    """Return the colour of the road."""
    return _hsv(rng, (0.05, 0.7), (0.0, 0.1), (0.26, 0.48))


def paving(rng: random.Random) -> Colour:
    """Return the colour of the sidewalk."""
    return _hsv(rng, (0.0, 0.15), (0.02, 0.2), (0.42, 0.72))


def metal(rng: random.Random) -> Colour:
    """Return the colour of poles and rails."""
    if rng.random() < 0.3:
        return _hsv(rng, (0.25, 0.5), (0.15, 0.4), (0.15, 0.4))
    return grey(rng, 0.15, 0.7)


def accent(rng: random.Random) -> Colour:
    """Return a strong colour, for shop signs and stripes."""
    return _hsv(rng, (0.0, 1.0), (0.5, 0.95), (0.4, 0.9))
