"""The loss of mask transformers (Mask2Former, CVPR 2022), in pure PyTorch.

Each class in a picture is one mask. Masks and queries are matched one to one by the least cost, and
the other queries learn that they are no class. Weights are those of Rein, SoMA and EoMT. Masks are
compared at points: three quarters where the logit is uncertain, the others anywhere. Each process
takes the mean over its own masks; Mask2Former divides by the mean number over all processes.
"""

from collections.abc import Mapping

import torch
from torch import nn
from torch.nn import functional as F

from ibn_seg.foundation.mask_transformer import Prediction

CLASS_WEIGHT, MASK_WEIGHT, DICE_WEIGHT, NO_CLASS_WEIGHT = 2.0, 5.0, 5.0, 0.1
_POINTS, _OVERSAMPLED, _UNCERTAIN = 12_544, 3, 0.75


class MaskLoss(nn.Module):
    """The loss of one prediction.

    Args:
        classes: Number of classes.
        ignore: The label that counts for nothing.
        points: Number of points at which masks are compared.
    """

    def __init__(self, classes: int, ignore: int = 255, points: int = _POINTS) -> None:
        super().__init__()
        self.classes, self.ignore, self.points = classes, ignore, points
        weight = torch.ones(classes + 1)
        weight[-1] = NO_CLASS_WEIGHT
        self.register_buffer("class_weight", weight, persistent=False)

    def forward(self, prediction: Prediction, labels: torch.Tensor) -> Mapping[str, torch.Tensor]:
        """Return the losses of classes, masks and overlaps, with their weights.

        Args:
            prediction: For N pictures.
            labels: Classes, shape (N, H, W).
        """
        masks, classes = prediction.masks.float(), prediction.classes.float()
        targets = torch.full(classes.shape[:2], self.classes, device=classes.device)
        logits, wanted = [], []
        for each, label in enumerate(labels):
            present = [int(c) for c in label.unique() if 0 <= int(c) < self.classes]
            if not present:
                continue
            truth = torch.stack([label == c for c in present]).to(masks.dtype)
            names = torch.tensor(present, device=classes.device)
            rows, columns = self._match(masks[each], classes[each], truth, names)
            targets[each, rows] = names[columns]
            logits.append(masks[each, rows])
            wanted.append(truth[columns])
        of_classes = F.cross_entropy(classes.transpose(1, 2), targets, self.class_weight)
        bce, dice = self._compare(logits, wanted) if logits else (masks.sum() * 0,) * 2
        return {
            "loss_cls": CLASS_WEIGHT * of_classes,
            "loss_mask": MASK_WEIGHT * bce,
            "loss_dice": DICE_WEIGHT * dice,
        }

    @torch.no_grad()
    def _match(
        self, masks: torch.Tensor, classes: torch.Tensor, truth: torch.Tensor, names: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the queries, and for each the mask that it is matched with."""
        from scipy.optimize import linear_sum_assignment

        points = torch.rand(1, self.points, 2, device=masks.device)
        ours, theirs = _at(masks[:, None], points), _at(truth[:, None], points)
        positive, negative = F.softplus(-ours), F.softplus(ours)
        bce = (positive @ theirs.T + negative @ (1 - theirs).T) / self.points
        inside = ours.sigmoid()
        dice = 1 - (2 * inside @ theirs.T + 1) / (inside.sum(1)[:, None] + theirs.sum(1) + 1)
        cost = MASK_WEIGHT * bce + DICE_WEIGHT * dice
        cost -= CLASS_WEIGHT * classes.softmax(-1)[:, names]
        pairs = linear_sum_assignment(cost.nan_to_num(1e6).cpu().numpy())
        return tuple(torch.as_tensor(each, device=masks.device) for each in pairs)

    def _compare(
        self, logits: list[torch.Tensor], wanted: list[torch.Tensor]
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return binary cross-entropy and dice loss of matched masks, a mean over masks."""
        ours, truth = torch.cat(logits)[:, None], torch.cat(wanted)[:, None]
        points = self._points(ours)
        ours, truth = _at(ours, points), _at(truth, points)
        bce = F.binary_cross_entropy_with_logits(ours, truth)
        inside = ours.sigmoid()
        dice = 1 - (2 * (inside * truth).sum(1) + 1) / (inside.sum(1) + truth.sum(1) + 1)
        return bce, dice.mean()

    @torch.no_grad()
    def _points(self, logits: torch.Tensor) -> torch.Tensor:
        """Return points for each mask, shape (masks, points, 2), x and y from 0 to 1."""
        count = int(self.points * _UNCERTAIN)
        drawn = torch.rand(
            len(logits), self.points * _OVERSAMPLED, 2, device=logits.device, dtype=logits.dtype
        )
        nearest = (-_at(logits, drawn).abs()).topk(count, dim=1).indices
        chosen = drawn.gather(1, nearest[..., None].expand(-1, -1, 2))
        rest = torch.rand(len(logits), self.points - count, 2, device=logits.device)
        return torch.cat([chosen, rest.to(chosen.dtype)], dim=1)


def _at(maps: torch.Tensor, points: torch.Tensor) -> torch.Tensor:
    """Return maps of shape (M, 1, h, w) at points, shape (M, points); bilinear, edges repeated."""
    grid = 2 * points.expand(len(maps), -1, -1)[:, :, None] - 1
    grid = grid.to(maps.dtype)
    return F.grid_sample(maps, grid, padding_mode="border", align_corners=False)[:, 0, :, 0]
