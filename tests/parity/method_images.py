"""The cases of images and of test time, computed by the product's own."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import nn

from ibn_seg.adaptation.entropy import Tent, mean_entropy
from ibn_seg.adaptation.target_averages import averaging_statistics
from ibn_seg.adaptation.target_norm import target_statistics
from ibn_seg.layers.style.random_convolution import random_convolution
from ibn_seg.transforms import spectrum
from tests.parity.recipes import Case

Found = dict[str, Any]


def randconv(case: Case) -> Found:
    weight, share = case.input("weight"), case.draws["alpha"]
    return {"y": random_convolution(case.input("image"), weight, share)}


def fda(case: Case) -> Found:
    source, target = (case.input(name)[0].numpy() for name in ("source", "target"))
    closed = "torch" not in case.given["what"]
    return {"y": spectrum.swap_low_frequencies(source, target, case.params["L"], closed)}


def fact(case: Case) -> Found:
    a, b = (case.input(name)[0].permute(1, 2, 0).numpy() for name in ("a", "b"))
    mixed = spectrum.mix_amplitudes(a, b, case.draws["lambda"], case.params["ratio"])
    return {"y_before_truncation": mixed, "y_uint8_sum": float(mixed.astype(np.uint8).sum())}


def pasta(case: Case) -> Found:
    given, image = case.params, case.input("image")[0]
    strength = spectrum.pasta_strength(
        *image.shape[1:], given["alpha"], given["k"], given["beta"], odd="released"
    )
    noise = 1 + strength * case.drawn("noise").numpy()
    return {"strength": strength, "y_before_8bit": spectrum.pasta(image.numpy(), noise)}


def tiny_network(case: Case) -> nn.Module:
    """Return the network of the test-time cases."""
    network = nn.Sequential()
    network.add_module("conv1", nn.Conv2d(3, 6, 3, padding=1, bias=False))
    network.add_module("bn1", nn.BatchNorm2d(6))
    network.add_module("relu", nn.ReLU())
    network.add_module("conv2", nn.Conv2d(6, 5, 1))
    network = network.double().eval()
    for name, value in network.state_dict().items():
        value.copy_(case.parameter(name, value.shape))
    return network


def batches(case: Case) -> list[torch.Tensor]:
    """Return the batches in order."""
    count = sum(name != "network" for name in case.given["inputs"])
    return [case.input(f"x{index}") for index in range(count)]


def tent(case: Case) -> Found:
    given, network = case.params, tiny_network(case)
    names = ("betas", "weight_decay", "momentum", "nesterov", "dampening")
    settings = {name: given[name] for name in names if name in given}
    if "adam_eps" in given:
        settings["eps"] = given["adam_eps"]
    adapted = Tent(
        network, optimiser=given["optimiser"], lr=given["lr"], steps=given["steps"], **settings
    )
    found: Found = {}
    for index, batch in enumerate(batches(case)):
        scores = adapted(batch)
        found[f"logits{index}"] = scores.permute(0, 2, 3, 1).flatten(0, 2)
        found[f"entropy{index}"] = mean_entropy(scores)
    norm = network.bn1.norm
    return found | {"bn_weight": norm.weight, "bn_bias": norm.bias}


def batch_norm(case: Case) -> Found:
    given, network = case.params, tiny_network(case)
    norm, found = network.bn1, {}
    if given.get("reset_stats"):
        norm.reset_running_stats()
    unbiased = "robustness" in case.given["what"]
    settings = {"unbiased": unbiased, **{k: v for k, v in given.items() if k != "reset_stats"}}
    with target_statistics(network, "batch norm", **settings), torch.no_grad():
        for index, batch in enumerate(batches(case)):
            found[f"logits{index}"] = network(batch)
    return found | {"running_mean": norm.running_mean, "running_var": norm.running_var}


def cumulative(case: Case) -> Found:
    """AdaBN over the batches so far, before each batch is evaluated."""
    network, found, seen = tiny_network(case), {}, []
    for index, batch in enumerate(batches(case)):
        seen.append(batch)
        with averaging_statistics(network):
            for earlier in seen:
                network(earlier)
        with torch.no_grad():
            found[f"logits{index}"] = network(batch)
    return found


RUNNERS: dict[str, Callable[[Case], Found]] = {
    "RandConv": randconv,
    "FDA": fda,
    "FACT amplitude mix": fact,
    "PASTA": pasta,
    "TENT": tent,
    "prediction-time BN": batch_norm,
    "BN with target statistics": lambda case: (batch_norm if case.params else cumulative)(case),
}
