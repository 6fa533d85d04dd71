"""Surface textures: smooth noise, and patterns that lie on the ground in perspective."""

from functools import cache

import cv2
import numpy as np

from ibn_seg.scenes.canvas import Canvas
from ibn_seg.scenes.ids import ROAD, SIDEWALK, TERRAIN

# Ground patterns repeat after 256 texels; texels per metre.
_TEXELS = 14.0
_SIDE = 256
_MASK = _SIDE - 1
# Focal length in pixels at which the grain is as fine as the patterns.
_GRAIN_FOCAL = 166.0


def smooth_noise(
    rng: np.random.Generator, size: tuple[int, int], octaves: tuple[tuple[int, int], ...]
) -> np.ndarray:
    """Return noise of several scales, (height, width) float32 from 0 to 1.

    Args:
        rng: The random numbers.
        size: Width and height in pixels.
        octaves: Grid (rows, columns) of each scale, the broadest first. Each has 0.6 of the weight
            of the one before. Grids span the frame, so large frames show the same pattern.
    """
    width, height = size
    total = np.zeros((height, width), np.float32)
    weight, weights = 1.0, 0.0
    for rows, columns in octaves:
        grid = rng.integers(0, 256, (rows, columns), np.uint8)
        layer = cv2.resize(grid, (width, height), interpolation=cv2.INTER_LINEAR_EXACT)
        total += layer * np.float32(weight / 255.0)
        weights += weight
        weight *= 0.6
    return total / np.float32(weights)


def ground_relief(field: np.ndarray, canvas: Canvas, roughness: float) -> None:
    """Replace the texture of ground pixels in `field` by patterns that lie on the ground.

    Args:
        field: (height, width) float32 texture around 0; changed in place.
        canvas: Tells which pixels are ground, and where the camera is.
        roughness: Share of fine grain that is kept on top of the pattern.
    """
    camera = canvas.camera
    top = max(int(camera.cy) + 1, 0)
    depth = camera.ground_depth()[top:]
    near = depth < 150.0
    top += int(np.argmax(near))
    depth = depth[near][:, None]
    if not len(depth):
        return
    columns = np.arange(camera.width) + 0.5
    x = (columns[None, :] - camera.cx) * depth / camera.focal + camera.x - camera.bend * depth**2
    # Larger pictures show finer grain.
    fineness = _TEXELS * max(camera.focal / _GRAIN_FOCAL, 0.5)
    codes = [
        _codes(np.floor(x * density), np.floor(depth * density))
        for density in (_TEXELS, _TEXELS / 8.0, fineness)
    ]
    # Where a pixel covers many texels the pattern averages out.
    sharp = np.minimum(camera.focal / (depth * _TEXELS), 1.0).astype(np.float32)
    sharp_grain = np.minimum(camera.focal / (depth * fineness), 1.0).astype(np.float32)
    speckle = _grain().take(codes[2]) * sharp_grain
    speckle += field[top:] * np.float32(0.8 * roughness)
    labels, part = canvas.label[top:].ravel(), field[top:].reshape(-1)
    near_code, broad_code = codes[0].ravel(), codes[1].ravel()
    sharp = np.broadcast_to(sharp, x.shape).ravel()
    for raw_id, pattern in _patterns().items():
        places = np.flatnonzero(labels == raw_id)
        form = pattern.take(near_code.take(places)) * sharp.take(places)
        form += pattern.take(broad_code.take(places)) * np.float32(0.4)
        part[places] = form + speckle.ravel().take(places)


def _codes(across: np.ndarray, along: np.ndarray) -> np.ndarray:
    """Return the indices of texel coordinates in a flattened pattern; patterns repeat."""
    return (across.astype(np.int32) & _MASK) + (along.astype(np.int32) & _MASK) * _SIDE


@cache
def _grain() -> np.ndarray:
    """Return fine ground texture without any form, (256, 256) float32 around 0."""
    rng = np.random.default_rng(20180909)
    return (rng.random((_SIDE, _SIDE), np.float32) - np.float32(0.5)) * np.float32(0.8)


@cache
def _patterns() -> dict[int, np.ndarray]:
    """Return the forms of each ground: stains, slabs or tufts, (256, 256) float32 around 0."""
    rng = np.random.default_rng(20180726)
    stains = smooth_noise(rng, (_SIDE, _SIDE), ((16, 16), (48, 48))) - np.float32(0.5)
    slabs = rng.random((_SIDE // 8, _SIDE // 8), np.float32) - np.float32(0.5)
    paving = np.kron(slabs, np.ones((8, 8), np.float32))
    paving[::8] = -1.0
    paving[:, ::8] = -1.0
    tufts = smooth_noise(rng, (_SIDE, _SIDE), ((40, 40), (120, 120))) - np.float32(0.5)
    return {ROAD: stains * np.float32(1.2), SIDEWALK: paving, TERRAIN: tufts * np.float32(2.0)}
