"""Cameras and trees of the source `varied`: the same streets, seen by many cars in all seasons."""

import dataclasses
import math
import random

from ibn_seg.scenes.scene import Item, Scene, pick


def varied_scene(scene: Scene) -> Scene:
    """Return a scene with another camera, sun and season; what stands where stays.

    Args:
        scene: A scene of `layout.lay_out`.
    """
    rng = random.Random(f"varied/{scene.key}")
    azimuth, elevation = rng.uniform(-math.pi, math.pi), rng.uniform(0.2, 1.3)
    # A share of all trees is bare, from none in summer to most in winter.
    bare = rng.random() if rng.random() < 0.6 else 0.0
    return dataclasses.replace(
        scene,
        # From wide angles to half the field of view: 85 to 40 degrees in a frame of shape 2:1.
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
        items=tuple(_in_season(item, rng, bare) for item in scene.items),
    )


def _in_season(item: Item, rng: random.Random, bare: float) -> Item:
    """Return an item; a tree may stand bare."""
    if item.kind != "tree" or item.options["species"] == "conifer" or rng.random() >= bare:
        return item
    return dataclasses.replace(item, kind="bare_tree", height=item.height * rng.uniform(0.9, 1.5))
