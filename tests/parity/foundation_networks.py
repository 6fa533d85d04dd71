"""The cases of whole networks: `TimmBackbone` with the weights of the figures."""

from collections.abc import Mapping

import torch
from torch import nn

from ibn_seg.foundation.base_weights import load_base
from ibn_seg.plugins.timm_backbone import TimmBackbone
from tests.parity.foundation_case import (
    Found,
    fill,
    gradients,
    images,
    parameter,
    relative,
)
from tests.parity.recipes import Case

_SIZES = ("embed_dim", "depth", "num_heads")
_NETWORK = "network."


def backbone(model: str, args: Mapping, **options: object) -> TimmBackbone:
    """Return a backbone that gives the output of every block or stage as it is."""
    if "out_indices" not in options:
        count = args["depth"] if "depth" in args else len(args["depths"])
        options["out_indices"] = range(count)
    return TimmBackbone(model, pyramid=None, timm_args=dict(args), **options).eval()


def maps(model: TimmBackbone, x: torch.Tensor, name: str = "f") -> Found:
    return {f"{name}{i}": value for i, value in enumerate(model(x))}


def features(case: Case) -> Found:
    args = dict(case.given["timm_args"])
    model, size = args.pop("arch"), args.pop("img_size", None)
    plain = backbone(model, args, img_size=size)
    fill(case, plain.network)
    found = maps(plain, images(case))
    if "last_normed" in case.given["expect"]:
        last = len(plain.out_indices) - 1
        normed = backbone(model, args, img_size=size, norm=True, out_indices=[last])
        fill(case, normed.network)
        found["last_normed"] = normed(images(case))[0]
    return found


def dinov2(case: Case) -> Found:
    """Load weights by the original's names, and give features in the original's way."""
    params = case.params
    registers = params["num_register_tokens"]
    model = f"vit_small_patch14_{'reg4_' if registers else ''}dinov2"
    args = {key: params[key] for key in _SIZES}
    options = {"img_size": params["img_size"], "patch_size": params["patch_size"]}
    found: Found = {}
    outputs = {}
    for way in ("dinov2", "timm"):
        for norm in (True, False):
            network = backbone(model, args, norm=norm, positions=way, **options)
            load(case, network, original_shapes(network.network, norm=True))
            outputs[way, norm] = network(images(case))
    found = {f"normed{i}": value for i, value in enumerate(outputs["dinov2", True])}
    found["raw_last"] = outputs["dinov2", False][-1]
    pairs = zip(outputs["dinov2", True], outputs["timm", True], strict=True)
    found["timm_difference"] = [relative(*pair) for pair in pairs]
    return found


def original_shapes(network: nn.Module, norm: bool) -> dict[str, tuple[int, ...]]:
    """Return the tensors of DINOv2's own network for one of timm, by their names there."""
    shapes = {key: tuple(value.shape) for key, value in network.named_parameters()}
    width = network.embed_dim
    if norm:
        shapes |= {"norm.weight": (width,), "norm.bias": (width,)}
    shapes["mask_token"] = (1, width)
    if "reg_token" in shapes:
        shapes["register_tokens"] = shapes.pop("reg_token")
        # The original's table has an entry for the class token.
        shapes["pos_embed"] = (1, shapes["pos_embed"][1] + 1, width)
    return shapes


def load(case: Case, model: TimmBackbone, shapes: Mapping[str, tuple[int, ...]]) -> None:
    """Load the figures' values by the product's loader, in float64."""
    model.double()
    weights = {key: parameter(case, key, shape) for key, shape in shapes.items()}
    load_base(model.network, weights, where=case.name, removed=model.removed)


def eva02(case: Case) -> Found:
    """Load weights by the names of EVA's code, which Rein uses, into timm's EVA02-L."""
    _, width, *grid = case.given["expect"]["f0"]["shape"]
    depth = sum(key[0] == "f" and key[1:].isdigit() for key in case.given["expect"])
    patch = case.given["input"][-1] // grid[-1]
    args = {"embed_dim": width, "depth": depth, "num_heads": 2}
    model = backbone(
        "eva02_large_patch14_224", args, img_size=case.given["input"][-1], patch_size=patch
    )
    renamed = {
        "attn.q_proj.bias": "attn.q_bias", "attn.v_proj.bias": "attn.v_bias",
        "mlp.fc1_g.": "mlp.w1.", "mlp.fc1_x.": "mlp.w2.", "mlp.norm.": "mlp.ffn_ln.",
        "mlp.fc2.": "mlp.w3.", "attn.norm.": "attn.inner_attn_ln.",
    }  # fmt: skip
    shapes = {}
    for key, value in model.network.named_parameters():
        for ours, theirs in renamed.items():
            key = key.replace(ours, theirs)
        shapes[key] = tuple(value.shape)
    load(case, model, shapes)
    outputs = maps(model, images(case))
    # The figures say how far timm is from the original with the same weights: here ours is timm's.
    return {**outputs, "timm_difference": [0.0] * depth, "names": case.given["expect"].get("names")}


def rein(case: Case) -> Found:
    params, settings = case.params, case.params["reins"]
    args = {**{key: params[key] for key in _SIZES}, "init_values": params["init_values"]}
    tuning = {
        "mode": "rein", "rank": settings.get("lora_dim"), "tokens": settings["token_length"],
        "scale": settings["scale"], "link": settings["link_token_to_query"],
        "query_width": settings["query_dims"],
    }  # fmt: skip
    options = {"img_size": params["img_size"], "patch_size": params["patch_size"]}
    model = backbone("vit_small_patch14_dinov2", args, tuning=tuning, positions="dinov2", **options)
    fill(case, model, lambda key: key.removeprefix(_NETWORK))
    x = images(case)
    found = {**maps(model, x), "queries": model.queries()}
    wanted = {key: value for key, value in model.named_parameters() if value.requires_grad}
    found |= gradients(case, found, wanted)
    whole = TimmBackbone(
        "vit_small_patch14_dinov2", tuning=tuning, timm_args=args, positions="dinov2",
        out_indices=params["out_indices"], **options,
    )  # fmt: skip
    whole.load_state_dict(model.state_dict())
    found |= maps(whole.double().eval(), x, "pyramid")
    names = sorted(model.trainable_names())
    modules = {name.partition(".")[0] for name, module in model.train().named_modules()
               if module.training and name}  # fmt: skip
    return {
        **found, "trainable": names, "saved_keys": names, "training_flags": sorted(modules),
        "trainable_parameters": sum(value.numel() for value in wanted.values()),
    }  # fmt: skip


def lora(case: Case) -> Found:
    params = case.params
    args = {key: params[key] for key in _SIZES}
    tuning = {"mode": "lora", "rank": params["r"], "alpha": params["lora_alpha"]}
    model = backbone("vit_small_patch14_dinov2", args, img_size=params["img_size"], tuning=tuning)

    def named(key: str) -> str:
        return f"{case.name}.{key}" if ".lora_" in key else key

    fill(case, model.network, named)
    found = maps(model, images(case))
    trained = {
        key.removeprefix(_NETWORK): value
        for key, value in model.named_parameters()
        if value.requires_grad
    }
    wanted = {key: value for key, value in trained.items() if f"grad_{key}" in case.given["expect"]}
    return {
        **found, **gradients(case, found, wanted),
        "trainable_parameters": sum(value.numel() for value in trained.values()),
        # What peft's list of endings hits besides; ours looks in blocks alone.
        "names_list_also_hits": case.given["expect"].get("names_list_also_hits"),
    }  # fmt: skip


def soma(case: Case) -> Found:
    """DINOv2 with q, k and v apart, whose weights are rows of timm's fused layer."""
    params = case.params
    args = {key: params[key] for key in _SIZES}
    options = {"img_size": params["img_size"], "patch_size": params["patch_size"]}
    settings = {
        "mode": "soma", "rank": params["r"], "alpha": params["lora_alpha"],
        "matrices": params["target_modules"], "first_block": params["start_lora_idx"],
    }  # fmt: skip
    weights = _split_weights(case, backbone("vit_small_patch14_dinov2", args, **options).network)
    plain, model = (
        backbone("vit_small_patch14_dinov2", args, tuning=tuning, **options)
        for tuning in ("full", settings)
    )
    for each in (plain, model):
        load_base(each.network, weights, where=case.name, removed=each.removed)
    for layer in model.network.modules():
        if hasattr(layer, "start_soma"):
            layer.start_soma()
    x = images(case).float()
    found = maps(model, x)
    pairs = zip(plain(x), model(x), strict=True)
    found["output_change_at_init"] = [relative(*pair) for pair in pairs]
    return {**found, **_soma_gradients(case, model, dict(found)), **_soma_names(case, model)}


def _split_weights(case: Case, network: nn.Module) -> dict[str, torch.Tensor]:
    """Return the weights of q, k and v in the fused layer, and all others, in float32."""
    found = {}
    for key, value in network.named_parameters():
        if ".qkv." in key:
            shape = (value.shape[0] // 3, *value.shape[1:])
            parts = [parameter(case, key.replace(".qkv.", f".{part}."), shape) for part in "qkv"]
            found[key] = torch.cat(parts).float()
        else:
            found[key] = parameter(case, key, value.shape).float()
    return found


class _Part:
    """A and B of q, k or v of a fused layer, or of a whole layer."""

    def __init__(self, layer: nn.Module, part: int | None) -> None:
        self.layer, self.part = layer, part

    def cut(self, value: torch.Tensor) -> torch.Tensor:
        return value if self.part is None else value.chunk(self.layer.parts)[self.part]


def _soma_gradients(case: Case, model: TimmBackbone, outputs: Found) -> Found:
    outputs = {key: value for key, value in outputs.items() if key[1:].isdigit()}
    found: Found = {}
    wanted = {}
    for key in case.given["expect"]:
        for start in ("B_gradA.", "grad_bias."):
            if key.startswith(start):
                name = key.removeprefix(start)
                block, _, last = name.rpartition(".")
                fused = last in "qkv"
                layer = model.network.get_submodule(f"{block}.qkv" if fused else name)
                wanted[name] = _Part(layer, "qkv".index(last) if fused else None)
    tensors = {
        f"{name}.{key}": getattr(part.layer, attribute)
        for name, part in wanted.items()
        for key, attribute in (("A", "lora_A"), ("B", "lora_B"), ("bias", "bias"))
    }
    grads = gradients(case, outputs, tensors)
    for name, part in wanted.items():
        a, b, bias = (part.cut(grads[f"grad_{name}.{key}"]) for key in ("A", "B", "bias"))
        found[f"B_gradA.{name}"] = part.cut(part.layer.lora_B) @ a
        found[f"gradB_A.{name}"] = b @ part.cut(part.layer.lora_A)
        found[f"grad_bias.{name}"] = bias
    return found


def _soma_names(case: Case, model: TimmBackbone) -> Found:
    """Return the authors' names of what is trained: q, k and v apart, and their mask token."""
    names = {"mask_token"}
    for key in model.trainable_names():
        key = key.removeprefix(_NETWORK)
        if ".lora_" in key:
            key += ".weight"
        names |= {key.replace(".qkv.", f".{part}.") for part in "qkv"} if ".qkv." in key else {key}
    expected = case.given["expect"]["trainable"]
    count = sum(value.numel() for value in model.parameters() if value.requires_grad)
    return {
        # In their order, if they are the same.
        "trainable": expected if set(expected) == names else sorted(names),
        # timm's network has no mask token, which has the network's width.
        "trainable_parameters": count + model.network.embed_dim,
    }


RUNNERS = {
    "dinov2/models/vision_transformer.py": dinov2,
    "rein/models/backbones/eva_02.py": eva02,
    "rein/models/backbones/reins_dinov2.py": rein,
    "peft on timm": lora,
    "rein/peft/sora.py:SoraModel": soma,
    "timm ": features,
}
