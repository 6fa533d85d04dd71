"""The training hook of methods: seeds for their layers, and their losses."""

import math
from collections.abc import Mapping
from typing import Any

import torch
from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmengine.registry import HOOKS
from mmengine.runner import Runner
from torch import nn

from ibn_seg.errors import UserError
from ibn_seg.layers.semantic_stage import SemanticStage
from ibn_seg.layers.style.draws import Draws
from ibn_seg.layers.whitening.instance_whitening import InstanceWhitening
from ibn_seg.layers.whitening.sensitive import whitening_layers


def bare_model(runner: Runner) -> nn.Module:
    """Return the runner's model without a wrapper for replicas."""
    return runner.model.module if is_model_wrapper(runner.model) else runner.model


def check_weight(owner: str, name: str, weight: float | None) -> None:
    """Raise unless the weight of a loss is a number of at least 0, or None.

    Raises:
        UserError: It is negative, infinite or NaN.
    """
    if weight is not None and not 0 <= weight < math.inf:
        raise UserError(f"{owner}: {name}={weight}", "give a number of at least 0")


def is_wanted(layer: InstanceWhitening) -> bool:
    """Tell whether a layer has a loss: ISW's has none until its mask is set."""
    return not layer.sensitive or bool(layer.mask.any())


@HOOKS.register_module()
class MethodHook(Hook):
    """Gives layers of methods the run's seed and iteration, and adds their losses.

    Without it, the layers that randomise features draw from seed 0 and count forward passes, and
    there are no losses of whitening and of semantic regions.

    Args:
        whitening: Weight of the mean loss of the layers of IW, IRW or ISW. None: there is none.
        semantic: Weight of the loss of each stage with SAN. None: there is none.

    Raises:
        UserError: A weight is given, and the network has no layer with that loss. Or it is
            negative, infinite or NaN.
    """

    def __init__(self, whitening: float | None = None, semantic: float | None = None) -> None:
        check_weight("MethodHook", "whitening", whitening)
        check_weight("MethodHook", "semantic", semantic)
        self.whitening = whitening
        self.semantic = semantic
        self._draws: list[Draws] = []
        self._handle: Any = None

    def before_train(self, runner: Runner) -> None:
        """Find the layers, and let the losses join those of the model."""
        model = bare_model(runner)
        found = (getattr(module, "draws", None) for module in model.modules())
        self._draws = list({id(item): item for item in found if isinstance(item, Draws)}.values())
        for draws in self._draws:
            draws.seed = runner.seed
        self.check_training(runner)
        for layer in whitening_layers(model):
            layer.watched = self.whitening is not None and is_wanted(layer)
        for stage in _stages(model):
            stage.watched = self.semantic is not None
        self._handle = model.register_forward_hook(self._add_losses, with_kwargs=True)

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None) -> None:
        """Tell the layers the iteration."""
        for draws in self._draws:
            draws.begin_iteration(runner.iter)

    def after_train(self, runner: Runner) -> None:
        """Leave the model as it was."""
        if self._handle is not None:
            self._handle.remove()
            self._handle = None

    def check_training(self, runner: Runner) -> None:
        """Raise if the network has no layer for a loss; a dry run asks too."""
        model = bare_model(runner)
        for name, weight, layers in (
            ("whitening", self.whitening, whitening_layers(model)),
            ("semantic", self.semantic, _stages(model)),
        ):
            if weight is not None and not layers:
                raise UserError(
                    f"MethodHook: {name}={weight}, and the network has no layer with that loss",
                    "name the method in experiment.method, or set model.backbone.ibn",
                )

    def _add_losses(
        self, model: nn.Module, arguments: tuple, named: Mapping[str, Any], output: Any
    ) -> Any:
        """Add the losses to those of a forward pass in the mode 'loss'."""
        if not isinstance(output, dict) or named.get("mode") != "loss":
            return output
        kept = [layer.take_loss() for layer in whitening_layers(model)]
        losses = [loss for loss in kept if loss is not None]
        if losses and self.whitening is not None:
            output["backbone.loss_whitening"] = self.whitening * torch.stack(losses).mean()
        if self.semantic is not None:
            labels = _labels(named.get("data_samples"))
            for place, stage in enumerate(_stages(model), 1):
                loss = stage.take_loss(labels.to(stage.classifier.weight.device))
                output[f"backbone.loss_semantic{place}"] = self.semantic * loss
        return output


def _stages(model: nn.Module) -> list[SemanticStage]:
    return [module for module in model.modules() if isinstance(module, SemanticStage)]


def _labels(samples: Any) -> torch.Tensor:
    """Return the trainIds of a batch of mmseg, (N, H, W)."""
    return torch.stack([sample.gt_sem_seg.data[0] for sample in samples]).long()
