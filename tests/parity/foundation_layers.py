"""The cases of single layers: Rein, LoRA, SoMA, heads, pyramids, positions and patches."""

import torch
from mmseg.models.necks import Feature2Pyramid
from torch import nn
from torch.nn import functional as F

from ibn_seg.foundation.low_rank import LowRankLinear
from ibn_seg.foundation.pyramid import bilinear_pyramid
from ibn_seg.foundation.rein import Rein
from ibn_seg.foundation.resampling import resampled_patches, resampled_positions
from ibn_seg.plugins.linear_head import BNLinearHead
from tests.parity.foundation_case import Found, fill, gradients, normal, parameter, relative
from tests.parity.recipes import Case

_ROWS = 5


def positions(case: Case) -> Found:
    grid, new = case.params["grid"], tuple(case.params["new"])
    shape = (1, grid**2 + 1, case.params["channels"])
    table = parameter(case, f"{case.name}.pos_embed", shape).float()
    ways = {"dinov2": "dinov2", "dinov2_reg": "timm", "timm": "timm", "rein_convert": "bicubic"}
    found: Found = {name: resampled_positions(table, new, way) for name, way in ways.items()}
    found["differences"] = {
        name: relative(*(found[part] for part in name.split(" - ")))
        for name in case.given["expect"]["differences"]
    }
    return found


def patches(case: Case) -> Found:
    old, new = case.params["old"], case.params["new"]
    shape = case.given["expect"]["timm"]["shape"]
    kernel = parameter(case, f"{case.name}.weight", (*shape[:2], old, old)).float()
    found: Found = {
        name: resampled_patches(kernel, (new, new), way)
        for name, way in (("rein_convert", "bicubic"), ("timm", "timm"))
    }
    every = {"before": kernel, **found}
    found["difference"] = relative(found["rein_convert"], found["timm"])
    found["sum_over_kernel"] = {
        # Of the first channel of the image.
        name: value[:, 0].sum((1, 2)).tolist()
        for name, value in every.items()
    }
    return found


def rein_module(params: dict) -> Rein:
    """Return Rein's modules by the authors' names of settings."""
    return Rein(
        params["num_layers"],
        params["embed_dims"],
        params["patch_size"],
        tokens=params["token_length"],
        rank=params.get("lora_dim"),
        scale=params["scale"],
        softmax=params.get("use_softmax", True),
        zero_start=params.get("zero_mlp_delta_f", False),
        link=params.get("link_token_to_query", True),
        query_width=params["query_dims"],
    )


def rein(case: Case) -> Found:
    module = rein_module(case.params)
    # The authors' code has the link's layers always.
    linked = rein_module({**case.params, "link_token_to_query": True})
    count = sum(value.numel() for value in linked.parameters())
    bound = module.bound
    fill(case, module, lambda key: f"{case.name}.{key}")
    prefix = int(case.params["has_cls_token"])
    layers = range(case.params["num_layers"])
    inputs = [
        normal(case, f"{case.name}.feats{i}", case.given["expect"]["y0"]["shape"]) for i in layers
    ]
    inputs[0].requires_grad_(True)
    found: Found = {
        f"y{i}": torch.cat([x[:, :prefix], module(x[:, prefix:], i)], 1)
        for i, x in enumerate(inputs)
    }
    if module.link:
        found["queries"] = module.queries()
    wanted = {**dict(module.named_parameters()), "feats0": inputs[0]}
    found |= gradients(case, found, wanted)
    return {**found, "tokens0": module.tokens(0), "parameters": count, "init_bound": bound}


def _adapted(case: Case) -> LowRankLinear:
    """Return a linear layer with an adapter, of the case's sizes, weight and bias."""
    params = case.params
    layer = nn.Linear(params["in_features"], params["out_features"])
    fill(case, layer, lambda key: f"{case.name}.{key}")
    adapter = LowRankLinear(
        layer, params["r"], params["lora_alpha"], params.get("use_rslora", False)
    )
    return adapter.requires_grad_(True)


def lora(case: Case) -> Found:
    layer = fill(case, _adapted(case), lambda key: f"{case.name}.{key}")
    y = layer(normal(case, f"{case.name}.x", (_ROWS, layer.in_features)))
    wanted = {"A": layer.lora_A, "B": layer.lora_B}
    return {
        "y": y,
        **gradients(case, {"y": y}, wanted),
        "delta": layer.change(),
        "trainable_parameters": sum(value.numel() for value in wanted.values()),
    }


def soma(case: Case) -> Found:
    layer = _adapted(case).float()
    weight = layer.weight.detach().clone()
    inputs = normal(case, f"{case.name}.x", (_ROWS, layer.in_features)).float()
    before = F.linear(inputs, weight, layer.bias)
    layer.start_soma(largest=_takes_largest(case.params))
    change, values = layer.change(), torch.linalg.svdvals
    y = layer(inputs)
    found: Found = {
        "scaled_BA": change,
        "residual": layer.weight,
        "singular_values_of_scaled_BA": values(change)[: layer.rank],
        "singular_values_of_weight": values(weight),
        "row_norms_A": layer.lora_A.norm(dim=1).sort()[0],
        "column_norms_B": layer.lora_B.norm(dim=0).sort()[0],
        "output_change_at_init": relative(y, before),
        "y": y,
    }
    return found | sign_free(case, {"y": y}, {"": layer})


def _takes_largest(params: dict) -> bool:
    """Tell which singular values the released code takes; its randomised SVD finds the largest."""
    return params["first_eigen"] or params["lora_weight_init"] != "sora"


def sign_free(case: Case, outputs: dict, layers: dict[str, LowRankLinear]) -> Found:
    """Return B times the gradient of A and the reverse, which no sign of the SVD changes."""
    tensors = {
        f"{name}.{key}": getattr(layer, f"lora_{key}")
        for name, layer in layers.items()
        for key in "AB"
    }
    grads = gradients(case, outputs, tensors)
    found: Found = {}
    for name, layer in layers.items():
        end = f".{name}" if name else ""
        found[f"B_gradA{end}"] = layer.lora_B @ grads[f"grad_{name}.A"]
        found[f"gradB_A{end}"] = grads[f"grad_{name}.B"] @ layer.lora_A
    return found


def linear_head(case: Case) -> Found:
    channels, sizes = case.params["in_channels"], case.params["feature_sizes"]
    several = len(channels) > 1
    head = BNLinearHead(
        channels if several else channels[0],
        norm_cfg={"type": "BN"},
        num_classes=case.params["classes"],
        in_index=list(range(len(channels))) if several else 0,
        # The figures' training has no dropout, which is drawn.
        dropout_ratio=0.0,
    )
    fill(case, head, lambda key: f"{case.name}.{key.replace('conv_seg', 'conv')}")
    maps = [
        normal(case, f"{case.name}.x{i}", (2, count, *size))
        for i, (count, size) in enumerate(zip(channels, sizes, strict=True))
    ]
    head.eval()
    size = case.given["expect"]["predict"]["shape"][-2:]
    y = head(maps)
    found: Found = {
        "y_eval": y,
        "predict": F.interpolate(y, size=size, mode="bilinear", align_corners=False),
    }
    maps[0].requires_grad_(True)
    trained = {"y_train": head.train()(maps)}
    norm = head.batchnorm_layer
    wanted = {"x0": maps[0], "weight": head.conv_seg.weight, "bn_weight": norm.weight}
    found |= trained | gradients(case, trained, wanted)
    return {**found, "running_mean_after": norm.running_mean}


def pyramid(case: Case) -> Found:
    scales, channels = case.params["scales"], case.params["channels"]
    maps = [
        normal(case, f"{case.name}.x{i}", (2, channels, *_base(case))) for i in range(len(scales))
    ]
    neck = Feature2Pyramid(embed_dim=channels, rescales=scales, norm_cfg={"type": "BN"})
    fill(case, neck, lambda key: f"{case.name}.{key}").eval()
    return {
        f"{name}{i}": value
        for name, values in (("bilinear", bilinear_pyramid(maps, scales)), ("deconv", neck(maps)))
        for i, value in enumerate(values)
    }


def _base(case: Case) -> tuple[int, int]:
    """Return the size of the maps that the pyramid is made of: that of scale 1."""
    at = case.params["scales"].index(1)
    return tuple(case.given["expect"][f"bilinear{at}"]["shape"][-2:])


RUNNERS = {
    "dinov2 interpolate_pos_encoding": positions,
    "Rein convert script": patches,
    "rein/models/backbones/reins.py": rein,
    "peft 0.21.2 lora.Linear": lora,
    "rein/peft/sora.py:Linear.sora_init": soma,
    "dinov3 eval/segmentation/models/heads/linear_head.py": linear_head,
    "bilinear scales of Rein": pyramid,
}
