"""Inputs of the figures of methods: functions of key, shape and seed, in float64.

Each tensor is made in float32, as the figures' own inputs were, and then widened.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from tests.parity.golden import filled_tensor

Shape = Sequence[int]
IMAGE_MEAN, IMAGE_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


@dataclass(frozen=True)
class Case:
    """A case of the file.

    Attributes:
        name: Its name, with which the keys of its tensors begin.
        given: Its fields.
    """

    name: str
    given: Mapping[str, Any]

    @property
    def params(self) -> Mapping[str, Any]:
        """Settings of the layer."""
        return self.given["params"]

    @property
    def draws(self) -> Mapping[str, Any]:
        """What the method drew."""
        return self.given.get("draws") or {}

    @property
    def training(self) -> bool:
        """Whether the layer was in training mode."""
        return self.given["mode"] == "train"

    def filled(self, key: str, shape: Shape) -> torch.Tensor:
        """Return the recipe filled_tensor."""
        return filled_tensor(key, tuple(shape), self.given["seed"]).double()

    def parameter(self, name: str, shape: Shape) -> torch.Tensor:
        """Return the tensor of the case with this name."""
        return self.filled(f"{self.name}.{name}", shape)

    def normal(self, key: str, shape: Shape) -> torch.Tensor:
        """Return standard normal numbers."""
        return self.filled(f"{key}.z", shape) * np.sqrt(np.prod(shape[1:]))

    def uniform(self, key: str, shape: Shape) -> torch.Tensor:
        """Return numbers in 0..1."""
        return self.filled(f"{key}.running_var", shape) - 0.5

    def features(self, key: str, shape: Shape) -> torch.Tensor:
        """Return feature maps with correlated channels, and a scale and shift of each."""
        z = self.normal(key, shape)
        mixed = z + 0.6 * z.roll(1, 1) + 0.3 * z.roll(-3, 1)
        scale = self.filled(f"{key}.scale.running_var", (*shape[:2], 1, 1))
        shift = self.filled(f"{key}.shift.running_mean", (*shape[:2], 1, 1))
        return (scale * mixed + 5 * shift).float().double()

    def image(self, key: str, shape: Shape) -> torch.Tensor:
        """Return smoothed noise in 0..1."""
        u = self.uniform(key, shape)
        v = u.roll(1, 2)
        return ((u + v + u.roll(1, 3) + v.roll(1, 3)) / 4).float().double()

    def positive_definite(self, key: str, shape: Shape) -> torch.Tensor:
        """Return symmetric matrices near the identity."""
        r = self.filled(key, shape)
        return (torch.eye(shape[-1]) + 0.5 * (r + r.transpose(-1, -2))).float().double()

    def input(self, name: str, **fields: int) -> torch.Tensor:
        """Return an input by its recipe; `fields` fill in numbers in the key.

        Words behind the recipe's name are done here if several methods share them.
        """
        given = self.given["inputs"][name]
        key, shape, recipe = given["key"].format(**fields), given["shape"], given["recipe"]
        if recipe.startswith("features"):
            made = self.features(key, shape)
            return (made.float() * 3).double() if "times 3" in recipe else made
        if recipe.startswith("filled_tensor"):
            return self.filled(key, shape)
        if recipe.startswith("normal"):
            return self.normal(key, shape)
        if recipe.startswith("uniform"):
            made = self.uniform(key, shape)
            if "** 3" in recipe:
                return (made**3).triu(1)
            return made + 0.5 if "plus 0.5" in recipe else made
        return self._picture(self.image(key, shape), recipe)

    def _picture(self, image: torch.Tensor, recipe: str) -> torch.Tensor:
        if recipe.startswith("floor(255 * image)"):
            levels = (255 * image).floor()
            # As torchvision's ToTensor: the division is in float32.
            return (levels.float() / 255).double() if "/ 255" in recipe else levels
        if "times 255" in recipe:
            return 255 * image
        if "mean" in recipe:
            mean, std = (
                torch.tensor(x, dtype=torch.float64).view(1, 3, 1, 1)
                for x in (IMAGE_MEAN, IMAGE_STD)
            )
            return (image - mean) / std
        raise ValueError(f"{self.name}: recipe {recipe!r} is not known")

    def drawn(self, name: str) -> torch.Tensor:
        """Return a draw that is noise by a recipe."""
        given = self.draws[name]
        given = given.get("n", given)
        return self.normal(given["key"], given["shape"])

    def upstream(self, y: torch.Tensor) -> torch.Tensor:
        """Return the gradient that comes from behind the layer."""
        return self.normal(f"{self.name}.upstream", tuple(y.shape)).float().double()

    def probe(self, name: str, size: int) -> torch.Tensor:
        """Return the vector of the case's scalar product with a tensor."""
        return self.normal(f"{self.name}.{name}.probe", (1, size)).flatten()
