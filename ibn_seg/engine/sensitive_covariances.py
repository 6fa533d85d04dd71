"""ISW's mask in a training: built once, at a share of the run, and kept in checkpoints."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from mmengine.dist import broadcast
from mmengine.hooks import Hook
from mmengine.registry import HOOKS
from mmengine.runner import Runner
from torch import nn

from ibn_seg.engine.method_hook import bare_model
from ibn_seg.engine.random_state import preserved_random_state
from ibn_seg.engine.sampling import locate, members
from ibn_seg.errors import UserError
from ibn_seg.layers.whitening.sensitive import (
    common_mask,
    pair_variances,
    sensitive_entries,
    whitening_layers,
)

_Pair = tuple[torch.Tensor, torch.Tensor]


@HOOKS.register_module()
class SensitiveCovarianceHook(Hook):
    """Selects the covariances of ISW that change with the appearance of training images.

    Before iteration `begin`, the network sees whole frames of the training set, each with and
    without a change of colours and sharpness. That is done `trials` times, and the entries that all
    trials select become the mask. From then on `MethodHook` has a loss. The draws depend on the
    seed alone, so a resumed run selects the same. With several processes the first one's masks
    count.

    Args:
        begin: When the mask is built: a share of the run's iterations below 1, or an iteration.
        images: Images of a trial; fewer if the training set has fewer.
        trials: Number of trials.
        clusters: Clusters of the variances: 3 for GTA5, 2 for Cityscapes in the paper.

    Raises:
        UserError: The mask would be built after the run, a number is out of its range, or the
            network has no layer of ISW.
    """

    # After the losses' hook has found the layers.
    priority = "LOW"

    def __init__(
        self, begin: float = 0.12, images: int = 500, trials: int = 10, clusters: int = 3
    ) -> None:
        if min(images, trials) < 1 or clusters < 2 or begin < 0:
            raise UserError(
                f"SensitiveCovarianceHook: {begin=}, {images=}, {trials=}, {clusters=}",
                "give at least 0, 1, 1 and 2",
            )
        self.begin = begin
        self.images = images
        self.trials = trials
        self.clusters = clusters
        self._start = 0

    def before_train(self, runner: Runner) -> None:
        """Compute the iteration, and check that the network has what the mask is for."""
        self.check_training(runner)

    def check_training(self, runner: Runner) -> None:
        """Raise if the mask has no time or no layer; a dry run asks too."""
        share = self.begin < 1
        self._start = round(self.begin * runner.max_iters) if share else int(self.begin)
        if self._start >= runner.max_iters:
            raise UserError(
                f"ISW: its mask is built before iteration {self._start}, and the run has "
                f"{runner.max_iters}",
                "give SensitiveCovarianceHook.begin as a share, such as 0.12",
            )
        if not self._layers(runner):
            raise UserError(
                "SensitiveCovarianceHook: the network has no layer of ISW",
                "set model.backbone.ibn='isw'",
            )

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None) -> None:
        """Build the mask when it is time; afterwards the state dict has it."""
        layers = self._layers(runner)
        if runner.iter < self._start or all(layer.watched for layer in layers):
            return
        model, paths = bare_model(runner), training_images(runner)
        trials = []
        with preserved_random_state():
            for trial in range(self.trials):
                variances = pair_variances(model.backbone, self._pairs(runner, paths, trial))
                trials.append([sensitive_entries(v, self.clusters)[0] for v in variances])
        for layer, masks in zip(layers, zip(*trials, strict=True), strict=True):
            mask = common_mask(list(masks)).to(layer.mask.device, torch.uint8)
            broadcast(mask)
            layer.mask.copy_(mask)
            layer.watched = True
        runner.model.train()
        selected = ", ".join(str(int(layer.mask.sum())) for layer in layers)
        runner.logger.info(f"ISW: sensitive covariances of the layers: {selected}")

    @staticmethod
    def _layers(runner: Runner) -> list[nn.Module]:
        return [layer for layer in whitening_layers(bare_model(runner)) if layer.sensitive]

    def _pairs(self, runner: Runner, paths: list[str], trial: int) -> Iterator[_Pair]:
        """Yield normalised images, each unchanged and changed, in the order of a trial."""
        from mmcv.transforms import LoadImageFromFile

        from ibn_seg.transforms.photometric import ColorJitter, RandomGaussianBlur

        load, changes = LoadImageFromFile(), (ColorJitter(0.8, 0.8, 0.8, 0.3), RandomGaussianBlur())
        order = np.random.default_rng([runner.seed, trial, len(paths)]).permutation(len(paths))
        for place, index in enumerate(order[: self.images]):
            words = np.random.SeedSequence([runner.seed, trial, place]).generate_state(4)
            np.random.seed(words)
            results = load({"img_path": paths[index]})
            unchanged = results["img"].copy()
            for change in changes:
                results = change(results)
            yield normalised(bare_model(runner), unchanged, results["img"])


def training_images(runner: Runner) -> list[str]:
    """Return the paths of the training images, in the order of the data set.

    Raises:
        UserError: The data set does not tell them.
    """
    dataset = runner.train_dataloader.dataset
    if not all(hasattr(member, "get_data_info") for member in members(dataset)):
        raise UserError(
            "ISW: the training set does not tell where its images are", "use a data set of mmseg"
        )
    found = (locate(dataset, index) for index in range(len(dataset)))
    return [member.get_data_info(index)["img_path"] for member, index in found]


def normalised(model: nn.Module, *images: np.ndarray) -> _Pair:
    """Return (H, W, 3) uint8 images as the network sees them, (1, 3, H, W) each."""
    tensors = [torch.from_numpy(image.transpose(2, 0, 1).copy()) for image in images]
    batch = model.data_preprocessor({"inputs": tensors, "data_samples": None}, training=False)
    first, second = batch["inputs"].split(1)
    return first, second
