"""What differs between frames of the source `varied`, and its cameras and seasons."""

import dataclasses
import math
import random

from ibn_seg.scenes.scene import Item, Plot, Scene, pick

# The source whose frames differ in all that can differ, and the kinds of that.
VARIED = "varied"
KINDS = ("weather", "materials", "cameras", "clutter", "optics")
_WITHOUT = f"{VARIED}_without_"
# Vehicles that hide much of the street.
_LARGE = frozenset({"box_truck", "flatbed", "tanker", "bus", "train"})


def without(kind: str) -> str:
    """Return the name of the source that leaves one kind of variation out."""
    return f"{_WITHOUT}{kind}"


VARIED_DOMAINS = (VARIED, *(without(kind) for kind in KINDS))


def kinds_of(domain: str) -> frozenset[str]:
    """Return what differs between the frames of one of `VARIED_DOMAINS`."""
    return frozenset(KINDS) - {domain.removeprefix(_WITHOUT)}


def varied_scene(scene: Scene, kinds: frozenset[str]) -> Scene:
    """Return a scene with another camera, sun and season; what stands where stays.

    Args:
        scene: A scene of `layout.lay_out`.
        kinds: What differs from frame to frame, of `KINDS`.
    """
    rng = random.Random(f"varied/{scene.key}")
    changed = _varied(scene, rng, "clutter" in kinds)
    if "cameras" not in kinds:
        kept = ("focal", "vanish", "horizon", "eye")
        changed = dataclasses.replace(changed, **{name: getattr(scene, name) for name in kept})
    return changed if "weather" in kinds else dataclasses.replace(changed, sun=scene.sun)


def _varied(scene: Scene, rng: random.Random, clutter: bool) -> Scene:
    """Return the scene with everything drawn anew, or without other things in the street."""
    original = scene
    if rng.random() < 0.35:
        scene = _closed(scene, rng.uniform(24.0, 70.0))
    azimuth, elevation = rng.uniform(-math.pi, math.pi), rng.uniform(0.2, 1.3)
    # A share of all trees is bare, from none in summer to most in winter.
    bare = rng.random() if rng.random() < 0.6 else 0.0
    changed = dataclasses.replace(
        scene,
        # From wide angles to half of their field of view: 87 to 43 degrees in a frame of shape 2:1.
        focal=1.05 * 2.4 ** rng.random(),
        vanish=0.5 + rng.uniform(-0.3, 0.3) * rng.random(),
        horizon=rng.uniform(0.36, 0.6),
        eye=rng.uniform(1.1, 2.3),
        bend=scene.bend * rng.uniform(0.5, 2.0),
        sun=(
            math.sin(azimuth) * math.cos(elevation),
            math.sin(elevation),
            -math.cos(azimuth) * math.cos(elevation),
        ),
        backdrop=pick(rng, "trees", "trees", "city", "hills", "none"),
        plots=_thinned_plots(scene.plots, rng),
        items=tuple(_in_season(item, rng, bare) for item in _thinned(scene.items, rng)),
    )
    if clutter:
        return changed
    street = ("bend", "backdrop", "crossing", "plots", "items", "end")
    return dataclasses.replace(changed, **{name: getattr(original, name) for name in street})


def _closed(scene: Scene, end: float) -> Scene:
    """Return the scene as one that ends at a street across, with buildings behind it."""
    near, far = end - 10.0, end - 3.0
    plots = [
        dataclasses.replace(plot, far=min(plot.far, near - 3.0))
        for plot in scene.plots
        if plot.near < near - 7.0
    ]
    items = [
        item
        for item in scene.items
        if item.z + item.length < near - 2.0 or (item.kind == "vehicle" and item.z < far - 3.0)
    ]
    return dataclasses.replace(
        scene, bend=0.0, crossing=(near, far), plots=tuple(plots), items=tuple(items), end=end
    )


def _thinned_plots(plots: tuple[Plot, ...], rng: random.Random) -> tuple[Plot, ...]:
    """Return the land with more parks, for wider views of the sky."""
    share = max(rng.uniform(-0.3, 0.5), 0.0)
    return tuple(
        dataclasses.replace(plot, kind="park") if rng.random() < share else plot for plot in plots
    )


def _thinned(items: tuple[Item, ...], rng: random.Random) -> list[Item]:
    """Return the items of one frame's density: streets are busy or empty, green or bare."""
    kept = {"tree": rng.uniform(0.2, 1.0), "vehicle": rng.uniform(0.4, 1.1), "large": 0.65}
    result = []
    for item in items:
        kind = "large" if item.options.get("model") in _LARGE else item.kind
        if rng.random() < kept.get(kind, 1.0):
            result.append(item)
    return result


def _in_season(item: Item, rng: random.Random, bare: float) -> Item:
    """Return an item; a tree may stand bare."""
    if item.kind != "tree" or item.options["species"] == "conifer" or rng.random() >= bare:
        return item
    return dataclasses.replace(item, kind="bare_tree", height=item.height * rng.uniform(0.9, 1.5))
