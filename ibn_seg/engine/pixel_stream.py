"""The confidence of every pixel from logits that arrive class by class.

No array of all logits is made. On a CPU the work goes through blocks of rows that stay in its
cache. Masks are slow there: choosing by `torch.where` takes as long as 15 multiplications.
"""

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from ibn_seg.datasets.class_map import ClassMap
from ibn_seg.errors import UserError
from ibn_seg.trust.confidence_bins import LOG_ODDS
from ibn_seg.trust.image_confidences import ImageHistogram, add_histograms, count_image

# The pixels of a block on a CPU: 256 KiB of float32.
_BLOCK = 1 << 16
# Labels are 8-bit numbers.
_MOST_LABELS = 256
# exp(2 * 40) times 256 classes is below float32's largest number, exp(88.7).
_SAFE = 40.0


class PixelStream:
    """What a network says of the pixels of one image.

    With z the logits and m the largest of a pixel, it keeps sums over the other classes of
    exp(z - m) and of its square. Nothing is lost where the largest probability rounds to 1. Of two
    logits the smaller one joins the sums, and the larger one is compared with the next.

    Args:
        label: (H, W) classes, or groups of them.
        ignore_index: The label of pixels that do not count.
        largest: The largest size of a logit, if it is known. Up to 40 it saves half of the time:
            then exp(z) and its square are in float32's range, and m is divided out at the end.
        temperatures: For each predicted class the number by which a pixel's logits are divided, for
            a second histogram. It takes all logits once more: see `later`.

    Attributes:
        prediction: (H, W) uint8, the class of the largest logit so far; of equal ones the first.
        tempered: The same pixels at their temperatures, when `later` was called; else None.
    """

    def __init__(
        self,
        label: Tensor,
        ignore_index: int = 255,
        largest: float = float("inf"),
        temperatures: Sequence[float] | None = None,
    ) -> None:
        self._temperatures = temperatures
        self.tempered: PixelStream | None = None
        self._label, self._ignored = label, ignore_index
        self._bounded = largest <= _SAFE
        self._classes = 0
        flat = label.flatten()
        order, counts = flat.argsort(stable=True), flat.long().bincount(minlength=_MOST_LABELS)
        self._places = order.split(counts.tolist())

    def add(self, plane: Tensor) -> None:
        """Take the logits of the next class, (H, W)."""
        plane = plane.float()
        if not self._classes:
            self._begin(plane)
        else:
            for rows in self._blocks():
                self._update(plane[rows], rows)
        places = self._places[self._classes]
        self._of_label.put_(places, plane.take(places))
        self._classes += 1

    def later(self) -> "PixelStream | None":
        """Return what must get all classes once more, when this has them; None for nothing."""
        if self._temperatures is not None:
            self.tempered = _TemperedStream(self, self._temperatures)
        return self.tempered

    def histogram(self, mapping: ClassMap | None = None) -> ImageHistogram:
        """Return the histogram of the image, with its NLL and Brier score.

        Args:
            mapping: The map to the groups of the labels. Then there is no NLL and no Brier score.

        Raises:
            UserError: A logit is NaN or infinite, or there was one class.
        """
        if self._classes < 2:
            raise UserError("calibration: the network has one output", "two or more are needed")
        return add_histograms([self._count(rows, mapping) for rows in self._blocks()])

    def _begin(self, plane: Tensor) -> None:
        self._label = self._label.to(plane.device)
        self._places = [places.to(plane.device) for places in self._places]
        self._best, self._of_label = plane.clone(), plane.clone()
        self._others, self._squares = torch.zeros_like(plane), torch.zeros_like(plane)
        self.prediction = torch.zeros(plane.shape, dtype=torch.uint8, device=plane.device)

    def _blocks(self) -> Iterator[slice]:
        height, width = self._best.shape
        step = height if self._best.is_cuda else max(1, _BLOCK // width)
        return (slice(start, start + step) for start in range(0, height, step))

    def _update(self, plane: Tensor, rows: slice) -> None:
        """Take the logits of the next class in some rows."""
        best = self._best[rows]
        mark_higher(self.prediction[rows], plane > best, self._classes)
        smaller = torch.minimum(best, plane)
        others, squares = self._others[rows], self._squares[rows]
        if self._bounded:
            torch.maximum(best, plane, out=best)
        else:
            # A new largest logit scales what was summed before.
            largest = torch.maximum(best, plane)
            scale = torch.sub(best, largest).exp_()
            others.mul_(scale)
            squares.mul_(scale).mul_(scale)
            smaller.sub_(largest)
            best.copy_(largest)
        power = smaller.exp_()
        others.add_(power)
        squares.addcmul_(power, power)

    def _count(self, rows: slice, mapping: ClassMap | None) -> ImageHistogram:
        """Return the histogram of some rows."""
        others, squares, label = self._others[rows], self._squares[rows], self._label[rows]
        if self._bounded:
            scale = self._best[rows].neg().exp_()
            others, squares = others * scale, squares * scale * scale
        total = others + 1
        if not (self._best[rows].isfinite() & total.isfinite()).all():
            raise UserError("an output of the network is NaN or infinite", "check the weights")
        predicted = self.prediction[rows].cpu().numpy()
        truth = label.cpu().numpy()
        counted = count_image(
            LOG_ODDS, predicted, (1 / total).cpu().numpy(), truth, num_classes=self._classes,
            right=None if mapping is None else mapping.lookup[predicted] == truth,
            log_odds=others.log().neg_().cpu().numpy(), ignore_index=self._ignored,
        )  # fmt: skip
        if mapping is not None:
            return counted
        shifted = self._shifted(rows)
        # Where the sum rounds to 1 the error is below 6e-8 nats; log1p takes four times as long.
        nll = total.log() - shifted
        brier = (squares + 1) / total**2 - 2 * shifted.exp() / total + 1
        known = label != self._ignored
        sums = (
            float(torch.where(known, one, 0.0).sum(dtype=torch.float64)) for one in (nll, brier)
        )
        return ImageHistogram(counted.counts, counted.diagrams, *sums)

    def _shifted(self, rows: slice) -> Tensor:
        """Return how far the label's logit is from the largest one."""
        return self._of_label[rows] - self._best[rows]


class _TemperedStream(PixelStream):
    """The same pixels with their logits divided by the temperature of the predicted class."""

    def __init__(self, first: PixelStream, values: Sequence[float]) -> None:
        self._label, self._ignored, self._places = first._label, first._ignored, first._places
        self._temperatures, self.tempered = None, None
        self._bounded, self._classes = False, 0
        self._best, self.prediction = first._best, first.prediction
        inverse = 1 / torch.tensor(values, dtype=torch.float32, device=self._best.device)
        self._inverse = inverse[self.prediction.long()]

    def _begin(self, plane: Tensor) -> None:
        self._of_label = plane.clone()
        self._others, self._squares = torch.zeros_like(plane), torch.zeros_like(plane)
        for rows in self._blocks():
            self._update(plane[rows], rows)

    def _update(self, plane: Tensor, rows: slice) -> None:
        power = torch.sub(plane, self._best[rows]).mul_(self._inverse[rows]).exp_()
        power.mul_(self.prediction[rows] != self._classes)
        self._others[rows].add_(power)
        self._squares[rows].addcmul_(power, power)

    def _shifted(self, rows: slice) -> Tensor:
        return (self._of_label[rows] - self._best[rows]) * self._inverse[rows]


def mark_higher(labels: Tensor, higher: Tensor, label: int) -> None:
    """Set labels to a class where its logit is the largest so far.

    Args:
        labels: uint8, lower than `label`; changed.
        higher: bool, where.
        label: The class, 1..255.
    """
    # Much faster than `masked_fill_` on a CPU.
    torch.maximum(labels, higher.view(torch.uint8) * label, out=labels)


def fill(stream: PixelStream, logits: Tensor) -> PixelStream:
    """Give a stream all logits of its image, and return it.

    Args:
        stream: An empty one.
        logits: (C, H, W) at the label's size.

    Raises:
        UserError: A logit is NaN or infinite.
    """
    for plane in logits:
        if not plane.isfinite().all():
            raise UserError("an output of the network is NaN or infinite", "check the weights")
        stream.add(plane)
    if (later := stream.later()) is not None:
        for plane in logits:
            later.add(plane)
    return stream
