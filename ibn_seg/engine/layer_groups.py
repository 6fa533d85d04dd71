"""Optimiser groups of a segmentor whose backbone is a network of timm."""

from collections.abc import Mapping
from typing import Any

from mmengine.optim import DefaultOptimWrapperConstructor
from mmengine.registry import OPTIM_WRAPPER_CONSTRUCTORS
from torch import nn

from ibn_seg.errors import UserError, unknown
from ibn_seg.foundation.layer_decay import Factors, network_factors

# The key of a group that says 'backbone' or 'head'.
STAGE = "stage"
_KEY = "optim_wrapper.paramwise_cfg"
_DEFAULTS: Mapping[str, Any] = {
    "layer_decay": 1.0,
    "convention": "timm",
    "backbone_lr_mult": 1.0,
    "patch_embed_lr_mult": 1.0,
}
# TimmBackbone's network, and Rein's tokens, which are not decayed.
_BACKBONE = "backbone."
_NETWORK, _TOKENS = f"{_BACKBONE}network.", "learnable_tokens"


@OPTIM_WRAPPER_CONSTRUCTORS.register_module()
class LayerDecayConstructor(DefaultOptimWrapperConstructor):
    """Groups by learning rate and weight decay, with layer-wise decay in the backbone.

    Outside the backbone the factor of the learning rate is 1, and 1-D parameters and Rein's tokens
    have no weight decay. In EoMT's convention all have it.

    Args:
        optim_wrapper_cfg: The optimiser, with `lr` and `weight_decay`.
        paramwise_cfg: `layer_decay`: the rate, by default 1. `convention`: see
            `ibn_seg.foundation.layer_decay`. `backbone_lr_mult`: a factor of all of the backbone.
            `patch_embed_lr_mult`: a further one of its patch embedding.

    Raises:
        UserError: A key is unknown, a factor is none, or the optimiser has no `lr`.
    """

    def __init__(self, optim_wrapper_cfg: dict, paramwise_cfg: Mapping | None = None) -> None:
        given = dict(paramwise_cfg or {})
        for key, value in given.items():
            if key not in _DEFAULTS:
                raise unknown(f"key of {_KEY}", key, _DEFAULTS)
            if key.endswith("_mult") and (not isinstance(value, int | float) or value < 0):
                raise UserError(f"{_KEY}.{key}={value!r}", "give a number from 0")
        self.settings = {**_DEFAULTS, **given}
        # mmengine asks for groups only if there are settings.
        super().__init__(optim_wrapper_cfg, dict(self.settings))
        if self.base_lr is None:
            raise UserError("optim_wrapper.optimizer.lr is missing", "layer_decay needs it")

    def add_params(self, params: list[dict], module: nn.Module, **_: Any) -> None:
        """Append the groups of a network, in the order of its parameters."""
        groups: dict[tuple[str, float, float], dict] = {}
        factors = self._factors(module)
        for name, value in module.named_parameters():
            if value.requires_grad:
                rate, decay = factors[name]
                stage = "backbone" if name.startswith(_BACKBONE) else "head"
                group = groups.setdefault((stage, rate, decay), {"params": [], STAGE: stage})
                group["params"].append(value)
                group["lr"] = self.base_lr * rate
                if self.base_wd is not None:
                    group["weight_decay"] = self.base_wd * decay
        params.extend(groups.values())

    def _factors(self, module: nn.Module) -> Factors:
        """Return the factors of all parameters."""
        settings, everything = self.settings, self.settings["convention"] == "eomt"
        found = {}
        for name, value in module.named_parameters():
            rate = settings["backbone_lr_mult"] if name.startswith(_BACKBONE) else 1.0
            spared = value.dim() <= 1 or _TOKENS in name
            found[name] = (rate, 1.0 if everything or not spared else 0.0)
        network = getattr(getattr(module, "backbone", None), "network", None)
        if network is None:
            raise UserError(
                f"{_KEY}: LayerDecayConstructor needs model.backbone of type TimmBackbone",
                "leave optim_wrapper.constructor out",
            )
        of_network = network_factors(
            network,
            settings["layer_decay"],
            settings["convention"],
            settings["patch_embed_lr_mult"],
        )
        for name, (rate, decay) in of_network.items():
            found[_NETWORK + name] = (rate * settings["backbone_lr_mult"], decay)
        return found
