"""SW: a learned mixture of batch and instance whitening with plain norms."""

import torch
import torch.distributed as dist
from torch import nn

from ibn_seg.errors import UserError
from ibn_seg.layers.sync import summed
from ibn_seg.layers.whitening.newton import by_channel, covariance_of, inverse_root
from ibn_seg.layers.wide import full_precision, restored, wide

SW_TYPES = (2, 3, 5)


class SwitchWhiten2d(nn.Module):
    """Switchable whitening (Pan et al., ICCV 2019, arXiv:1904.09739).

    Consecutive groups of channels are whitened by a mixture of means and of covariances. Type 2
    mixes batch whitening and instance whitening; it is RobustNet's. Type 3 adds layer norm. Type 5
    adds batch, instance and layer norm.

    In the released code, the diagonals of type 5 take the shares of the whitening parts (b0, b1).
    The paper means b2 and b3, which `repaired` gives.

    With several processes, mean and covariance of the batch are those of all processes. Together
    they equal one process with the whole batch. Evaluation takes the batch part from the running
    state, and the instance part from the image.

    Args:
        num_features: Number of channels.
        num_pergroup: Channels of a group; has to divide `num_features`.
        sw_type: 2, 3 or 5.
        T: Newton steps.
        tie_weight: One set of shares for means and covariances.
        eps: Added to the diagonal of the covariance.
        momentum: Share of the OLD statistics in the running ones, the opposite of PyTorch's.
        repaired: In type 5, the paper's shares for the diagonals instead of the released ones.

    Attributes:
        running_mean: (groups, num_pergroup, 1), starts at 0.
        running_cov: (groups, num_pergroup, num_pergroup), starts at 0.

    Shape:
        Input and output are (N, num_features, H, W).

    Raises:
        UserError: The type is unknown, or a number does not fit.
    """

    def __init__(
        self,
        num_features: int,
        num_pergroup: int = 16,
        sw_type: int = 2,
        T: int = 5,  # noqa: N803 - the papers' name
        tie_weight: bool = False,
        eps: float = 1e-5,
        momentum: float = 0.99,
        repaired: bool = False,
    ) -> None:
        super().__init__()
        if sw_type not in SW_TYPES:
            raise UserError(f"SwitchWhiten2d: {sw_type=}", "allowed: 2, 3, 5")
        if num_features % num_pergroup:
            raise UserError(
                f"SwitchWhiten2d: groups of {num_pergroup} do not divide {num_features} channels",
                "use wider stages, or another num_pergroup",
            )
        self.num_features = num_features
        self.num_pergroup = num_pergroup
        self.num_groups = num_features // num_pergroup
        self.sw_type = sw_type
        self.T = T
        self.eps = eps
        self.momentum = momentum
        self.repaired = repaired
        self.weight = nn.Parameter(torch.ones(num_features))
        self.bias = nn.Parameter(torch.zeros(num_features))
        self.sw_mean_weight = nn.Parameter(torch.ones(sw_type))
        self.sw_var_weight = None if tie_weight else nn.Parameter(torch.ones(sw_type))
        size = num_pergroup
        self.register_buffer("running_mean", torch.zeros(self.num_groups, size, 1))
        self.register_buffer("running_cov", torch.zeros(self.num_groups, size, size))

    @property
    def mixtures(self) -> tuple[torch.Tensor, torch.Tensor]:
        """The shares in the mean and in the covariance, (sw_type,) each; they sum to 1."""
        own = self.sw_mean_weight if self.sw_var_weight is None else self.sw_var_weight
        return wide(self.sw_mean_weight).softmax(0), wide(own).softmax(0)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Whiten `x`, shape (N, num_features, H, W)."""
        with full_precision(x):
            maps = wide(x)
            # A process may have no image, so no size is left to be found.
            pixels = x.size(2) * x.size(3)
            rows = maps.reshape(x.size(0), self.num_groups, self.num_pergroup, pixels)
            mean, covariance = self._mixed(maps, rows)
            whitened = inverse_root(covariance, self.T) @ (rows - mean)
            shape = (1, -1, 1, 1)
            whitened = whitened.reshape(maps.shape)
            return restored(whitened * self.weight.view(shape) + self.bias.view(shape), x)

    def _mixed(self, maps: torch.Tensor, rows: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return mean (N, g, k, 1) and covariance (N, g, k, k) of the mixture."""
        of_batch = self._of_batch(maps) if self.training else (self.running_mean, self.running_cov)
        parts = [of_batch, covariance_of(rows)]
        a, b = self.mixtures
        identity = torch.eye(self.num_pergroup, dtype=rows.dtype, device=rows.device)
        if self.sw_type == 5:
            # The plain norms have the same means, and the diagonals of the same covariances.
            shares = ((a[0] + a[2], b[0], b[2]), (a[1] + a[3], b[1], b[3]))
            terms = [
                (
                    of_mean * mean,
                    white * cov + (plain if self.repaired else white) * (cov * identity),
                )
                for (of_mean, white, plain), (mean, cov) in zip(shares, parts, strict=True)
            ]
        else:
            terms = [(a[k] * mean, b[k] * cov) for k, (mean, cov) in enumerate(parts)]
        if self.sw_type != 2:
            var, mean = torch.var_mean(maps, (1, 2, 3), correction=1)
            var, mean = var[:, None, None, None], mean[:, None, None, None]
            terms.append((a[-1] * mean, b[-1] * var * identity))
        means, covariances = zip(*terms, strict=True)
        return sum(means), sum(covariances) + self.eps * identity

    def _of_batch(self, maps: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return mean and covariance of the batch over all processes, and count them."""
        rows = by_channel(maps, self.num_groups)
        if dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1:
            count = summed(rows.new_tensor(float(rows.size(-1))))
            mean = summed(rows.sum(-1, keepdim=True)) / count
            centred = rows - mean
            covariance = summed(centred @ centred.transpose(-1, -2)) / count
        else:
            mean, covariance = covariance_of(rows)
        with torch.no_grad():
            for running, new in ((self.running_mean, mean), (self.running_cov, covariance)):
                running.lerp_(new.to(running.dtype), 1 - self.momentum)
        return mean, covariance

    def extra_repr(self) -> str:
        """Describe the settings when printed."""
        return f"{self.num_features}, num_pergroup={self.num_pergroup}, sw_type={self.sw_type}"
