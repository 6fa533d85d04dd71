"""Light, sky and tone of the source `varied`: every frame draws another weather and camera.

The ranges are as wide as the world allows, not as one data set looks. Numbers were chosen by
looking at frames, and by a batch-norm network's scores on CamVid's training split.
"""

import colorsys
import dataclasses
import random

import numpy as np

from ibn_seg.scenes.canvas import Canvas, Colour, mix, scaled
from ibn_seg.scenes.ids import SKY
from ibn_seg.scenes.looks import Look
from ibn_seg.scenes.scene import pick

_WHITE = (1.0, 1.0, 1.0)
# How often each weather comes, out of 20.
_WEATHERS = ("glare",) * 6 + ("blue",) * 5 + ("grey",) * 4 + ("broken",) * 3 + ("dusk",) * 2
# All light of a weather, as a share of a day in the open.
_LIGHT = {
    "glare": (0.35, 0.95),
    "blue": (0.45, 1.1),
    "grey": (0.4, 1.0),
    "broken": (0.35, 1.0),
    "dusk": (0.08, 0.32),
}


def varied_look(rng: random.Random) -> Look:
    """Draw one frame's appearance.

    Args:
        rng: The random numbers.
    """
    weather = pick(rng, *_WEATHERS)
    light = rng.uniform(*_LIGHT[weather])
    # The share of the light that comes from the sun itself: none below thick clouds.
    direct = rng.random() * (0.3 if weather in ("grey", "dusk") else 0.85)
    warmth, coolness = rng.uniform(-0.05, 0.14), rng.uniform(-0.03, 0.12)
    zenith, horizon, clouds, cloud_colour = _sky(weather, rng)
    haze = rng.random()
    return Look(
        sun=scaled((1.0 + warmth, 1.0, 1.0 - warmth), 1.7 * light * direct),
        sky=scaled((1.0 - coolness, 1.0, 1.0 + coolness), light * (1.1 - direct)),
        shadow=min(0.15 + direct * rng.uniform(0.5, 1.0), 0.8),
        contact=rng.uniform(0.25, 0.75),
        zenith=_held(zenith),
        horizon=_held(horizon),
        clouds=clouds,
        cloud_colour=_held(cloud_colour),
        # Most days are clear, and a few are misty: from 60 m to 3 km.
        visibility=60.0 + 2940.0 * haze * haze if haze > 0.1 else rng.uniform(60.0, 300.0),
        exposure=1.0,
        saturation=rng.uniform(0.25, 1.25),
        contrast=rng.uniform(0.9, 1.4),
        lift=max(rng.uniform(-0.04, 0.08), 0.0),
        cast=(rng.uniform(0.9, 1.1), rng.uniform(0.94, 1.06), rng.uniform(0.88, 1.12)),
        gamma=rng.uniform(0.75, 1.2),
        relief=1.0,
        roughness=rng.uniform(0.2, 0.8),
        blur=max(rng.uniform(-0.6, 0.5), 0.0),
        noise=max(rng.uniform(-2.0, 3.0), 0.0),
        vignette=rng.uniform(0.0, 0.25),
        headlights=0.0,
    )


def _sky(weather: str, rng: random.Random) -> tuple[Colour, Colour, float, Colour]:
    """Return the colours overhead and at the horizon, the cloud cover, and the clouds' colour."""
    blue = colorsys.hsv_to_rgb(
        rng.uniform(0.53, 0.63), rng.uniform(0.12, 0.75), rng.uniform(0.6, 1)
    )
    pale = mix(blue, _WHITE, rng.uniform(0.5, 1.0))
    tone = rng.uniform(0.5, 0.98)
    grey = (tone * rng.uniform(0.94, 1.02), tone, tone * rng.uniform(0.98, 1.08))
    if weather == "glare":
        # More light than the camera can hold: white, or nearly so.
        white = scaled(_WHITE, rng.uniform(0.95, 1.3))
        return mix(white, blue, max(rng.uniform(-0.3, 0.35), 0.0)), white, 0.0, white
    if weather == "blue":
        return blue, pale, max(rng.uniform(-0.2, 0.4), 0.0), scaled(_WHITE, rng.uniform(0.85, 1.05))
    if weather == "grey":
        cloud = scaled(grey, rng.uniform(0.75, 1.2))
        return grey, scaled(grey, rng.uniform(0.85, 1.25)), rng.uniform(0.0, 1.0), cloud
    if weather == "broken":
        cloud = scaled(grey, rng.uniform(0.7, 1.1))
        return mix(blue, grey, rng.random() * 0.7), pale, rng.uniform(0.35, 0.8), cloud
    dark = scaled(mix(blue, grey, rng.random()), rng.uniform(0.3, 0.85))
    glow = mix(scaled(dark, 1.2), (0.9, 0.75, 0.6), rng.random() * 0.6)
    return dark, glow, rng.uniform(0.2, 0.9), scaled(grey, rng.uniform(0.35, 0.8))


def exposed(look: Look, canvas: Canvas, rng: random.Random) -> Look:
    """Return the look with the exposure that a camera would choose for the street.

    Cameras expose for all of the frame, so the sky is often white and a street at dusk dark.

    Args:
        look: The frame's appearance.
        canvas: The finished scene.
        rng: The random numbers.
    """
    street = canvas.image[canvas.label != SKY][:, :3]
    # A sum of whole numbers: the same on every machine.
    level = int(street.sum(dtype=np.int64)) / max(street.size, 1)
    wanted = rng.uniform(50.0, 120.0) if level > 30.0 else rng.uniform(22.0, 60.0)
    return dataclasses.replace(look, exposure=min(max(wanted / max(level, 1.0), 0.8), 3.0))


def _held(colour: Colour) -> Colour:
    """Return the colour within the range that a picture holds."""
    return tuple(min(channel, 1.0) for channel in colour)
