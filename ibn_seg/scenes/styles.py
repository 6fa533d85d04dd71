"""The looks of the embedded domains, as ranges; every frame draws its own look from them."""

from dataclasses import dataclass

from ibn_seg.scenes.canvas import Colour

Range = tuple[float, float]


@dataclass(frozen=True)
class Style:
    """Ranges that the looks of one domain are drawn from.

    Attributes:
        sun: Strength of direct sunlight on a surface that faces it.
        sky: Strength of the light from the whole sky.
        sun_colour: Colour of the direct light.
        sky_colour: Colour of the diffuse light, and so of the shadows.
        shadow: Share of light that a cast shadow takes away.
        contact: Share of light that is missing right below things.
        zenith: Two colours of the sky overhead; a look lies between them.
        horizon: Two colours of the sky at the horizon.
        clouds: Share of the sky that clouds cover.
        cloud_colour: Colour of the clouds.
        visibility: Distance in metres after which 63 % of a thing's colour is haze.
        exposure: Factor on all light.
        saturation: 0 is grey, 1 leaves colours as they are.
        contrast: Slope of the tone curve at middle grey.
        lift: What black becomes, 0..1.
        cast: Factor range of the red, green and blue channel.
        gamma: Exponent of the tone curve.
        relief: Factor on the texture of surfaces.
        roughness: Share of fine grain in the texture, against broad patches.
        blur: Standard deviation of the optical blur at a height of 128 pixels, in pixels.
        noise: Strength of the sensor's noise in grey levels (standard deviation).
        vignette: Share of light lost in the corners.
        headlights: Light of the camera's own car right in front of it, added to the other light.
    """

    sun: Range
    sky: Range
    sun_colour: Colour
    sky_colour: Colour
    shadow: Range
    contact: Range
    zenith: tuple[Colour, Colour]
    horizon: tuple[Colour, Colour]
    clouds: Range
    cloud_colour: Colour
    visibility: Range
    exposure: Range
    saturation: Range
    contrast: Range
    lift: Range
    cast: tuple[Range, Range, Range]
    gamma: Range
    relief: Range
    roughness: Range
    blur: Range
    noise: Range
    vignette: Range
    headlights: Range = (0.0, 0.0)


# The target's values were chosen in three rounds. Each round looked at a batch-norm ResNet-18
# alone, trained from scratch on 250 source frames for 300 iterations of batch 8. Source and target
# mIoU were 36 and 6 in round 1 (output stride 16), then 46 and 8, then 44 and 21 (both at stride
# 8). The goal was a gap of 15 to 30 points. Before the last round, the network of round 2 was
# tested on variants of the target. Tone made most of the gap, then colour. The source's haze, sky,
# light, noise or texture gave back less than a point each. The frames looked at were of scene seed
# 0; the demo renders seed 1. Under a schedule like the demo's (700 iterations) the batch-norm
# network then had 45 and 18. The styles were frozen there, before any network with instance norms
# was trained on them. The hashes in tests/scenes/golden.json guard them.
#
# Night and fog were written later, in one round, by looking at four scenes of seed 0. They were
# frozen after measuring the demo's batch-norm networks of two training seeds on 100 frames each.
# The mIoU was 13 and 16 on night, 11 and 11 on fog, 17 and 19 on the target. No network with
# instance norms had been run on them.
STYLES: dict[str, Style] = {
    "source": Style(
        # A strong warm sun, and a blue sky that lights the shadows: each face of a box has its own
        # tone.
        sun=(0.55, 0.72),
        sky=(0.68, 0.8),
        sun_colour=(1.08, 1.0, 0.86),
        sky_colour=(0.94, 1.0, 1.1),
        shadow=(0.45, 0.58),
        contact=(0.5, 0.65),
        # Fine weather from a deep to a milky blue, with a few white clouds.
        zenith=((0.16, 0.38, 0.8), (0.28, 0.52, 0.88)),
        horizon=((0.66, 0.82, 0.95), (0.86, 0.88, 0.86)),
        clouds=(0.1, 0.5),
        cloud_colour=(0.99, 0.98, 0.96),
        # Clear air: the end of the street is only a little paler than its beginning.
        visibility=(500.0, 1200.0),
        # Games grade colours for effect: bright, saturated, high contrast, a little warm, true
        # black.
        exposure=(1.0, 1.14),
        saturation=(1.2, 1.42),
        contrast=(1.04, 1.2),
        lift=(0.0, 0.02),
        cast=((0.99, 1.06), (0.97, 1.02), (0.92, 1.0)),
        gamma=(0.95, 1.08),
        # Clean textures of broad patches.
        relief=(0.8, 1.0),
        roughness=(0.2, 0.35),
        # A renderer has neither lens nor sensor.
        blur=(0.0, 0.0),
        noise=(0.0, 0.0),
        vignette=(0.0, 0.05),
    ),
    "target": Style(
        # Thin overcast: light from everywhere, faint shadows, but still dark below cars.
        sun=(0.22, 0.38),
        sky=(0.78, 0.92),
        sun_colour=(1.0, 1.0, 0.97),
        sky_colour=(0.98, 1.0, 1.02),
        shadow=(0.14, 0.28),
        contact=(0.3, 0.45),
        # A bright grey sky, nearly as bright as the white of the horizon.
        zenith=((0.7, 0.75, 0.82), (0.82, 0.85, 0.88)),
        horizon=((0.88, 0.9, 0.92), (0.94, 0.94, 0.93)),
        clouds=(0.5, 0.95),
        cloud_colour=(0.88, 0.9, 0.92),
        # Mist: a sixth to a third of the colour is gone at 80 m.
        visibility=(200.0, 460.0),
        # An ungraded camera: half the source's saturation, a flatter curve, washed-out black and a
        # greenish cast by the windscreen. These weigh most and were weakened twice: with contrast
        # 0.72 to 0.9 and saturation 0.4 to 0.7 the batch-norm network was at 8 points.
        exposure=(0.94, 1.12),
        saturation=(0.58, 0.88),
        contrast=(0.86, 1.04),
        lift=(0.015, 0.045),
        cast=((0.92, 0.99), (0.98, 1.03), (0.95, 1.04)),
        gamma=(0.92, 1.08),
        # Worn surfaces: more fine grain, fewer clean patches.
        relief=(0.8, 1.1),
        roughness=(0.4, 0.65),
        # A small lens and sensor: softer than a pixel, visible but mild noise, darker corners.
        blur=(0.25, 0.45),
        noise=(0.8, 2.2),
        vignette=(0.08, 0.2),
    ),
    "night": Style(
        # A moon at most; the streets are lit by lamps and the sky above the town.
        sun=(0.02, 0.08),
        sky=(0.24, 0.38),
        sun_colour=(0.85, 0.95, 1.1),
        sky_colour=(1.12, 0.98, 0.78),
        shadow=(0.0, 0.1),
        contact=(0.3, 0.5),
        zenith=((0.02, 0.03, 0.07), (0.07, 0.08, 0.12)),
        horizon=((0.1, 0.09, 0.1), (0.24, 0.19, 0.15)),
        clouds=(0.1, 0.8),
        cloud_colour=(0.14, 0.12, 0.11),
        visibility=(120.0, 300.0),
        # The camera opens up, and its small sensor shows: noise, blur, dark corners.
        exposure=(1.25, 1.7),
        saturation=(0.6, 0.9),
        contrast=(0.9, 1.1),
        lift=(0.01, 0.04),
        cast=((0.98, 1.1), (0.96, 1.02), (0.85, 1.0)),
        gamma=(0.85, 1.0),
        relief=(0.8, 1.1),
        roughness=(0.4, 0.65),
        blur=(0.35, 0.6),
        noise=(3.5, 7.0),
        vignette=(0.15, 0.3),
        headlights=(0.6, 1.4),
    ),
    "fog": Style(
        # Light without a direction, and a third to most of the colour gone at 40 m.
        sun=(0.02, 0.1),
        sky=(0.85, 1.0),
        sun_colour=(1.0, 1.0, 0.98),
        sky_colour=(0.98, 1.0, 1.02),
        shadow=(0.0, 0.08),
        contact=(0.2, 0.35),
        zenith=((0.74, 0.77, 0.8), (0.85, 0.86, 0.87)),
        horizon=((0.74, 0.77, 0.8), (0.86, 0.87, 0.87)),
        clouds=(0.8, 1.0),
        cloud_colour=(0.86, 0.87, 0.88),
        visibility=(35.0, 100.0),
        exposure=(0.9, 1.05),
        saturation=(0.55, 0.85),
        contrast=(0.9, 1.05),
        lift=(0.01, 0.04),
        cast=((0.95, 1.0), (0.98, 1.02), (0.98, 1.04)),
        gamma=(0.92, 1.08),
        relief=(0.7, 1.0),
        roughness=(0.4, 0.65),
        blur=(0.3, 0.5),
        noise=(0.8, 2.2),
        vignette=(0.05, 0.15),
    ),
}
