"""Read pictures as the input of re-identification networks."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import nn

from ibn_seg.datasets.formats import PICTURE_ERRORS
from ibn_seg.errors import UserError

# Width and height of people (BoT). Vehicles are searched at 256x256.
SIZE = (128, 256)
# ImageNet's statistics for RGB from 0 to 1, which BoT, fast-reid and torchreid normalise with.
MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def read_crop(path: Path, size: tuple[int, int] = SIZE) -> np.ndarray:
    """Return a picture, resized bilinearly to width and height, (H, W, 3) uint8 RGB.

    Raises:
        UserError: It cannot be read.
    """
    try:
        with Image.open(path) as picture:
            resized = picture.convert("RGB").resize(size, Image.Resampling.BILINEAR)
    except PICTURE_ERRORS as error:
        raise UserError(
            f"{path}: cannot be read as a picture ({error})", "copy it again, or remove it"
        ) from error
    return np.asarray(resized)


def network_input(crops: Sequence[np.ndarray], device: str) -> torch.Tensor:
    """Return crops as the input of a network, (N, 3, H, W) float32, normalised."""
    pixels = torch.from_numpy(np.stack(crops)).to(device).permute(0, 3, 1, 2).float()
    mean, deviation = (
        torch.tensor(values, device=device).view(1, 3, 1, 1) for values in (MEAN, DEVIATION)
    )
    return ((pixels / 255 - mean) / deviation).contiguous()


def feature_batches(
    network: nn.Module,
    paths: Sequence[Path],
    size: tuple[int, int],
    batch_size: int,
    flip: bool,
    device: str,
) -> Iterator[np.ndarray]:
    """Yield the features of pictures, some pictures at a time, (N, D) float32.

    Args:
        network: The network, in eval mode.
        paths: The pictures.
        size: Width and height of the input.
        batch_size: Pictures of a batch.
        flip: Average the features of a picture and of its mirror image.
        device: Where the network is.

    Raises:
        UserError: A picture cannot be read.
    """
    for start in range(0, len(paths), batch_size):
        crops = [read_crop(path, size) for path in paths[start : start + batch_size]]
        images = network_input(crops, device)
        with torch.inference_mode():
            found = network(images).float()
            if flip:
                found = (found + network(images.flip(3)).float()) / 2
        yield found.cpu().numpy()
