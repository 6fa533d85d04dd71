"""The differences between domains: light, sky, haze, tone, colour, texture, optics, noise.

A `Style` holds ranges; every frame draws one `Look` from them (another time of day, another
exposure). Nothing here moves an edge, so the same scene has the same labels in every domain.

Pixels change by sums, products and tables only, and noise is made of whole numbers. A frame
therefore does not depend on how a processor rounds an exponential.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from ibn_seg.scenes.canvas import DEPTH_HALF, Camera, Canvas, Colour, mix
from ibn_seg.scenes.ids import (
    BUILDING,
    FENCE,
    ROAD,
    SIDEWALK,
    SKY,
    TERRAIN,
    VEGETATION,
    WALL,
)
from ibn_seg.scenes.styles import Style
from ibn_seg.scenes.texture import ground_relief, smooth_noise


@dataclass(frozen=True)
class Look:
    """One frame's appearance: values drawn from the ranges of a `Style`."""

    sun: Colour
    sky: Colour
    shadow: float
    contact: float
    zenith: Colour
    horizon: Colour
    clouds: float
    cloud_colour: Colour
    visibility: float
    exposure: float
    saturation: float
    contrast: float
    lift: float
    cast: Colour
    gamma: float
    relief: float
    roughness: float
    blur: float
    noise: float
    vignette: float
    headlights: float


def look_of(style: Style, rng: random.Random) -> Look:
    """Draw one frame's look from a style."""
    sun, sky = rng.uniform(*style.sun), rng.uniform(*style.sky)
    hour = rng.random()
    return Look(
        sun=tuple(sun * channel for channel in style.sun_colour),
        sky=tuple(sky * channel for channel in style.sky_colour),
        shadow=rng.uniform(*style.shadow),
        contact=rng.uniform(*style.contact),
        zenith=mix(*style.zenith, hour),
        horizon=mix(*style.horizon, hour),
        clouds=rng.uniform(*style.clouds),
        cloud_colour=style.cloud_colour,
        visibility=rng.uniform(*style.visibility),
        exposure=rng.uniform(*style.exposure),
        saturation=rng.uniform(*style.saturation),
        contrast=rng.uniform(*style.contrast),
        lift=rng.uniform(*style.lift),
        cast=tuple(rng.uniform(*channel) for channel in style.cast),
        gamma=rng.uniform(*style.gamma),
        relief=rng.uniform(*style.relief),
        roughness=rng.uniform(*style.roughness),
        blur=rng.uniform(*style.blur),
        noise=rng.uniform(*style.noise),
        vignette=rng.uniform(*style.vignette),
        headlights=rng.uniform(*style.headlights),
    )


def paint_sky(camera: Camera, look: Look, rng: random.Random) -> np.ndarray:
    """Return the sky with clouds down to the horizon, (rows, width, 3) uint8.

    Args:
        camera: Tells where the horizon is.
        look: The frame's colours and cloud cover.
        rng: Decides the shapes of the clouds; the same for all domains.
    """
    # The sky reaches a little below the horizon, where far things may not cover it.
    height = min(max(int(camera.cy) + 2, 8), camera.height)
    generator = np.random.default_rng(rng.getrandbits(63))
    up = np.clip((camera.cy - np.arange(height) - 0.5) / max(camera.cy, 1.0), 0.0, 1.0)
    # Air gets denser towards the horizon: the colour changes fastest there.
    share = (up * (2.0 - up))[:, None].astype(np.float32)
    scales = ((3, 4), (6, 9), (12, 20), (24, 40), (48, 80))
    cloud = smooth_noise(generator, (camera.width, height), scales)
    dense = np.clip((cloud - np.float32(1.0 - look.clouds)) * np.float32(3.0), 0.0, 1.0)
    dense *= np.float32(0.25) + np.float32(0.75) * share
    # Clouds are darker where they are thickest.
    body = np.float32(255.0) - np.float32(36.0) * dense * dense
    sky = np.empty((height, camera.width, 3), np.uint8)
    for channel in range(3):
        zenith, horizon = look.zenith[channel] * 255.0, look.horizon[channel] * 255.0
        clear = np.float32(horizon) + np.float32(zenith - horizon) * share
        cloudy = body * np.float32(look.cloud_colour[channel])
        sky[:, :, channel] = clear + (cloudy - clear) * dense
    return sky


# Metres after which the camera car's headlights have lost 63 %.
_HEADLIGHT_REACH = 18.0

# Strength of the texture per class, as a share of the brightness.
_TEXTURE = {
    ROAD: 0.16,
    SIDEWALK: 0.2,
    TERRAIN: 0.42,
    VEGETATION: 0.34,
    BUILDING: 0.13,
    WALL: 0.22,
    FENCE: 0.1,
    SKY: 0.0,
}


def develop(
    canvas: Canvas,
    look: Look,
    rng: np.random.Generator,
    relief: Sequence[np.ndarray] | None = None,
) -> np.ndarray:
    """Turn the painted scene into the frame that a domain's camera would deliver.

    Args:
        canvas: The finished scene.
        look: The appearance.
        rng: Decides texture and noise.
        relief: Factors on red, green and blue, each (height, width) float32; default the texture
            of the look, the same for all three.

    Returns:
        (height, width, 3) uint8 RGB.
    """
    relief = relief or (_relief(canvas, look, rng),) * 3
    if look.headlights:
        lamps = cv2.LUT(canvas.image[:, :, 3], _headlight_table(look.headlights))
        relief = [plane * lamps for plane in relief]
    haze = cv2.LUT(canvas.image[:, :, 3], _haze_table(look.visibility))
    # Channels are kept apart until the end: numpy is much faster on whole planes.
    planes = []
    for channel in range(3):
        plane = canvas.image[:, :, channel] * relief[channel]
        plane += (np.float32(look.horizon[channel] * 255.0) - plane) * haze
        planes.append(plane)
    grey = planes[0] * np.float32(0.3)
    grey += planes[1] * np.float32(0.59)
    grey += planes[2] * np.float32(0.11)
    light = _vignette(canvas.camera, look.vignette)
    light *= np.float32(look.exposure)
    table = _tone_table(look)
    sigma = look.blur * canvas.camera.height / 128.0
    noise = _noise(grey.shape, look.noise, rng) if look.noise > 0 else None
    for channel, plane in enumerate(planes):
        plane -= grey
        plane *= np.float32(look.saturation)
        plane += grey
        plane *= light
        plane *= np.float32(look.cast[channel])
        toned = cv2.LUT(_bytes(plane), table)
        if sigma > 0.1:
            toned = cv2.GaussianBlur(toned, (0, 0), sigma)
        if noise is not None:
            # Each channel has its own noise, and all share some.
            noisy = noise[channel] + noise[3]
            noisy += toned
            toned = _bytes(noisy)
        planes[channel] = toned
    return cv2.merge(planes)


def _bytes(plane: np.ndarray) -> np.ndarray:
    """Return float32 grey levels as uint8, rounded and clipped; changes `plane`."""
    plane += np.float32(0.5)
    return np.clip(plane, 0.0, 255.0, out=plane).astype(np.uint8)


def _relief(canvas: Canvas, look: Look, rng: np.random.Generator) -> np.ndarray:
    """Return the factor that texture puts on every pixel, (height, width) float32."""
    height, width = canvas.label.shape
    strength = np.full(256, 0.06, np.float32)
    for raw_id, value in _TEXTURE.items():
        strength[raw_id] = value
    patches = smooth_noise(rng, (width, height), ((24, 48), (64, 128)))
    grain = rng.integers(0, 256, (height, width), np.uint8)
    field = (patches - np.float32(0.5)) * np.float32(2.0 * (1.0 - look.roughness))
    field += (grain - np.float32(127.5)) * np.float32(look.roughness / 127.5)
    ground_relief(field, canvas, look.roughness)
    field *= cv2.LUT(canvas.label, strength * np.float32(look.relief))
    field += np.float32(1.0)
    return field


def _headlight_table(strength: float) -> np.ndarray:
    """Return the factor of the camera car's headlights for each depth code."""
    table = (1.0 + strength * np.exp(-_depths() / _HEADLIGHT_REACH)).astype(np.float32)
    table[0] = 1.0  # the sky
    return table


def _depths() -> np.ndarray:
    """Return the depth in metres of each depth code."""
    codes = np.arange(256, dtype=np.float64)
    return DEPTH_HALF * codes / np.maximum(255.0 - codes, 1.0)


def _haze_table(visibility: float) -> np.ndarray:
    """Return the share of haze for each depth code."""
    return (1.0 - np.exp(-_depths() / visibility)).astype(np.float32)


def _tone_table(look: Look) -> np.ndarray:
    """Return the tone curve as a table of 256 uint8."""
    level = np.arange(256) / 255.0
    curved = (level**look.gamma - 0.5) * look.contrast + 0.5
    lifted = look.lift + np.clip(curved, 0.0, 1.0) * (1.0 - look.lift)
    return np.round(np.clip(lifted, 0.0, 1.0) * 255.0).astype(np.uint8)


def _vignette(camera: Camera, loss: float) -> np.ndarray:
    """Return the share of light that reaches each pixel, (height, width) float32."""
    x = ((np.arange(camera.width) + 0.5) / camera.width * 2.0 - 1.0) ** 2
    y = ((np.arange(camera.height) + 0.5) / camera.height * 2.0 - 1.0) ** 2
    return (1.0 - loss * 0.5 * (x[None, :] + y[:, None])).astype(np.float32)


def _noise(shape: tuple[int, int], strength: float, rng: np.random.Generator) -> np.ndarray:
    """Return four planes of noise, (4, height, width) float32, to be added in pairs.

    The sum of two uniform bytes, of standard deviation 73.9 each, has a standard deviation of
    104.5.
    """
    height, width = shape
    raw = rng.integers(0, 256, (4 * height, width), np.uint8)
    table = ((np.arange(256) - 127.5) * (strength / 104.5)).astype(np.float32)
    return cv2.LUT(raw, table).reshape(4, height, width)
