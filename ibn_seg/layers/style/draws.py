"""Random numbers of layers as functions of seed, iteration, layer and sample."""

from dataclasses import dataclass

import numpy as np
import torch
import torch.distributed as dist


@dataclass
class Draws:
    """Gives the layers of one network their random numbers.

    Each number depends on the seed, the iteration and the layer; those of an image also on its
    place in the batch of all processes. So a resumed run draws the same, and so does a block that
    is computed again in the backward pass. What a batch draws is the same on every process.

    Attributes:
        seed: The seed of the run.
        iteration: Iterations done. Without a trainer that sets it, it stays 0.
        passes: Forward passes in training mode since the iteration was set.
    """

    seed: int = 0
    iteration: int = 0
    passes: int = 0

    def begin_iteration(self, iteration: int) -> None:
        """Set the iteration; the next forward pass is its first."""
        self.iteration, self.passes = iteration, 0

    def begin_pass(self) -> None:
        """Count a forward pass in training mode."""
        self.passes += 1

    def of_batch(self, layer: int) -> np.random.Generator:
        """Return the generator of what a layer draws once per batch."""
        return np.random.default_rng([self.seed, self.iteration, self.passes, layer, 0])

    def of_images(self, layer: int, count: int) -> list[np.random.Generator]:
        """Return the generators of what a layer draws for each image of this process's batch."""
        rank, size = 0, 1
        if dist.is_available() and dist.is_initialized():
            rank, size = dist.get_rank(), dist.get_world_size()
        words = [self.seed, self.iteration, self.passes, layer]
        return [np.random.default_rng([*words, 1 + k * size + rank]) for k in range(count)]


def on_device(numbers: np.ndarray | list, like: torch.Tensor) -> torch.Tensor:
    """Return drawn numbers as a tensor on the device of `like`, in its type but not narrower."""
    kind = torch.promote_types(like.dtype, torch.float32)
    return torch.as_tensor(np.asarray(numbers), dtype=kind, device=like.device)


def partners(generator: np.random.Generator, count: int, halves: bool = False) -> list[int]:
    """Return the partner of each image of a batch.

    Args:
        generator: Where the permutation comes from.
        count: Number of images.
        halves: The two halves of the batch are two domains, and each gets partners from the other.
    """
    if not halves:
        return generator.permutation(count).tolist()
    backwards = np.arange(count)[::-1]
    first, second = backwards[: count // 2], backwards[count // 2 :]
    return [*generator.permutation(first).tolist(), *generator.permutation(second).tolist()]
