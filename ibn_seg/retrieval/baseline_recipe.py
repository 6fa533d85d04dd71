"""The settings of the strong baseline's training, and mmengine's config for them."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from ibn_seg.errors import UserError, unknown
from ibn_seg.reid.warm_up import by_iteration, warm_up_and_steps

TASK = "reid"
_LOG_EVERY = 50
_KEPT_CHECKPOINTS = 2
# A selection compares about as many.
_CANDIDATES = 10
SELECTIONS = ("last", "source")
# Settings that a resumed run may change without other results.
FREE = ("pretrained",)


@dataclass(frozen=True)
class BaselineRecipe:
    """The settings; the defaults are BoT's (its configs/softmax_triplet_with_center.yml).

    Attributes:
        epochs: Epochs, of as many iterations as the sampler's first has.
        identities: People of a batch of one process.
        images: Pictures of each.
        lr: Learning rate of Adam after the warm-up.
        weight_decay: Weight decay, of all parameters.
        milestones: Epochs from which the rate is a tenth.
        warmup_epochs: First epoch with the whole rate; 0 or 1 for no warm-up.
        smoothing: Share of the target that is spread over all identities.
        margin: Margin of the triplet loss.
        center_weight: Weight of the center loss; 0 for none.
        erasing: Share of pictures with a painted rectangle. It helps at home and hurts elsewhere.
        size: Width and height of the input.
        last_stride: Stride of the network's last stage: 1, or 2 for half the work.
        selection: 'last' checkpoint, or the one of about ten that is best on the 'source'.
        amp: Mixed precision: float16 on a GPU, bfloat16 on a CPU. Losses stay float32.
        pretrained: Start from the published ImageNet weights.
    """

    epochs: int = 120
    identities: int = 16
    images: int = 4
    lr: float = 3.5e-4
    weight_decay: float = 5e-4
    milestones: tuple[int, ...] = (40, 70)
    warmup_epochs: int = 10
    smoothing: float = 0.1
    margin: float = 0.3
    center_weight: float = 0.0005
    erasing: float = 0.5
    size: tuple[int, int] = (128, 256)
    last_stride: int = 1
    selection: str = "last"
    amp: bool = False
    pretrained: bool = False

    def check(self) -> None:
        """Raise a `UserError` if a setting is out of range."""
        for name, least in (("epochs", 1), ("identities", 2), ("images", 2), ("warmup_epochs", 0)):
            if getattr(self, name) < least:
                flag = name.replace("_", "-")
                raise UserError(f"--{flag} {getattr(self, name)}", f"it must be at least {least}")
        if self.selection not in SELECTIONS:
            raise unknown("--selection", self.selection, SELECTIONS)
        if self.last_stride not in (1, 2):
            raise UserError(f"--last-stride {self.last_stride}", "allowed: 1 and 2")
        for name, most in (("smoothing", 1), ("erasing", 1)):
            if not 0 <= getattr(self, name) <= most:
                raise UserError(f"--{name} {getattr(self, name)}", f"allowed: 0 to {most}")
        for name in ("lr", "margin", "center_weight", "weight_decay"):
            if getattr(self, name) < 0 or (name == "lr" and not self.lr):
                flag = name.replace("_", "-")
                least = "above 0" if name == "lr" else "0 or more"
                raise UserError(f"--{flag} {getattr(self, name)}", f"it must be {least}")


def baseline_config(
    model: str,
    data: Mapping[str, Any],
    recipe: BaselineRecipe,
    *,
    title: str,
    seed: int,
    workers: int,
    classes: int,
    epoch_length: int,
    gpu: bool,
) -> dict[str, Any]:
    """Return mmengine's config of a training.

    Args:
        model: The name of the network.
        data: `name`, `root` and `options` of the data set, and `also`, names and roots of others.
        recipe: The settings.
        title: The network's name in tables.
        seed: The seed of the run.
        workers: Data workers of one process.
        classes: Number of identities.
        epoch_length: Iterations of an epoch.
        gpu: Whether there is a GPU.
    """
    # Lists, as they are read again from a result.
    settings = {**asdict(recipe), "size": list(recipe.size), "milestones": list(recipe.milestones)}
    return {
        "experiment": {
            "task": TASK,
            "model": model,
            "method": title,
            "data_set": "+".join([data["name"], *(other for other, _ in data["also"])]),
            "options": dict(data["options"]),
            "classes": classes,
            "seed": seed,
            **settings,
        },
        "model": {
            "type": "StrongBaselineTrainer",
            "model": model,
            "num_classes": classes,
            "pretrained": recipe.pretrained,
            "last_stride": recipe.last_stride,
            "smoothing": recipe.smoothing,
            "margin": recipe.margin,
            "center_weight": recipe.center_weight,
        },
        "train_dataloader": {
            "batch_size": recipe.identities * recipe.images,
            "num_workers": workers,
            "persistent_workers": workers > 0,
            "pin_memory": gpu,
            "sampler": {
                "type": "IdentitySampler",
                "identities": recipe.identities,
                "images": recipe.images,
            },
            "collate_fn": {"type": "default_collate"},
            "dataset": {
                "type": "TrainingPictures",
                **data,
                "size": settings["size"],
                "erasing": recipe.erasing,
            },
        },
        "train_cfg": {"type": "SeededIterLoop", "max_iters": recipe.epochs * epoch_length},
        "optim_wrapper": {
            **_wrapper(recipe.amp, gpu),
            "optimizer": {"type": "Adam", "lr": recipe.lr, "weight_decay": recipe.weight_decay},
        },
        "param_scheduler": by_iteration(
            warm_up_and_steps(recipe.milestones, warm_up_epochs=recipe.warmup_epochs), epoch_length
        ),
        "default_hooks": {
            "checkpoint": {
                "type": "AtomicCheckpointHook",
                "by_epoch": False,
                **_kept(recipe, epoch_length),
            },
            "logger": {
                "type": "LoggerHook",
                "interval": _LOG_EVERY,
                "log_metric_by_epoch": False,
            },
        },
        "custom_hooks": [
            {"type": "ProgressHook", "label": title, "epoch_length": epoch_length},
            {"type": "LeaseHook"},
        ],
        "default_scope": "mmengine",
        "env_cfg": {"cudnn_benchmark": True, "dist_cfg": {"backend": "nccl"}},
        "log_processor": {"by_epoch": False},
    }


def _kept(recipe: BaselineRecipe, epoch_length: int) -> dict[str, int]:
    """Return after how many iterations a checkpoint is written, and how many are kept."""
    if recipe.selection == "last":
        return {"interval": epoch_length, "max_keep_ckpts": _KEPT_CHECKPOINTS}
    return {"interval": epoch_length * max(1, recipe.epochs // _CANDIDATES), "max_keep_ckpts": -1}


def _wrapper(amp: bool, gpu: bool) -> dict[str, Any]:
    """Return mmengine's wrapper of the optimiser."""
    if not amp:
        return {"type": "OptimWrapper"}
    if gpu:
        return {"type": "AmpOptimWrapper", "loss_scale": "dynamic"}
    return {"type": "Bfloat16OptimWrapper"}
