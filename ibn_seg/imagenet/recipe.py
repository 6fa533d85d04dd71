"""The settings of training on ImageNet: the reference's values, and which can be changed."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ibn_seg.errors import UserError, unknown

SCHEDULES = ("step", "cosine")
AMP_TYPES = ("float16", "bfloat16")
# Learning rate at the start of the warm-up, as a share of the full one. torchvision's reference
# training of classifiers (references/classification/train.py) has the same default.
_WARMUP_START = 0.01
# All networks divide the size by 32, and instance norms need more than one value at stride 16.
SMALLEST_IMAGE = 32


@dataclass(frozen=True)
class Recipe:
    """The settings of a training; the defaults are the reference's.

    The reference is https://github.com/XingangPan/IBN-Net: train.sh, and the defaults of
    imagenet.py.

    Attributes:
        epochs: Epochs to train. An epoch has as many iterations as the training set has whole
            batches. The remaining pictures begin the next epoch.
        batch_size: Pictures in a batch, over all processes.
        lr: Learning rate at the beginning, for the whole batch.
        momentum: Momentum of SGD.
        weight_decay: Weight decay, of all parameters.
        schedule: 'step' multiplies the learning rate by 0.1 at each milestone. 'cosine' lowers it
            to 0, iteration by iteration.
        milestones: Epochs of the steps. None stands for 30, 60 and 90 percent of `epochs`, so for
            epochs 30, 60 and 90 of 100.
        warmup_epochs: Epochs in which the learning rate rises linearly from a hundredth.
        amp: Train in mixed precision. None: yes if there is a GPU.
        amp_type: 'float16' (with loss scaling, needs a GPU) or 'bfloat16'. None stands for float16
            on a GPU, else bfloat16.
        channels_last: Use the channels-last memory format. None: yes if there is a GPU.
        ema: Average the weights exponentially, with this weight for the newest; None: no average.
            The average is then validated, and saved as the weights.
        image_size: Side of the square that the network sees, in pixels.
        val_interval: Epochs between validations; the last epoch is always validated.
        val_batch_size: Pictures in a validation batch, over all processes.
        pretrained: Start from the published weights.
        init: Start from this checkpoint of the network or its batch-norm twin.
    """

    epochs: int = 100
    batch_size: int = 256
    lr: float = 0.1
    momentum: float = 0.9
    weight_decay: float = 1e-4
    schedule: str = "step"
    milestones: tuple[float, ...] | None = None
    warmup_epochs: int = 0
    amp: bool | None = None
    amp_type: str | None = None
    channels_last: bool | None = None
    ema: float | None = None
    image_size: int = 224
    val_interval: int = 1
    val_batch_size: int = 100
    pretrained: bool = False
    init: str | None = None

    def check(self) -> None:
        """Raise a `UserError` if a single setting is wrong."""
        for value, allowed, name in (
            (self.schedule, SCHEDULES, "schedule"),
            (self.amp_type or AMP_TYPES[0], AMP_TYPES, "AMP type"),
        ):
            if value not in allowed:
                raise unknown(name, value, allowed)
        for name, (fits, meaning) in _RANGES.items():
            value = getattr(self, name)
            if value is not None and not fits(value):
                raise UserError(f"--{name.replace('_', '-')} {value}", meaning)
        if self.warmup_epochs >= self.epochs:
            raise UserError(
                f"--warmup-epochs {self.warmup_epochs} of {self.epochs} epochs",
                "they must be fewer than --epochs",
            )
        if self.pretrained and self.init:
            raise UserError("--pretrained and --init are both given", "give one of them")
        if self.milestones is not None:
            self._check_milestones(self.milestones)

    def _check_milestones(self, milestones: tuple[float, ...]) -> None:
        if self.schedule != "step":
            raise UserError("--milestones are for --schedule step", "leave one of them out")
        if list(milestones) != sorted(set(milestones)) or not all(
            0 < milestone < self.epochs for milestone in milestones
        ):
            raise UserError(
                f"--milestones {','.join(f'{m:g}' for m in milestones)} for {self.epochs} epochs",
                f"they must increase, between 0 and {self.epochs}; without the option they are "
                "30, 60 and 90 percent of --epochs",
            )

    def schedulers(self, epoch_length: int) -> list[dict[str, Any]]:
        """Return mmengine's learning-rate schedulers, all by iteration.

        Args:
            epoch_length: Iterations of an epoch.
        """
        warmup, last = self.warmup_epochs * epoch_length, self.epochs * epoch_length
        found: list[dict[str, Any]] = []
        if warmup:
            # mmengine reaches the full rate in the iteration before `end`, so two are needed.
            found.append(
                {"type": "LinearLR", "start_factor": _WARMUP_START, "by_epoch": False,
                 "begin": 0, "end": max(2, warmup)}
            )  # fmt: skip
        if self.schedule == "cosine":
            found.append(
                {"type": "CosineAnnealingLR", "eta_min": 0.0, "by_epoch": False,
                 "begin": warmup, "end": last, "T_max": last - warmup}
            )  # fmt: skip
        else:
            steps = self.milestones or tuple(share * self.epochs for share in (0.3, 0.6, 0.9))
            iterations = [round(step * epoch_length) for step in steps]
            found.append(
                {"type": "MultiStepLR", "gamma": 0.1, "by_epoch": False,
                 "milestones": iterations, "end": last}
            )  # fmt: skip
        return found

    def optimizer(self) -> dict[str, Any]:
        """Return mmengine's `optim_wrapper`; `amp` and `amp_type` must be decided."""
        sgd = {
            "type": "SGD",
            "lr": self.lr,
            "momentum": self.momentum,
            "weight_decay": self.weight_decay,
        }
        if not self.amp:
            return {"type": "OptimWrapper", "optimizer": sgd}
        if self.amp_type == "bfloat16":
            return {"type": "Bfloat16OptimWrapper", "optimizer": sgd}
        return {"type": "AmpOptimWrapper", "loss_scale": "dynamic", "optimizer": sgd}


_Range = tuple[Callable[[Any], bool], str]
_POSITIVE: _Range = (lambda value: value > 0, "it must be positive")
_NOT_NEGATIVE: _Range = (lambda value: value >= 0, "it must not be negative")
_RANGES: dict[str, _Range] = {
    **dict.fromkeys(("epochs", "batch_size", "lr", "val_interval", "val_batch_size"), _POSITIVE),
    **dict.fromkeys(("weight_decay", "warmup_epochs"), _NOT_NEGATIVE),
    "image_size": (
        lambda value: value >= SMALLEST_IMAGE,
        f"it must be at least {SMALLEST_IMAGE}",
    ),
    "momentum": (lambda value: 0 <= value < 1, "it must be at least 0 and below 1"),
    "ema": (
        lambda value: 0 < value <= 0.5,
        "it is the weight of the newest weights, above 0 and at most 0.5, such as 0.0002",
    ),
}
