"""Test-time methods in validation and testing: each domain is adapted to on its own."""

import contextlib
from collections.abc import Iterator
from typing import Any

import torch
from mmengine.hooks import EMAHook, Hook
from mmengine.registry import HOOKS
from mmengine.runner import Runner
from torch import nn

from ibn_seg.adaptation.entropy import Tent
from ibn_seg.adaptation.target_averages import averaging_statistics
from ibn_seg.adaptation.target_norm import batch_norms, target_statistics
from ibn_seg.engine.method_hook import bare_model
from ibn_seg.engine.sampling import members
from ibn_seg.errors import UserError, unknown

ADAPTATIONS = ("batch", "AdaBN", "TENT")


@HOOKS.register_module()
class TargetAdaptationHook(Hook):
    """Adapts batch norms to the images of each evaluated domain, and restores them afterwards.

    Every domain begins from the trained network, and training is not changed. Results depend on
    the order of images and on the batch size; `DomainBatchSampler` fixes both.

    Args:
        method: 'batch' uses the statistics of each batch. 'AdaBN' first averages those of all
            images of the domain. 'TENT' also adapts scales and shifts to each batch.
        prior: For 'batch': the share of the source's statistics.
        unbiased: For 'batch': normalise by the unbiased variance, as Schneider et al. do.
        episodic: For 'TENT': forget after each batch; else (online) after each domain.
        optimiser: For 'TENT': 'Adam' or 'SGD'.
        lr: For 'TENT': the learning rate.
        steps: For 'TENT': updates per batch.

    Raises:
        UserError: The method is unknown, the network has no batch norm, or a batch holds images of
            two domains.
    """

    priority = "LOW"

    def __init__(
        self,
        method: str,
        prior: float = 0.0,
        unbiased: bool = False,
        episodic: bool = False,
        optimiser: str = "Adam",
        lr: float = 1e-3,
        steps: int = 1,
    ) -> None:
        if method not in ADAPTATIONS:
            raise unknown("TargetAdaptationHook.method", method, ADAPTATIONS)
        self.method = method
        self.statistics = {"prior": prior, "unbiased": unbiased}
        self.tent = {"optimiser": optimiser, "lr": lr, "steps": steps, "episodic": episodic}
        # What `LabelsOnlyHook` asks: TENT needs the logits themselves.
        self.reads_logits = method == "TENT"
        self._domain: str | None = None
        self._undo = contextlib.ExitStack()

    def before_run(self, runner: Runner) -> None:
        """Refuse a network without batch norms before it is trained or tested."""
        self.check_training(runner)

    def check_training(self, runner: Runner) -> None:
        """Raise if there is nothing to adapt; a dry run asks too."""
        batch_norms(bare_model(runner), self.method)

    def before_val_epoch(self, runner: Runner) -> None:
        """Check that nothing else exchanges the weights for an evaluation."""
        self._begin(runner)

    def before_test_epoch(self, runner: Runner) -> None:
        """Do the same as before a validation."""
        self._begin(runner)

    def before_val_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None) -> None:
        """Adapt anew where a domain begins."""
        self._adapt(runner, runner.val_dataloader.dataset, data_batch)

    def before_test_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None) -> None:
        """Adapt anew where a domain begins."""
        self._adapt(runner, runner.test_dataloader.dataset, data_batch)

    def after_val_epoch(self, runner: Runner, metrics: dict | None = None) -> None:
        """Give the model its own statistics, scales and shifts back."""
        self._undo.close()

    def after_test_epoch(self, runner: Runner, metrics: dict | None = None) -> None:
        """Do the same as after a validation."""
        self._undo.close()

    def _begin(self, runner: Runner) -> None:
        if any(isinstance(hook, EMAHook) for hook in runner.hooks):
            raise UserError(
                f"{self.method}: averaged weights and adaptation at test time exclude each other",
                "leave out EMAHook",
            )
        self._undo.close()
        self._domain = None

    def _adapt(self, runner: Runner, dataset: Any, batch: Any) -> None:
        domains = {sample.get("target", "") for sample in batch["data_samples"]}
        if len(domains) > 1:
            raise UserError(
                f"{self.method}: a batch holds images of {' and '.join(sorted(domains))}",
                "set batch_sampler=dict(type='DomainBatchSampler')",
            )
        (domain,) = domains
        if domain == self._domain:
            return
        self._undo.close()
        self._domain = domain
        model = bare_model(runner)
        if self.method == "batch":
            self._undo.enter_context(
                target_statistics(model, "prediction-time batch norm", **self.statistics)
            )
        elif self.method == "AdaBN":
            self._undo.enter_context(_averaged(model, _member(dataset, domain)))
        else:
            self._undo.enter_context(_entropy_minimised(model, self.tent))


def _member(dataset: Any, domain: str) -> Any:
    """Return the data set of a domain."""
    found = [item for item in members(dataset) if getattr(item, "target", "") == domain]
    return found[0] if found else dataset


@contextlib.contextmanager
def _averaged(model: nn.Module, dataset: Any) -> Iterator[None]:
    """Let a model have the statistics of a data set, one image at a time."""
    state = {key: value.clone() for key, value in model.state_dict().items()}
    with averaging_statistics(model), torch.no_grad():
        for index in range(len(dataset)):
            sample = dataset[index]
            batch = {"inputs": [sample["inputs"]], "data_samples": [sample["data_samples"]]}
            images = model.data_preprocessor(batch, training=False)["inputs"]
            # The heads have batch norms too; mmseg's tensor mode runs both.
            model(images, mode="tensor")
    try:
        yield
    finally:
        model.load_state_dict(state)


@contextlib.contextmanager
def _entropy_minimised(model: nn.Module, settings: dict[str, Any]) -> Iterator[None]:
    """Let a segmentor adapt to whatever it segments."""
    if not hasattr(model, "encode_decode"):
        raise UserError(f"TENT: a {type(model).__name__} has no encode_decode", "use mmseg's")
    segment = model.encode_decode
    tent = Tent(model, scores=lambda given: segment(*given), **settings)
    model.encode_decode = lambda *given: tent(given)
    try:
        yield
    finally:
        del model.encode_decode  # the class's own is behind it
        tent.close()
