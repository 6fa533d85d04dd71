"""What all layers that randomise features have in common."""

import abc
from typing import Any

import torch
from torch import nn

from ibn_seg.errors import UserError
from ibn_seg.layers.style.draws import Draws
from ibn_seg.layers.wide import restored


class Randomiser(nn.Module, abc.ABC):
    """A layer that changes feature maps at random in training, and is the identity otherwise.

    It has no parameters and no state. A gate decides once per batch whether the layer changes it.

    Args:
        p: Probability of a change.

    Attributes:
        draws: Where its random numbers come from.
        number: Its number in its network, which distinguishes its draws from other layers'.
        first: The number of the method's first layer in the network.
        places: How many layers the method has in the network.

    Raises:
        UserError: `p` is not in 0..1.
    """

    # Some methods gate all their layers together: then this is the layer whose gate counts.
    common_gate = False
    # The fewest images whose statistics can be mixed; smaller batches stay as they are.
    least_images = 1

    def __init__(self, p: float) -> None:
        super().__init__()
        if isinstance(p, bool) or not isinstance(p, int | float) or not 0 <= p <= 1:
            raise UserError(f"{type(self).__name__}: {p=}", "allowed: 0..1")
        self.p = p
        self.draws = Draws()
        self.number = self.first = 0
        self.places = 1

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return feature maps (N, C, H, W), changed or not, in the same shape and type."""
        if not self.training or x.size(0) < self.least_images or not self.is_open():
            return x
        return restored(self.change(x, self.draw(x)), x)

    def is_open(self) -> bool:
        """Draw whether this layer changes this batch."""
        return self.gate_number() < self.p

    def gate_number(self) -> float:
        """Return the uniform number of the gate."""
        return self.draws.of_batch(self.first if self.common_gate else self.number).random()

    @abc.abstractmethod
    def draw(self, x: torch.Tensor) -> Any:
        """Return what a change of `x` needs."""

    @abc.abstractmethod
    def change(self, x: torch.Tensor, drawn: Any) -> torch.Tensor:
        """Return `x`, changed as drawn."""

    def on_output(self, module: nn.Module, inputs: Any, output: torch.Tensor) -> Any:
        """Change the output of a module: a forward hook of PyTorch. None leaves it as it is."""
        return self(output) if self.training else None

    def on_input(self, module: nn.Module, inputs: tuple[torch.Tensor, ...]) -> Any:
        """Change the input of a module: a forward pre-hook of PyTorch."""
        return (self(inputs[0]), *inputs[1:]) if self.training else None
