"""The cases of whole networks: the product's ResNet-50 with a method at the authors' places."""

import zlib
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from ibn_seg.layers.style.exchange import PAdaIN
from ibn_seg.layers.style.mix_style import EFDMix, MixStyle
from ibn_seg.layers.style.perturbation import DSU
from ibn_seg.layers.style.randomiser import Randomiser
from ibn_seg.layers.whitening import covariance_loss as losses
from ibn_seg.layers.whitening.sensitive import (
    common_mask,
    pair_variances,
    sensitive_entries,
    whitening_layers,
)
from ibn_seg.models import create_model
from ibn_seg.models.backbone import OUTPUT_STRIDES
from ibn_seg.models.places import randomise
from tests.parity.golden import filled_input
from tests.parity.recipes import Case

Found = dict[str, Any]
STAGES = ("layer1", "layer2", "layer3", "layer4")
# RobustNet's codes of norms, by our variants.
VARIANTS = {1: "iw", 3: "in", 4: "b", 5: "sw2"}


def network(variant: str | None, stride: int, **options: Any) -> nn.Module:
    """Return a ResNet-50 of an output stride in float64."""
    strides, dilations = OUTPUT_STRIDES[stride]
    return create_model(
        "resnet50", ibn=variant, strides=strides, dilations=dilations, **options
    ).double()


def fill(case: Case, model: nn.Module, renamed: Callable[[str], str] = lambda key: key) -> None:
    """Fill every tensor by the authors' key of it."""
    for key, value in model.state_dict().items():
        if key.endswith((".mask", "num_batches_tracked")):
            continue
        theirs = renamed(key.replace(".IN.", ".instance_norm_layer."))
        make = case.positive_definite if key.endswith("running_cov") else case.filled
        value.copy_(make(theirs, value.shape))


def images(case: Case) -> torch.Tensor:
    """Return the input."""
    given = case.given["inputs"]["x"]
    return filled_input(given["batch"], given["size"], case.given["seed"]).double()


def keep(kept: Found, module: nn.Module, name: str) -> None:
    """Keep a copy of a module's output; an in-place ReLU may follow."""
    module.register_forward_hook(lambda _, __, output: kept.update({name: output.clone()}))


def keep_stages(kept: Found, model: nn.Module) -> None:
    for name in STAGES:
        keep(kept, getattr(model, name), name)


def robustnet(case: Case) -> Found:
    model = network(VARIANTS[case.params["code"]], 16, features_only=True)
    fill(case, model)
    model.train(case.training)
    kept: Found = {}
    keep_stages(kept, model)
    layers = whitening_layers(model)
    for index, layer in enumerate(layers):
        keep(kept, layer, f"whitened{index}")
        layer.watched = True
    model(images(case))
    kept |= {"bn1.running_cov": getattr(model.bn1, "running_cov", None)}
    kept |= {"layer1.2.running_mean": getattr(model.layer1[2].IN, "running_mean", None)}
    return kept | whitening(case, model, kept) if layers else kept


def whitening(case: Case, model: nn.Module, kept: Found) -> Found:
    """Return the losses of IW and of IRW, and in training two gradients of IW's."""
    found: Found = {}
    for index, layer in enumerate(whitening_layers(model)):
        maps, mask = kept[f"whitened{index}"], layer.mask
        if case.training:
            found[f"iw_loss{index}"] = layer.take_loss()
        else:
            found[f"iw_loss{index}"] = losses.whitening_loss(maps, mask)
        margin = losses.relaxed_margin(maps.size(1), 64)
        found[f"irw_loss{index}"] = losses.whitening_loss(maps, mask, margin)
    for kind in ("iw", "irw"):
        parts = [value for name, value in found.items() if name.startswith(f"{kind}_")]
        found[f"{kind}_loss"] = torch.stack(parts).mean()
    if case.training:
        found["iw_loss"].backward()
        found["grad_conv1"] = model.conv1.weight.grad
        found["grad_layer2.3.conv3"] = model.layer2[3].conv3.weight.grad
    return found


class DeepLab(nn.Module):
    """RobustNet's DeepLabV3+ around our ResNet-50, with its names but for the backbone's."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.backbone = network("isw", 16, features_only=True)
        rates = (1, 6, 12, 18)
        self.aspp = nn.Module()
        self.aspp.features = nn.ModuleList(
            _unit(2048, 256, 1 if rate == 1 else 3, rate) for rate in rates
        )
        self.aspp.img_conv = _unit(2048, 256, 1)
        self.bot_fine = _unit(256, 48, 1)
        self.bot_aspp = _unit(1280, 256, 1)
        self.final1 = nn.Sequential(*_unit(304, 256, 3), *_unit(256, 256, 3))
        self.final2 = nn.Sequential(nn.Conv2d(256, classes, 1))
        self.dsn = nn.Sequential(
            nn.Conv2d(1024, 512, 3, padding=1), nn.BatchNorm2d(512), nn.ReLU(),
            nn.Dropout2d(0.0), nn.Conv2d(512, classes, 1),
        )  # fmt: skip

    def forward(self, x: torch.Tensor, labels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the main and the auxiliary cross-entropy."""
        low, _, middle, high = self.backbone(x)
        pooled = self.aspp.img_conv(high.mean((2, 3), keepdim=True))
        parts = [_resized(pooled, high), *(branch(high) for branch in self.aspp.features)]
        deep = _resized(self.bot_aspp(torch.cat(parts, 1)), low)
        scores = self.final2(self.final1(torch.cat((self.bot_fine(low), deep), 1)))
        main = F.cross_entropy(_resized(scores, x), labels, ignore_index=255)
        beside = self.dsn(middle)
        small = F.interpolate(labels[:, None].double(), beside.shape[2:], mode="nearest")
        return main, F.cross_entropy(beside, small[:, 0].long(), ignore_index=255)


def _unit(channels: int, out: int, side: int, rate: int = 1) -> nn.Sequential:
    padding = rate if side > 1 else 0
    conv = nn.Conv2d(channels, out, side, padding=padding, dilation=rate, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(out), nn.ReLU())


def _resized(x: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
    return F.interpolate(x, like.shape[2:], mode="bilinear", align_corners=True)


def _layer0(key: str) -> str:
    """Return RobustNet's key of a tensor of the whole network."""
    key = key.removeprefix("backbone.")
    for ours, theirs in (("conv1.", "layer0.0."), ("bn1.", "layer0.1.")):
        if key.startswith(ours):
            return theirs + key.removeprefix(ours)
    return key


def isw(case: Case) -> Found:
    model = DeepLab(classes=19).double()
    fill(case, model, _layer0)
    layers = whitening_layers(model)
    shape = (1, 3, *images(case).shape[2:])
    trials: list[list[torch.Tensor]] = []
    for trial in range(case.params["trials"]):
        pairs = [
            _pair(case, f"{case.name}.t{trial}.i{pair}", shape)
            for pair in range(case.params["pairs"])
        ]
        variances = pair_variances(model.backbone, pairs)
        trials.append([sensitive_entries(v, case.params["clusters"])[0] for v in variances])
    x, found = images(case), {}
    rng = np.random.default_rng([case.given["seed"], zlib.crc32(f"{case.name}.labels".encode())])
    labels = torch.from_numpy(rng.integers(0, 20, (len(x), *shape[2:])))
    labels[labels == 19] = 255
    model.train()
    for layer in layers:
        layer.watched = True
    state = {key: value.clone() for key, value in model.state_dict().items()}
    model(x, labels)
    found["isw_loss_before_mask"] = torch.stack([layer.take_loss() for layer in layers]).mean()
    model.load_state_dict(state)
    for index, (layer, masks) in enumerate(zip(layers, zip(*trials, strict=True), strict=True)):
        layer.mask.copy_(common_mask(list(masks)))
        found |= {f"mask{index}": layer.mask, f"num_sensitive{index}": layer.mask.sum()}
    found["main_loss"], found["aux_loss"] = model(x, labels)
    found["isw_loss"] = torch.stack([layer.take_loss() for layer in layers]).mean()
    return found


def _pair(case: Case, key: str, shape: tuple[int, ...]) -> tuple[torch.Tensor, torch.Tensor]:
    """Return an image and its changed version."""
    original, other = (
        (case.image(f"{key}.{kind}", shape) - 0.45) / 0.22 for kind in ("original", "changed")
    )
    return original, 0.7 * original + 0.5 * other


def _given_draws(layer: Randomiser, drawn: Any) -> None:
    """Let a layer change every batch, as drawn."""
    layer.p = 1.0
    layer.draw = lambda x: drawn


def dsu(case: Case) -> Found:
    places = ["stem.conv", "pool", *(f"end({stage})" for stage in (1, 2, 3, 4))]
    # As torchvision dilates: the first block of a stage keeps the dilation before it.
    model = network(None, 8, num_classes=1000, contract_dilation=True)
    fill(case, model)
    x, kept = images(case), {}
    keep_stages(kept, model)
    layers = randomise(model, [places[index] for index in case.params["pos"]], DSU)
    widths = (64, 64, 256, 512, 1024, 2048)
    for index, layer in zip(case.params["pos"], layers, strict=True):
        shape = (len(x), widths[index])
        names = (f"{case.name}.pos{index}.{kind}" for kind in ("mu", "sigma"))
        _given_draws(layer, tuple(case.normal(name, shape) for name in names))
    return {"fc_after_position5": model.train()(x), **kept}


def mixing(kind: type[Randomiser]) -> Callable[[Case], Found]:
    """Return the runner of a method that mixes images behind stages."""

    def run(case: Case) -> Found:
        model, kept = network(None, 32, features_only=True), {}
        fill(case, model)
        keep_stages(kept, model)
        places = [f"end({name.removeprefix('layer')})" for name in case.params["positions"]]
        layers = randomise(model, places, kind)
        for name, layer in zip(case.params["positions"], layers, strict=True):
            shares = torch.tensor(case.draws[f"lambda_{name}"], dtype=torch.float64)
            _given_draws(layer, (shares, case.draws[f"perm_{name}"]))
        keep(kept, model.layer1, "layer1_mixed")
        model.train()(images(case))
        return kept | {"layer1_mixed_sorted": kept["layer1_mixed"].flatten(2).sort(-1).values}

    return run


def padain(case: Case) -> Found:
    model, kept = network(None, 8, features_only=True, contract_dilation=True), {}
    fill(case, model)
    layers = randomise(model, ["conv"], PAdaIN)
    for layer, perm in zip(layers, case.draws["perms_in_order"], strict=True):
        _given_draws(layer, perm)
    keep_stages(kept, model)
    model.train()(images(case))
    return kept


RUNNERS: Mapping[str, Callable[[Case], Found]] = {
    "IN with affine (IBN-b) network": robustnet,
    "IN without affine network": robustnet,
    "IW/IRW network": robustnet,
    "SW network": robustnet,
    "ISW network": isw,
    "DSU network": dsu,
    "MixStyle network": mixing(MixStyle),
    "EFDMix network": mixing(EFDMix),
    "pAdaIN network": padain,
}
