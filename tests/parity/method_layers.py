"""The cases of layers and losses, computed by the product's own."""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

from ibn_seg.layers.instance import InstanceNorm
from ibn_seg.layers.semantic import SemanticAwareNorm, semantic_whitening_loss
from ibn_seg.layers.style import exchange, hallucination, mix_style, perturbation
from ibn_seg.layers.style.consistency import view_divergence
from ibn_seg.layers.style.self_norm import SelfNorm
from ibn_seg.layers.whitening import covariance_loss as losses
from ibn_seg.layers.whitening.instance_whitening import InstanceWhitening, StandardisingNorm
from ibn_seg.layers.whitening.iterative import IterNorm
from ibn_seg.layers.whitening.sensitive import common_mask, pair_variance, sensitive_entries
from ibn_seg.layers.whitening.switchable import SwitchWhiten2d
from tests.parity.recipes import Case

Found = dict[str, Any]


def with_gradients(case: Case, y: torch.Tensor, wanted: Mapping[str, torch.Tensor]) -> Found:
    """Return the output and the gradients of sum(output * upstream)."""
    gradients = torch.autograd.grad((y * case.upstream(y)).sum(), list(wanted.values()))
    names = (f"grad_{name}" for name in wanted)
    return {"y": y, **dict(zip(names, gradients, strict=True))}


def parameters_of(layer: nn.Module) -> dict[str, torch.Tensor]:
    """Return a layer's parameters by the names of the file."""
    return {name.replace(".", "_"): value for name, value in layer.named_parameters()}


def fill(case: Case, layer: nn.Module) -> None:
    """Give a whitening layer the parameters and the state of the case."""
    for name, value in layer.state_dict().items():
        key = f"{case.name}.{name}"
        if name in ("sw_mean_weight", "sw_var_weight"):
            new = (1 + 10 * (case.filled(key, value.shape) - 1)).float()
        elif name in ("running_cov", "running_wm"):
            new = case.positive_definite(key, value.shape)
        else:
            new = case.filled(key, (value.numel(),)).view(value.shape)
        value.copy_(new)


def iternorm(case: Case) -> Found:
    given = case.params
    names = ("num_features", "num_channels", "T", "eps", "momentum")
    layer = IterNorm(**{name: given[name] for name in names}).double()
    state = {name: buffer.clone() for name, buffer in layer.named_buffers()}
    fill(case, layer)
    if case.training:
        for name, buffer in layer.named_buffers():
            buffer.copy_(state[name])
    layer.train(case.training)
    for step in range(given["steps"]):
        name = f"x{step or ''}"
        shape = case.given["inputs"]["x"]["shape"]
        x = case.features(f"{case.name}.{name}", shape).requires_grad_()
        y = layer(x)
    found: Found = {"y": y}
    if case.training:
        found = with_gradients(case, y, {"x": x, **parameters_of(layer)})
        found |= dict(layer.named_buffers()) | {"y_eval_after": layer.eval()(x)}
    return found


def switchable(case: Case) -> Found:
    layer = SwitchWhiten2d(**case.params).double()
    fill(case, layer)
    layer.train(case.training)
    x = case.input("x").requires_grad_()
    found = with_gradients(case, layer(x), {"x": x, **parameters_of(layer)})
    mean, var = layer.mixtures
    return found | {"mean_mixture": mean, "var_mixture": var} | dict(layer.named_buffers())


def instance(case: Case) -> Found:
    x = case.input("x").requires_grad_()
    kind = InstanceNorm if case.params["affine"] else StandardisingNorm
    layer = kind(x.size(1), eps=case.params["eps"]).double().train(case.training)
    for name, value in layer.named_parameters():
        value.data.copy_(case.parameter(name, value.shape))
    return with_gradients(case, layer(x), {"x": x, **parameters_of(layer)})


def covariance(case: Case) -> Found:
    """IW and IRW: the layer as it stands in a network, and its parts."""
    given, x = case.params, case.input("x").requires_grad_()
    layer = InstanceWhitening(given["dim"], given["eps"], given["relax_denom"]).double()
    layer.watched = True
    y = layer(x)
    loss = layer.take_loss()
    cov = losses.instance_covariance(y, given["eps"])
    return {
        "loss": loss,
        "grad_x": torch.autograd.grad(loss, x)[0],
        "standardised": y,
        "cov": cov,
        "off_diagonal_sums": (cov * layer.mask).abs().sum((1, 2)),
        "margin": layer.margin,
        "num_remove": layer.mask.sum(),
    }


def sensitive(case: Case) -> Found:
    """ISW: the mask from pairs, and the loss with it."""
    given = case.params
    layer = InstanceWhitening(given["dim"], given["eps"], sensitive=True).double()
    masks, trials, found = [], [], {}
    for trial in range(given["trials"]):
        variances = []
        for pair in range(given["pairs"]):
            original = case.input("original", trial=trial, pair=pair)
            changed = 0.8 * original + 0.35 * case.input("changed", trial=trial, pair=pair)
            with torch.no_grad():
                maps = layer.eval()(torch.cat((original, changed)))
            variances.append(pair_variance(maps[:1], maps[1:]))
        found[f"variance_t{trial}"] = variance = torch.stack(variances).mean(0)
        mask, centroids = sensitive_entries(variance, given["clusters"])
        masks.append(mask)
        trials.append(
            {
                "centroids": list(centroids),
                "num_sensitive_of_this_trial": int(mask.sum()),
                "num_sensitive_after_and": int(common_mask(masks).sum()),
            }
        )
    layer.mask.copy_(common_mask(masks))
    layer.watched = True
    x = case.input("x").requires_grad_()
    layer.train()(x)
    loss = layer.take_loss()
    return found | {
        "trials": trials,
        "mask_indices": layer.mask.flatten().nonzero().flatten().tolist(),
        "loss": loss,
        "grad_x": torch.autograd.grad(loss, x)[0],
    }


def given_variance(case: Case) -> Found:
    mask, centroids = sensitive_entries(case.input("variance"), case.params["clusters"])
    indices = mask.flatten().nonzero().flatten().tolist()
    return {
        "centroids": list(centroids),
        "num_sensitive": len(indices),
        "mask_indices": indices,
    }


def semantic_norm(case: Case) -> Found:
    """SAN: both cases use the first branch for all classes, as released."""
    given = case.params
    regions = 5 if "repaired" in case.given["what"] else 0
    layer = SemanticAwareNorm(
        given["inplanes"], given["selected_classes"], regions, own_branches=False, eps=given["eps"]
    ).double()
    layer.norm.weight.data.copy_(case.parameter("IN.weight", layer.norm.weight.shape))
    layer.norm.bias.data.copy_(case.parameter("IN.bias", layer.norm.bias.shape))
    for index, branch in enumerate(layer.CFR_branches):
        key = f"CFR_branches.{index}.weight"
        branch.weight.data.copy_(case.parameter(key, branch.weight.shape))
    pixels: list[int] = []
    original = layer.region

    def counted(refined: torch.Tensor) -> torch.Tensor:
        region = original(refined)
        pixels.append(int(region.sum()))
        return region

    layer.region = counted
    x = case.input("x").requires_grad_()
    wanted = {
        "x": x,
        "IN_weight": layer.norm.weight,
        "IN_bias": layer.norm.bias,
        "branch0": layer.CFR_branches[0].weight,
    }
    return with_gradients(case, layer(x, case.input("logits")), wanted) | {"region_pixels": pixels}


def semantic_loss(case: Case) -> Found:
    given, x = case.params, case.input("x").requires_grad_()
    settings = given["selected_classes"], given["relax_denom"], given["eps"]
    loss = semantic_whitening_loss(x, case.input("classifier"), *settings)
    pairs = losses.upper_triangle(len(given["selected_classes"])).sum().item()
    return {
        "loss": loss,
        "grad_x": torch.autograd.grad(loss, x)[0],
        # The released network builds it with `work=False`, which is no call at all.
        "loss_as_released": 0.0,
        "margin": pairs // given["relax_denom"],
    }


def style(change: Callable[[Case, torch.Tensor], torch.Tensor], **layers: Any) -> Callable:
    """Return the runner of a method that changes features as drawn."""

    def run(case: Case) -> Found:
        x = case.input("x").requires_grad_()
        found = with_gradients(case, change(case, x), {"x": x})
        for kind in layers.values():
            still = kind(p=1.0).eval()(x) is x
            closed = kind(p=0.0).train()(x) is x
            found |= {"identity_in_eval": still, "identity_if_not_drawn": closed}
        return found

    return run


def mixed(function: Callable) -> Callable[[Case, torch.Tensor], torch.Tensor]:
    def change(case: Case, x: torch.Tensor) -> torch.Tensor:
        shares = torch.tensor(case.draws["lambda"], dtype=torch.float64)
        return function(x, shares, case.draws["perm"])

    return change


def crossed(case: Case, x: torch.Tensor) -> torch.Tensor:
    box = case.draws.get("style_box_h0_w0_h1_w1")
    return exchange.cross_norm(x, case.draws["perm"], box, case.params["eps"])


def self_norm(case: Case) -> Found:
    given = case.params
    layer = SelfNorm(given["chan_num"], given["is_two"], given["eps"]).double()
    for name, value in layer.state_dict().items():
        value.copy_(case.parameter(name, value.shape))
    layer.train(case.training)
    x = case.input("x").requires_grad_()
    found = with_gradients(case, layer(x), {"x": x, **parameters_of(layer)})
    found |= {name.replace(".", "_"): value for name, value in layer.named_buffers()}
    return found | {"grad_g_fc": found["grad_g_fc_weight"]}


def hallucinated(case: Case) -> Found:
    if "points" in case.given["inputs"]:
        points = case.input("points").float()
        count, first = case.params["npoint"], case.draws["first"]
        return {"indices": hallucination.farthest_points(points, count, first).tolist()}
    x = case.input("x").requires_grad_()
    weights = torch.tensor(case.draws["weights"], dtype=torch.float64)
    basis = case.input("proto_mean"), case.input("proto_std")
    y = hallucination.hallucinated_style(x, weights, *basis, case.params["eps"])
    return with_gradients(case, y, {"x": x})


def adain(case: Case) -> Found:
    x, target = (case.input(name).requires_grad_() for name in ("x", "style"))
    y = exchange.adain(x, target, case.params["eps"])
    return with_gradients(case, y, {"x": x, "style": target})


def consistency(case: Case) -> Found:
    views = [case.input(f"logits{k}").requires_grad_() for k in range(case.params["n"])]
    loss = view_divergence(views, case.params["clamp"])
    gradients = torch.autograd.grad(loss, views)
    found = {f"grad_logits{k}": gradient for k, gradient in enumerate(gradients)}
    # Divided by images alone: what PyTorch's own reduction would give.
    pixels = views[0][0, 0].numel()
    log_p = [F.log_softmax(view, 1) for view in views]
    mean = torch.stack([p.exp() for p in log_p]).mean(0).clamp(case.params["clamp"], 1).log()
    parts = [F.kl_div(mean, p.exp(), reduction="batchmean") for p in log_p]
    by_images = torch.stack(parts).mean()
    assert torch.isclose(by_images, loss * pixels)
    return found | {"loss_per_pixel": loss, "loss_if_batchmean_over_images": loss * pixels}


RUNNERS: dict[str, Callable[[Case], Found]] = {
    "IterNorm": iternorm,
    "SW": switchable,
    "IN": instance,
    "IW": covariance,
    "IRW": covariance,
    "ISW": lambda case: (sensitive if "trials" in case.params else given_variance)(case),
    "SAN": semantic_norm,
    "SAW": semantic_loss,
    "MixStyle": style(mixed(mix_style.mix_style), layer=mix_style.MixStyle),
    "EFDMix": style(mixed(mix_style.mix_histograms), layer=mix_style.EFDMix),
    "DSU": style(
        lambda case, x: perturbation.uncertain_statistics(
            x, case.drawn("eps_mu"), case.drawn("eps_sigma"), case.params["eps"]
        ),
        layer=perturbation.DSU,
    ),
    "pAdaIN": style(
        lambda case, x: exchange.permuted_adain(x, case.draws["perm"], case.params["eps"]),
        layer=exchange.PAdaIN,
    ),
    "CrossNorm": style(crossed),
    "SelfNorm": self_norm,
    "NP+": style(
        lambda case, x: perturbation.perturbed_statistics(
            x,
            1 + case.params["std"] * case.drawn("alpha"),
            case.params["std"] * case.drawn("beta_noise"),
            case.params["scale"],
        )
    ),
    "SHADE": hallucinated,
    "AdaIN": adain,
    "JS consistency": consistency,
}
