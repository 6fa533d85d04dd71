"""ImageNet-C's snow, frost, fog and spatter."""

import functools
import hashlib
import os
from pathlib import Path

import cv2
import numpy as np

from ibn_seg.errors import UserError
from ibn_seg.transforms.imagenet_c.draws_and_filters import (
    Draws,
    levels,
    share,
    smear,
    smooth,
    zoom_in,
)

# The folder of the pictures of frost, where none is given.
FROST_VARIABLE = "IBN_SEG_FROST"
# Their files in the reference, and the first 16 digits of the SHA-256. It never draws its sixth.
FROST_FILES = {
    "frost1.png": "ff9f907860bd7a83",
    "frost2.png": "fe211a89b336999c",
    "frost3.png": "2d0d50b4a9bb213f",
    "frost4.jpg": "3f8b91ca1a9fa716",
    "frost5.jpg": "5fc6a19df4a429ba",
}
_WATER = np.array([175, 238, 238], np.float32) / 255
_MUD = np.array([63, 42, 20]) / 255
_SHARPEN = np.array([[-2, -1, 0], [-1, 1, 1], [0, 1, 2]])


def snow(image: np.ndarray, strength: tuple, draws: Draws) -> np.ndarray:
    """Lay moving flakes over a whitened picture.

    Args:
        image: The picture.
        strength: Mean and deviation of the noise, its enlargement, the value below which there is
            no flake, radius and sigma of the motion, and the share of the picture that stays.
        draws: The generators.
    """
    mean, deviation, enlarged, cut, radius, sigma, kept = strength
    height, width = image.shape[:2]
    flakes = zoom_in(draws.legacy.normal(mean, deviation, (height, width, 1)), enlarged)[..., 0]
    flakes[flakes < cut] = 0
    angle = draws.legacy.uniform(-135, -45)
    moved = smear(np.clip(flakes, 0, 1), radius, sigma, angle)
    layer = (np.round(moved * 255).astype(np.uint8) / 255.0)[:height, :width, None]
    values = share(image).astype(np.float32)
    grey = cv2.cvtColor(values, cv2.COLOR_RGB2GRAY)[..., None]
    white = kept * values + (1 - kept) * np.maximum(values, grey * 1.5 + 0.5)
    return levels(white + layer + np.rot90(layer, 2))


def frost(
    image: np.ndarray, strength: tuple[float, float], draws: Draws, folder: str
) -> np.ndarray:
    """Blend with a part of a picture of frost: shares of the picture and of the frost."""
    height, width = image.shape[:2]
    picture = frost_pictures(folder)[draws.legacy.randint(5)]
    scale = 1.1 * max(1, height / picture.shape[0], width / picture.shape[1])
    size = [int(np.ceil(side * scale)) for side in picture.shape[1::-1]]
    enlarged = cv2.resize(picture, size, interpolation=cv2.INTER_CUBIC)
    top = draws.legacy.randint(0, enlarged.shape[0] - height)
    left = draws.legacy.randint(0, enlarged.shape[1] - width)
    part = enlarged[top : top + height, left : left + width]
    return np.clip(strength[0] * image + strength[1] * part, 0, 255).astype(np.uint8)


def frost_folder(folder: str | os.PathLike | None = None) -> str:
    """Return the folder of the pictures of frost: the given one, else `FROST_VARIABLE`'s.

    Raises:
        UserError: None is named, a picture is missing, or it is another picture.
    """
    named = folder or os.environ.get(FROST_VARIABLE)
    if not named:
        raise UserError(
            "imagenet_c.frost needs five pictures of others, which ibn_seg does not have",
            f"name the folder 'frost' of the package imagecorruptions by --frost or "
            f"{FROST_VARIABLE}, or leave frost out",
        )
    for name, digest in FROST_FILES.items():
        path = Path(named) / name
        if not path.is_file():
            raise UserError(
                f"{path}: no such picture of frost", f"needed: {', '.join(FROST_FILES)}"
            )
        if not hashlib.sha256(path.read_bytes()).hexdigest().startswith(digest):
            raise UserError(f"{path}: not the picture of imagecorruptions", "take its folder frost")
    return str(named)


@functools.lru_cache(maxsize=2)
def frost_pictures(folder: str) -> tuple[np.ndarray, ...]:
    """Return the five pictures of a checked folder, RGB."""
    return tuple(cv2.imread(str(Path(folder) / name))[..., ::-1] for name in FROST_FILES)


def fog(image: np.ndarray, strength: tuple[float, float], draws: Draws) -> np.ndarray:
    """Add clouds of fog: their amount, and how fast small waves die away."""
    amount, decay = strength
    height, width = image.shape[:2]
    values = share(image)
    clouds = cloud_map(1 << (max(height, width) - 1).bit_length(), decay, draws)
    largest = values.max()
    added = values + amount * clouds[:height, :width, None]
    return levels(added * largest / (largest + amount))


def cloud_map(size: int, decay: float, draws: Draws) -> np.ndarray:
    """Return the plasma of the diamond-square algorithm, on a torus.

    Args:
        size: Width and height, a power of 2.
        decay: The random part is divided by this from one step to the next.
        draws: The generators.

    Returns:
        (size, size) float64, 0..1.
    """
    clouds = np.zeros((size, size))
    step, wobble = size, 100.0

    def mean(four: np.ndarray) -> np.ndarray:
        return four / 4 + wobble * draws.legacy.uniform(-wobble, wobble, four.shape)

    while step >= 2:
        half = step // 2
        corners = clouds[::step, ::step]
        pairs = corners + np.roll(corners, -1, 0)
        clouds[half::step, half::step] = mean(pairs + np.roll(pairs, -1, 1))
        centres = clouds[half::step, half::step]
        beside = corners + np.roll(corners, -1, 1)
        clouds[::step, half::step] = mean(centres + np.roll(centres, 1, 0) + beside)
        above = corners + np.roll(corners, -1, 0)
        clouds[half::step, ::step] = mean(centres + np.roll(centres, 1, 1) + above)
        step, wobble = half, wobble / decay
    clouds -= clouds.min()
    return clouds / clouds.max()


def spatter(image: np.ndarray, strength: tuple, draws: Draws) -> np.ndarray:
    """Spatter the lens with water or mud.

    Args:
        image: The picture.
        strength: Mean, deviation and blur of the noise, the value below which nothing is there,
            strength of the water or blur of the mud, and 1 for mud.
        draws: The generators.
    """
    mean, deviation, sigma, cut, amount, is_mud = strength
    values = share(image).astype(np.float32)
    liquid = smooth(draws.legacy.normal(mean, deviation, image.shape[:2]), sigma)
    liquid[liquid < cut] = 0
    if is_mud:
        mud = smooth((liquid > cut).astype(np.float32), amount)[..., None]
        mud[mud < 0.8] = 0
        return levels(values * (1 - mud) + mud * _MUD)
    drops = _drops((liquid * 255).astype(np.uint8))
    largest = drops.max()
    # Where no drop is on the lens, the picture stays.
    water = drops / largest * amount if largest else drops
    return levels(values + water[..., None] * _WATER)


def _drops(liquid: np.ndarray) -> np.ndarray:
    """Return (H, W) float32 of how bright drops shine, from their shape in uint8."""
    distance = cv2.distanceTransform(255 - cv2.Canny(liquid, 50, 150), cv2.DIST_L2, 5)
    near = cv2.blur(np.minimum(distance, 20), (3, 3)).astype(np.uint8)
    edges = cv2.filter2D(cv2.equalizeHist(near), cv2.CV_8U, _SHARPEN)
    return liquid * cv2.blur(edges, (3, 3)).astype(np.float32)
