"""Deterministic inputs of the figures of trust, and of tests of its measures.

Everything depends on the arguments and NumPy's PCG64 alone. Nothing here computes a metric or a
corruption; a test makes the inputs, computes, and compares with the figures.
"""

import numpy as np

VOID = 255


def picture(height: int, width: int, seed: int = 0) -> np.ndarray:
    """Return a (height, width, 3) uint8 RGB picture: ramps, stripes, boxes, fine noise."""
    rng = np.random.default_rng([seed, height, width])
    y, x = np.mgrid[0:height, 0:width]
    image = np.stack(
        [x * 255 // (width - 1), y * 255 // (height - 1), ((x + 2 * y) // 8 % 8) * 32], axis=-1
    ).astype(np.int64)
    for _ in range(14):
        top, left = rng.integers(0, height - 8), rng.integers(0, width - 8)
        tall, wide = rng.integers(6, height // 2), rng.integers(6, width // 2)
        image[top : top + tall, left : left + wide] = rng.integers(0, 256, 3)
    image += rng.integers(-9, 10, image.shape)
    return np.clip(image, 0, 255).astype(np.uint8)


def scores(
    pixels: int, classes: int = 19, seed: int = 0, sharpness: float = 2.2, void: float = 0.08
) -> tuple[np.ndarray, np.ndarray]:
    """Return (pixels, classes) float64 logits of an overconfident network, and uint8 labels.

    `void` is the share of labels that are 255. Logits are rounded to 1/1024, so that they are
    exact in float32.
    """
    rng = np.random.default_rng([seed, pixels, classes])
    weights = 1.0 / np.arange(1, classes + 1)
    labels = rng.choice(classes, pixels, p=weights / weights.sum())
    logits = rng.standard_normal((pixels, classes))
    logits[np.arange(pixels), labels] += 5.0 * rng.random(pixels) + 1.0
    confused = rng.random(pixels) < 0.12
    logits[confused, (labels[confused] + 1) % classes] += 4.5
    logits = np.rint(logits * sharpness * 1024) / 1024
    labels = labels.astype(np.uint8)
    labels[rng.random(pixels) < void] = VOID
    return logits, labels


def softmax(logits: np.ndarray, temperature: float = 1.0) -> np.ndarray:
    """Return float64 probabilities along the last axis."""
    scaled = logits / temperature
    powers = np.exp(scaled - scaled.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)


def levels(confidence: np.ndarray, count: int = 65536) -> np.ndarray:
    """Return the level, at most count - 1, of confidences from 0 to 1: floor(c * count).

    This is the level whose value, (level + 0.5) / count, is nearest.
    """
    return np.minimum(np.floor(confidence * count), count - 1).astype(np.int64)


def images(
    number: int, pixels: int, classes: int = 19, seed: int = 0
) -> list[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Return `number` images of (predictions, levels of 65536, labels), each with `pixels` pixels.

    Image i is `scores(pixels, classes, 1000 * seed + i, sharpness=1.2 + 0.4 * (i % 5))`.
    """
    out = []
    for i in range(number):
        logits, labels = scores(pixels, classes, 1000 * seed + i, sharpness=1.2 + 0.4 * (i % 5))
        probabilities = softmax(logits)
        out.append(
            (probabilities.argmax(-1).astype(np.uint8), levels(probabilities.max(-1)), labels)
        )
    return out


def invalid(confidence_levels: np.ndarray, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Return (levels, mask): 6 % of the pixels are made invalid, most of them less confident.

    An invalid pixel's level becomes `level * k // 8`, k from 1 to 8 at random.
    """
    rng = np.random.default_rng([seed, confidence_levels.size, 7])
    mask = rng.random(confidence_levels.shape) < 0.06
    lowered = confidence_levels * rng.integers(1, 9, confidence_levels.shape) // 8
    return np.where(mask, lowered, confidence_levels), mask
