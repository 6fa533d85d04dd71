"""The cases of optimisers: layer-wise decay, Rein's groups, and schedules."""

import logging
from collections.abc import Mapping

import torch
from mmengine.optim import DefaultOptimWrapperConstructor
from mmengine.registry import PARAM_SCHEDULERS
from mmseg.models.backbones import BEiT
from torch import nn

import ibn_seg.engine.two_stage_schedule  # noqa: F401
from ibn_seg.engine.layer_groups import STAGE
from ibn_seg.foundation.layer_decay import REIN_PARAMWISE, named_factors, network_factors
from ibn_seg.foundation.rein import Rein
from ibn_seg.foundation.timm_models import build_timm
from tests.parity.foundation_case import Found
from tests.parity.recipes import Case


def timm_groups(case: Case) -> Found:
    """Group the parameters of a network as timm's optimiser factory does."""
    params = dict(case.params)
    decay, weight_decay = params.pop("layer_decay"), params.pop("weight_decay")
    params.pop("no_weight_decay")
    network = build_timm(params.pop("arch"), **params)
    factors = network_factors(network, decay, "timm")
    return {"groups": grouped(dict(network.named_parameters()), factors, weight_decay)}


def mmseg_groups(case: Case) -> Found:
    """Group the parameters of mmseg's BEiT and a linear head."""
    expected = case.given["expect"]["groups"]
    width, classes = expected[0]["elements"], expected[-2]["elements"]
    network = BEiT(img_size=64, embed_dims=width, num_layers=case.params["num_layers"], num_heads=2)
    model = nn.ModuleDict({"backbone": network, "decode_head": nn.Linear(width, classes)})
    named = dict(model.named_parameters())
    dimensions = {name: value.dim() for name, value in named.items()}
    factors = named_factors(dimensions, case.params["decay_rate"], "mmseg")
    return {"groups": grouped(named, factors, case.params["weight_decay"])}


def dinov2_factors(case: Case) -> Found:
    """Return the factors of names; DINOv2 does not look at dimensions."""
    names = case.given["expect"]["multipliers"]
    params = case.params
    factors = named_factors(
        dict.fromkeys(names, 2), params["lr_decay_rate"], "dinov2", params["patch_embed_lr_mult"]
    )
    return {"multipliers": factors}


def grouped(parameters: Mapping, factors: Mapping, weight_decay: float) -> list[dict]:
    """Return groups as the figures list them: by factors, with up to four names."""
    groups: dict[tuple, list[str]] = {}
    for name in parameters:
        groups.setdefault(factors[name], []).append(name)
    found = []
    for (rate, decay), names in sorted(groups.items()):
        names = sorted(names)
        found.append({
            "lr_scale": rate,
            "weight_decay": weight_decay * decay,
            "tensors": len(names),
            "elements": sum(parameters[name].numel() for name in names),
            "names": [*names[:2], "...", *names[-2:]] if len(names) > 4 else names,
        })  # fmt: skip
    return found


def rein_groups(case: Case) -> Found:
    """Group Rein's parameters and those of a mask transformer by mmengine's own constructor."""
    head = {
        "level_embed": nn.Embedding(3, 4), "query_embed": nn.Embedding(5, 4),
        "querys2feat": nn.Linear(4, 4), "post_norm": nn.LayerNorm(4),
        "conv": nn.Conv2d(4, 4, 1), "gn": nn.GroupNorm(2, 4),
    }  # fmt: skip
    model = nn.ModuleDict({
        "backbone": nn.ModuleDict({"reins": Rein(2, 8, link=True, tokens=5)}),
        "decode_head": nn.ModuleDict(head),
    })  # fmt: skip
    optimizer = {"type": "AdamW", **case.params}
    construct = DefaultOptimWrapperConstructor({"optimizer": optimizer}, dict(REIN_PARAMWISE))
    logging.disable(logging.INFO)  # mmengine logs every parameter
    try:
        wrapper = construct(model)
    finally:
        logging.disable(logging.NOTSET)
    names = {id(value): name for name, value in model.named_parameters()}
    return {"groups": {
        names[id(value)]: [group["lr"], group["weight_decay"]]
        for group in wrapper.optimizer.param_groups for value in group["params"]
    }}  # fmt: skip


def soma_schedule(case: Case) -> Found:
    """Run mmengine's cosine of the weight decay, and its polynomial of the learning rate."""
    params = case.params
    lr, decay = params["lr"], params["weight_decay"]
    groups = ((lr, decay), (lr, 0.0), (lr * params["backbone_lr_mult"], decay))
    optimizer = torch.optim.AdamW([
        {"params": [nn.Parameter(torch.zeros(1))], "lr": rate, "weight_decay": wd}
        for rate, wd in groups
    ])  # fmt: skip
    common = {"optimizer": optimizer, "end": params["end"], "by_epoch": False}
    cosine = {"type": "CosineAnnealingParamScheduler", "param_name": "weight_decay"}
    poly = {"type": "PolyLR", "power": params["power"], "eta_min": 0.0}
    schedulers = [
        PARAM_SCHEDULERS.build({**each, **common}) for each in ({**cosine, "eta_min": 1e-5}, poly)
    ]
    rows = []
    for _ in case.given["expect"]["rows"]:
        rows.append([g[key] for g in optimizer.param_groups for key in ("lr", "weight_decay")])
        optimizer.step()
        for scheduler in schedulers:
            scheduler.step()
    return {"rows": rows, "columns": case.given["expect"]["columns"]}


def eomt_schedule(case: Case) -> Found:
    """Run our schedule of two stages; the file has the backbone first."""
    params = case.params
    optimizer = torch.optim.AdamW([
        {"params": [nn.Parameter(torch.zeros(1))], "lr": rate, STAGE: stage}
        for rate, stage in zip(params["base_lr"], ("backbone", "head"), strict=True)
    ])  # fmt: skip
    scheduler = PARAM_SCHEDULERS.build({
        "type": "TwoStagePolyLR", "optimizer": optimizer, "warmup": params["warmup_steps"],
        "end": params["total_steps"], "power": params["poly_power"],
    })  # fmt: skip
    rows = []
    for _ in case.given["expect"]["rows"]:
        rows.append([group["lr"] for group in optimizer.param_groups])
        optimizer.step()
        scheduler.step()
    return {"rows": rows}


RUNNERS = {
    "timm.optim.param_groups_layer_decay": timm_groups,
    "mmseg LearningRateDecayOptimizerConstructor on BEiT": mmseg_groups,
    "dinov2/utils/param_groups.py": dinov2_factors,
    "rein/optimizers/peft_optimizer_constructor.py": rein_groups,
    "mmengine CosineAnnealingParamScheduler": soma_schedule,
    "training/two_stage_warmup_poly_schedule.py": eomt_schedule,
}
