"""Puts a scene together: sky, ground, buildings, everything in the street, and the style."""

import itertools
import math
import random
from collections.abc import Callable

import numpy as np

from ibn_seg.errors import UserError, unknown
from ibn_seg.scenes import buildings, furniture, ground, people, plants, vehicles
from ibn_seg.scenes.backdrop import draw_backdrop
from ibn_seg.scenes.canvas import DEPTH_HALF, Camera, Canvas, Light
from ibn_seg.scenes.clutter import draw_bare_tree, draw_road_paint, draw_wires
from ibn_seg.scenes.facades import draw_facade, draw_street_end
from ibn_seg.scenes.hiding import boundary_in_view, in_drawing_order, item_in_view, unhidden
from ibn_seg.scenes.ids import DYNAMIC, EGO_VEHICLE, SKY
from ibn_seg.scenes.layout import lay_out
from ibn_seg.scenes.looks import Look, develop, look_of, paint_sky
from ibn_seg.scenes.materials import varied_relief
from ibn_seg.scenes.oddities import LEAST, MOST, ODDITIES, draw_oddity, with_oddities
from ibn_seg.scenes.optics import through_lens
from ibn_seg.scenes.scene import Item, Plot, Scene
from ibn_seg.scenes.styles import STYLES
from ibn_seg.scenes.variation import VARIED, VARIED_DOMAINS, kinds_of, varied_scene
from ibn_seg.scenes.weather import exposed, varied_look

MIN_SIZE = 32
MAX_SIZE = 8192

_ITEMS: dict[str, Callable[[Canvas, Item], None]] = {
    "vehicle": vehicles.draw_vehicle,
    "person": people.draw_person,
    "rider": people.draw_rider,
    "cycle": people.draw_cycle,
    "lamp": furniture.draw_lamp,
    "traffic_light": furniture.draw_traffic_light,
    "sign": furniture.draw_sign,
    "tree": plants.draw_tree,
    "bare_tree": draw_bare_tree,
    "bush": plants.draw_bush,
    "bin": furniture.draw_clutter,
    "box": furniture.draw_clutter,
    "bollards": furniture.draw_clutter,
    "oddity": draw_oddity,
}
_BOUNDARIES: dict[str, Callable[[Canvas, Plot], None]] = {
    "wall": furniture.draw_wall,
    "fence": furniture.draw_fence,
    "hedge": plants.draw_hedge,
}


def render(
    domain: str, index: int, *, seed: int = 0, size: tuple[int, int] = (256, 128)
) -> tuple[np.ndarray, np.ndarray]:
    """Render one frame.

    The scene depends on (seed, index) only. All domains but 'varied' show the same things in the
    same places and have equal labels. They differ in light, colour, texture and optics. In 'varied'
    cameras and streets differ too.

    Args:
        domain: 'source' (looks like a video game), 'target' (looks like a dull dash-cam), 'night',
            'fog', 'varied' (no two frames look alike), or 'varied_without_KIND', which leaves out
            one of `variation.KINDS`. 'oddities' looks like 'source', and unknown things lie on its
            road: they are labelled 'dynamic', which is void.
        index: Which scene of the series.
        seed: Which series of scenes.
        size: Width and height in pixels, each from 32 to 8192.

    Returns:
        Image (height, width, 3) uint8 RGB and label (height, width) uint8 Cityscapes raw ids.

    Raises:
        UserError: Unknown domain, negative index, or a size out of range.
    """
    known = (*STYLES, *VARIED_DOMAINS, ODDITIES)
    if domain not in known:
        raise unknown("domain", domain, known)
    check_size(size)
    if index < 0:
        raise UserError(f"scene index {index}: negative", "give 0 or more")
    scene = lay_out(seed, index)
    if domain in VARIED_DOMAINS:
        kinds = kinds_of(domain)
        return _render_varied(varied_scene(scene, kinds), seed, index, size, kinds)
    style = STYLES["source" if domain == ODDITIES else domain]
    look = look_of(style, random.Random(f"look/{domain}/{seed}/{index}"))
    canvas = _odd_canvas(scene, size, look) if domain == ODDITIES else _drawn(scene, size, look)
    grain = np.random.default_rng([seed % 2**63, index, len(domain)])
    return develop(canvas, look, grain), canvas.label


def _drawn(scene: Scene, size: tuple[int, int], look: Look) -> Canvas:
    """Return the whole scene on a canvas."""
    canvas = Canvas(scene_camera(scene, size), Light(scene.sun, look.sun, look.sky))
    draw_scene(canvas, scene, look)
    return canvas


def _odd_canvas(scene: Scene, size: tuple[int, int], look: Look) -> Canvas:
    """Return the scene with unknown things of an allowed share of its pixels."""
    for attempt in itertools.count():
        canvas = _drawn(with_oddities(scene, attempt), size, look)
        if LEAST <= (canvas.label == DYNAMIC).mean() <= MOST:
            return canvas
    raise AssertionError("unreachable")


def _render_varied(
    scene: Scene, seed: int, index: int, size: tuple[int, int], kinds: frozenset[str]
) -> tuple[np.ndarray, np.ndarray]:
    """Render a frame whose light, surfaces, camera and optics are its own, or those of `kinds`."""
    # What is left out is drawn all the same, so that the rest stays as it is.
    rng = random.Random(f"{VARIED}/{seed}/{index}")
    look = varied_look(rng)
    if "weather" not in kinds:
        look = look_of(STYLES["source"], random.Random(f"look/{VARIED}/{seed}/{index}"))
    canvas = Canvas(scene_camera(scene, size), Light(scene.sun, look.sun, look.sky))
    draw_scene(canvas, scene, look, varied="clutter" in kinds)
    seen = exposed(look, canvas, rng)
    look = seen if "weather" in kinds else look
    grain = np.random.default_rng([seed % 2**63, index, len(VARIED)])
    relief = varied_relief(canvas, look.roughness, grain) if "materials" in kinds else None
    image, label = develop(canvas, look, grain, relief), canvas.label
    filmed = through_lens(image, rng)
    image = filmed if "optics" in kinds else image
    if rng.random() < 0.5 and "cameras" in kinds:
        # Half of the world drives on the left.
        return np.ascontiguousarray(image[:, ::-1]), np.ascontiguousarray(label[:, ::-1])
    return image, label


def check_size(size: tuple[int, int]) -> None:
    """Raise UserError unless both sides of (width, height) are in range."""
    width, height = size
    if not (MIN_SIZE <= width <= MAX_SIZE and MIN_SIZE <= height <= MAX_SIZE):
        raise UserError(
            f"frame size {width}x{height}: out of range",
            f"width and height must be from {MIN_SIZE} to {MAX_SIZE} pixels",
        )


def scene_camera(scene: Scene, size: tuple[int, int]) -> Camera:
    """Return the scene's camera for a frame size."""
    width, height = size
    # The geometric mean keeps the view balanced for frames that are not of shape 2:1.
    unit = math.sqrt(width * height / 2.0)
    return Camera(
        width=width,
        height=height,
        focal=scene.focal * unit,
        cx=scene.vanish * width,
        cy=scene.horizon * height,
        eye=scene.eye,
        x=scene.camera_x,
        bend=scene.bend,
    )


def draw_scene(canvas: Canvas, scene: Scene, look: Look, varied: bool = False) -> None:
    """Draw the whole scene, from far to near.

    Args:
        canvas: Where to draw.
        scene: What to draw.
        look: Its sky and shadows.
        varied: Whether buildings and the paint on the road are of many kinds, with wires above.
    """
    _draw_ground(canvas, scene, look, varied)
    if scene.end:
        draw_street_end(canvas, scene)
    lines = {side.side: side.walk_end for side in scene.sides}
    draw_house = draw_facade if varied else buildings.draw_building
    behind, street = [], []
    for item in scene.items:
        if item_in_view(canvas.camera, item):
            side = 1 if item.x > 0 else -1
            (behind if abs(item.x) > lines[side] else street).append(item)
    for thing in reversed(unhidden(canvas.camera, scene.plots, behind)):
        if isinstance(thing, Item):
            _ITEMS[thing.kind](canvas, thing)
        else:
            draw_house(canvas, *thing)
    for plot in sorted(scene.plots, key=lambda plot: -plot.near):
        if plot.boundary and boundary_in_view(canvas.camera, plot):
            _BOUNDARIES[plot.boundary](canvas, plot)
    if varied:
        draw_wires(canvas, scene)
    _draw_items(canvas, street)
    if scene.bonnet:
        _bonnet(canvas, scene)


def _draw_ground(canvas: Canvas, scene: Scene, look: Look, varied: bool) -> None:
    """Draw the sky, the end of the view, and what lies flat, with its shadows."""
    canvas.label[:] = SKY
    sky = paint_sky(canvas.camera, look, random.Random(f"sky/{scene.key}"))
    canvas.image[: len(sky), :, :3] = sky
    draw_backdrop(canvas, scene)
    ground.draw_ground(canvas, scene)
    if varied:
        draw_road_paint(canvas, scene)
    ground.cast_shadows(canvas, scene, look.shadow, look.contact)
    _ground_depth(canvas)


def _draw_items(canvas: Canvas, items: list[Item]) -> None:
    """Draw items, far ones first."""
    for item in in_drawing_order(canvas.camera, items):
        _ITEMS[item.kind](canvas, item)


def _ground_depth(canvas: Canvas) -> None:
    """Store the depth of the ground once, instead of once per strip."""
    depth = np.minimum(canvas.camera.ground_depth(), 400.0)
    codes = (255.0 * depth / (depth + DEPTH_HALF)).astype(np.uint8)
    top = max(int(canvas.camera.cy), 0)
    canvas.image[top:, :, 3] = codes[top:, None]


def _bonnet(canvas: Canvas, scene: Scene) -> None:
    """Draw the bonnet of the camera's own car along the lower edge."""
    rng = random.Random(f"bonnet/{scene.key}")
    tone = rng.uniform(0.08, 0.6)
    width, height = canvas.camera.width, canvas.camera.height
    rise = rng.uniform(0.06, 0.11) * height
    for inset, factor in ((0.0, 1.0), (0.25, 1.35)):
        points = [(-0.05 * width, 1.05 * height)]
        for step in range(13):
            u = step / 12
            arch = math.sin(math.pi * u) ** 0.5 if 0 < u < 1 else 0.0
            points.append((u * width, height - rise * (0.35 + 0.65 * arch) + inset * rise))
        points.append((1.05 * width, 1.05 * height))
        colour = (tone * factor, tone * factor, tone * 1.05 * factor)
        lit = canvas.light.shade(colour, (0.0, 0.8, -0.5))
        canvas.fill_outline(canvas.fixed(points), lit, 0, EGO_VEHICLE if inset == 0.0 else None)
