"""The losses of the strong baseline and the variants of other tools.

Sources: BoT, section 3; torchreid and fast-reid for the variants
(https://github.com/KaiyangZhou/deep-person-reid, https://github.com/JDAI-CV/fast-reid).
"""

import torch
from torch import nn
from torch.nn import functional as F

from ibn_seg.errors import UserError, unknown

SMOOTHING = 0.1
MARGIN = 0.3
CENTER_WEIGHT = 0.0005
CENTER_RATE = 0.5
# How a triplet chooses its partners: the hardest, or all with weights by distance (AGW).
MININGS = ("hard", "weighted")
# Squared distances below this have no usable square root.
_LEAST_SQUARE = 1e-12


def smoothed_cross_entropy(
    scores: torch.Tensor,
    labels: torch.Tensor,
    smoothing: float = SMOOTHING,
    over: str = "all",
    adaptive: bool = False,
) -> torch.Tensor:
    """Return the cross entropy with smoothed targets, the mean over images.

    Args:
        scores: (B, C) scores of the classifier.
        labels: (B,) labels from 0.
        smoothing: The share of the target that is spread.
        over: 'all' spreads it over all C classes (BoT, torchreid), 'others' over the C - 1 wrong
            ones (fast-reid).
        adaptive: Multiply `smoothing` by the predicted probability of the label, image by image
            and without a gradient (fast-reid).

    Raises:
        UserError: `over` is unknown.
    """
    if over not in ("all", "others"):
        raise unknown("classes of the smoothing", over, ("all", "others"))
    logs = scores.log_softmax(dim=1)
    right = logs.gather(1, labels[:, None])[:, 0]
    share = torch.full_like(right, smoothing)
    if adaptive:
        share = share * right.detach().exp()
    if over == "others":
        # Spreading a larger share over all gives the label the same 1 - smoothing.
        share = share * (logs.shape[1] / (logs.shape[1] - 1))
    return -((1 - share) * right + share * logs.mean(dim=1)).mean()


def triplet_distances(features: torch.Tensor, cosine: bool = False) -> torch.Tensor:
    """Return the (B, B) distances of a batch: Euclidean, or 2 - 2 cos.

    Args:
        features: (B, D) features.
        cosine: Return 2 - 2 cos.
    """
    if cosine:
        unit = F.normalize(features, dim=1)
        return 2 - 2 * unit @ unit.T
    squares = features.square().sum(dim=1)
    distances = squares[:, None] + squares - 2 * features @ features.T
    return distances.clamp(min=_LEAST_SQUARE).sqrt()


def mined_distances(
    distances: torch.Tensor, labels: torch.Tensor, mining: str = "hard"
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the distance of each anchor to its positive and to its negative, (B,) each.

    The anchor itself is one of its positives.

    Args:
        distances: (B, B) distances.
        labels: (B,) labels.
        mining: One of `MININGS`.

    Raises:
        UserError: `mining` is unknown, or all images show one identity.
    """
    if mining not in MININGS:
        raise unknown("mining", mining, MININGS)
    same = labels[:, None] == labels
    if same.all():
        raise UserError("a batch with one identity has no triplets", "draw two identities or more")
    if mining == "weighted":
        return _weighted(distances, same), _weighted(distances, ~same, -1)
    positive = distances.masked_fill(~same, -torch.inf).max(dim=1).values
    return positive, distances.masked_fill(same, torch.inf).min(dim=1).values


def _weighted(distances: torch.Tensor, chosen: torch.Tensor, sign: int = 1) -> torch.Tensor:
    """Return the mean of the chosen distances, weighted by their softmax (of minus them)."""
    # fast-reid keeps the largest over all entries, where those not chosen count 0.
    kept = distances * chosen
    powers = (sign * kept - (sign * kept).amax(dim=1, keepdim=True)).exp() * chosen
    return (kept * powers / (powers.sum(dim=1, keepdim=True) + 1e-6)).sum(dim=1)


def triplet_loss(
    features: torch.Tensor,
    labels: torch.Tensor,
    margin: float | None = MARGIN,
    normalise: bool = False,
    cosine: bool = False,
    mining: str = "hard",
) -> torch.Tensor:
    """Return the batch-hard triplet loss (Hermans et al., In Defense of the Triplet Loss, 2017).

    Args:
        features: (B, D) features before the batch norm of the neck.
        labels: (B,) labels. Identities may have different numbers of images.
        margin: The mean of max(0, positive - negative + margin); None for the soft margin,
            log(1 + exp(positive - negative)).
        normalise: Normalise the features first.
        cosine: Take 2 - 2 cos as the distance.
        mining: One of `MININGS`.

    Raises:
        UserError: `mining` is unknown, or all images show one identity.
    """
    if normalise:
        features = F.normalize(features, dim=1)
    distances = triplet_distances(features, cosine)
    positive, negative = mined_distances(distances, labels, mining)
    if margin is None:
        return F.softplus(positive - negative).mean()
    return F.relu(positive - negative + margin).mean()


class CenterLoss(nn.Module):
    """Squared distance to the centre of the own identity (Wen et al., ECCV 2016), mean over images.

    BoT weights it by 0.0005, but divides the gradient of the centres by the same before their own
    step. So the loss returned here is weighted for the features and unweighted for the centres.

    Args:
        classes: Number of identities.
        features: Numbers of a feature.
        weight: The weight.

    Attributes:
        centers: (classes, features) centres, from a standard normal.
    """

    def __init__(self, classes: int, features: int, weight: float = CENTER_WEIGHT) -> None:
        super().__init__()
        self.weight = weight
        self.centers = nn.Parameter(torch.randn(classes, features))

    def forward(self, features: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """Return the weighted loss of (B, D) features."""
        centers = self.centers[labels]
        pull = (features - centers.detach()).square().sum(dim=1).mean()
        follow = (features.detach() - centers).square().sum(dim=1).mean()
        # Adds 0 to the value, and the gradient of the centres.
        return self.weight * pull + follow - follow.detach()

    @torch.no_grad()
    def center_gradient(self, features: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """Return the gradient of the centres in closed form, (classes, features).

        It is for trainings that keep the centres away from the optimiser and from DDP.
        """
        apart = self.centers[labels] - features
        gradient = torch.zeros_like(self.centers)
        return gradient.index_add_(0, labels, apart.to(gradient.dtype) * (2 / len(labels)))

    @torch.no_grad()
    def step(self, rate: float = CENTER_RATE) -> None:
        """Move the centres against their gradient, without momentum, and drop the gradient."""
        if self.centers.grad is not None:
            self.centers -= rate * self.centers.grad
            self.centers.grad = None
