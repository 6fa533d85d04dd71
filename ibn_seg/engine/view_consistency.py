"""RandConv's consistency loss: several random views of a batch should be predicted alike."""

import contextlib
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from mmengine.hooks import Hook
from mmengine.registry import HOOKS
from mmengine.runner import Runner
from torch import nn

from ibn_seg.engine.method_hook import bare_model, check_weight
from ibn_seg.errors import UserError
from ibn_seg.layers.style.consistency import view_divergence
from ibn_seg.layers.style.random_convolution import RandConv

# Of three views, the training step itself is one.
_MORE_VIEWS = 2
# The published weights, with RandConv's two modes.
_MIXING, _REPLACING = 10.0, 5.0


@HOOKS.register_module()
class ViewConsistencyHook(Hook):
    """Adds the divergence of three views of a batch to the losses; RandConv makes the views.

    The training step is the first view, and its predictions are compared with the labels. Two more
    passes see the same images through other random convolutions. The loss is the Jensen-Shannon
    divergence of the main head's three predictions, per pixel of the head's output. The norms of
    the batch see all views, as in the released code. A step takes about three times as long.

    Source: Xu et al., ICLR 2021 (RandConv), arXiv:2007.13003, algorithm 1, and its code. The code
    makes the further views from the first view; here each is made from the images, as in the paper.

    Args:
        weight: Weight of the loss. Default: the published one, 10 where RandConv mixes the images
            with their convolution, and 5 where it replaces them.

    Raises:
        UserError: The weight is negative or NaN, the network has no RandConv, or its main head does
            not give one score map per class.
    """

    # After `MethodHook`, whose losses are those of the first view.
    priority = "LOW"

    def __init__(self, weight: float | None = None) -> None:
        check_weight("ViewConsistencyHook", "weight", weight)
        self.weight = weight
        self._handle: Any = None
        self._scores: torch.Tensor | None = None
        self._undo = contextlib.ExitStack()

    def before_train(self, runner: Runner) -> None:
        """Watch the main head, and let the loss join those of the model."""
        self.check_training(runner)
        model = bare_model(runner)
        self._undo.enter_context(self._watched(model.decode_head))
        self._handle = model.register_forward_hook(self._add_loss, with_kwargs=True)

    def after_train(self, runner: Runner) -> None:
        """Leave the model as it was."""
        self._undo.close()
        if self._handle is not None:
            self._handle.remove()
            self._handle = None

    def check_training(self, runner: Runner) -> None:
        """Raise if there is nothing to compare; a dry run asks too."""
        model = bare_model(runner)
        if not _layers(model):
            raise UserError(
                "ViewConsistencyHook: the network has no RandConv, which makes its views",
                "name 'RandConv (consistency)' in experiment.method",
            )
        head = getattr(model, "decode_head", None)
        one = isinstance(head, nn.Module) and not isinstance(head, nn.ModuleList)
        if not one or not hasattr(model, "extract_feat"):
            raise UserError(
                f"ViewConsistencyHook: a {type(model).__name__} has no single decode_head",
                "use a network such as mmseg's EncoderDecoder",
            )

    @contextlib.contextmanager
    def _watched(self, head: nn.Module) -> Iterator[None]:
        """Keep the scores of a head; mmseg calls its `forward` directly, so no hook would see."""
        own = vars(head).get("forward")
        plain = head.forward

        def forward(*args: Any, **named: Any) -> Any:
            self._scores = plain(*args, **named)
            return self._scores

        head.forward = forward
        try:
            yield
        finally:
            del head.forward  # the class's own is behind it
            if own is not None:
                head.forward = own

    def _add_loss(
        self, model: nn.Module, arguments: tuple, named: Mapping[str, Any], output: Any
    ) -> Any:
        """Add the loss to those of a forward pass in the mode 'loss'."""
        if not isinstance(output, dict) or named.get("mode") != "loss":
            return output
        views, inputs = [self._scores], named["inputs"]
        with _unwatched(model):
            for _ in range(_MORE_VIEWS):
                views.append(model.decode_head.forward(model.extract_feat(inputs)))
        self._scores = None
        if not all(isinstance(view, torch.Tensor) and view.dim() == 4 for view in views):
            raise UserError(
                f"ViewConsistencyHook: {type(model.decode_head).__name__} gives no map of scores "
                "for each class",
                "use a head that scores every pixel",
            )
        output["loss_consistency"] = self._weight(model) * view_divergence(views)
        return output

    def _weight(self, model: nn.Module) -> float:
        if self.weight is not None:
            return self.weight
        return _MIXING if _layers(model)[0].mixing else _REPLACING


def _layers(model: nn.Module) -> list[RandConv]:
    return [module for module in model.modules() if isinstance(module, RandConv)]


@contextlib.contextmanager
def _unwatched(model: nn.Module) -> Iterator[None]:
    """Let layers with a loss of their own keep none: theirs is that of the first view."""
    layers = [module for module in model.modules() if getattr(module, "watched", False)]
    for layer in layers:
        layer.watched = False
    try:
        yield
    finally:
        for layer in layers:
            layer.watched = True
